"""The event loops kissapi runs on. A backend is three functions and a class:

run(main, loop_factory)      run the coroutine `main` in a new loop until it is done
spawner(loop)                what turns a coroutine into a task that has taken its first step
adopter(loop, service, tls)  what makes a `Connection` of an accepted socket, over TLS if `tls` is not None
Loop                         what its loops are instances of

The loop itself speaks asyncio's words: `time, call_soon, call_later, call_soon_threadsafe, create_future,
add_reader, remove_reader, add_writer, remove_writer, add_signal_handler, remove_signal_handler`.
"""
