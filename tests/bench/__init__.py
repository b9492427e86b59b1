"""The bench: kissapi beside its peers, with public tools, on two cores.

python -m tests.bench [--quick] [--rounds 5] [--seconds 2] [--names bare,kissapi] [--then REVISION] [group …]

    ladder      what each rung from bare bytes to a handler in a thread costs
    peers       plaintext beside every other server          plaintext.py
    profiles    what apps do: streams, WebSocket, uploads, files, TLS, each beside its best peer
    cost        cold start, memory, wake-ups
    growth      twice the work, twice the time, or none more

    goals.py    the ratios kissapi must reach, from what this run has measured
    server.py   starts a candidate on a core of its own, asks it, ends it
    load.py     what is asked of it, by wrk on another core
    drive.py    the same by Python: WebSocket, events, a fixed rate
    run.py      the rounds, interleaved, and the figures they give
    pages.py    writes what the README and the guide show of them
    table.py    Markdown
    picture.py  bars as SVG
    machine.py  where it was measured
    peers/      the apps
"""
