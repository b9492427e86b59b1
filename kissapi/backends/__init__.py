"""The event loops kissapi runs on. A backend is four functions and two classes:

run(main, loop_factory)      run the coroutine `main` in a new loop until it is done
spawner(loop)                what turns a coroutine into a task that has taken its first step
adopter(loop, service, tls)  what makes a `Connection` of an accepted socket, over TLS if `tls` is not None
cancelling()                 how many times the running task has been asked to end
Loop                         what its loops are instances of
CancelledError               what is raised in a task that is asked to end

The loop itself speaks asyncio's words: `time, call_soon, call_later, call_soon_threadsafe, create_future,
add_reader, remove_reader, add_writer, remove_writer, add_signal_handler, remove_signal_handler`.
"""
