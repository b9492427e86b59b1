"""HTTP/1.x on the core: what it reads (parser), what it limits (connection, service), what it writes.

It imports core and the awaitables of backends; nothing of sockets, logs or processes. A server gives its
`Service` to a backend, which makes a `Connection` for each client.
"""
