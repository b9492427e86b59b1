"""The event loops kissapi runs on, TLS above them, and what a handler can await on each.

A backend is a module with four functions and two classes:

run(main, loop_factory)          run the coroutine `main` in a new loop until it is done
spawner(loop)                    what turns a coroutine into a task that has taken its first step
adopter(loop, service, connect)  what is called with each accepted socket: it makes a transport for what
                                 `connect` makes; see `kissapi.backends.host` for both
cancelling()                     how many times the running task has been asked to end
Loop                             what its loops are instances of
CancelledError                   what is raised in a task that is asked to end

The loop itself has asyncio's methods: `time, call_soon, call_later, call_soon_threadsafe, create_future,
add_reader, remove_reader, add_writer, remove_writer, add_signal_handler, remove_signal_handler`. A transport
has those of asyncio's Transport, and a protocol, such as a connection, those of asyncio's Protocol.
"""
