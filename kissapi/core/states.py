"""States: what the connection of one client can be in, and which state may follow which.

    state      meaning                                leaves by
    IDLE       no request, or one that is half read   message complete → BUSY · end, refusal → CLOSING
    BUSY       a handler or a sender is at work; or   answer → IDLE · first piece of a body → STREAMING
               another protocol, after an upgrade     its end → CLOSING
    STREAMING  a body is going out                    its end → IDLE · its failure → CLOSED
    CLOSING    lingering close: the last bytes go     the client's end → CLOSED
               out, what comes in is dropped. A
               reset could destroy an answer that
               the client has not read yet
    CLOSED     the transport is gone, which may
               happen in any state

A connection changes its state by `Channel.become` alone, which keeps to `LEGAL`.
"""

IDLE, BUSY, STREAMING, CLOSING, CLOSED = "IDLE", "BUSY", "STREAMING", "CLOSING", "CLOSED"

# The legal transitions: each state, and the states that may follow it.
LEGAL = {
    IDLE: (BUSY, CLOSING, CLOSED),
    BUSY: (IDLE, STREAMING, CLOSING, CLOSED),
    STREAMING: (IDLE, CLOSED),
    CLOSING: (CLOSED,),
    CLOSED: (),
}
