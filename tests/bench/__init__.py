"""The bench: kissapi beside its peers, with public tools, on two cores.

python -m tests.bench [--quick] [--rounds 5] [--seconds 2] [--names bare,kissapi] [group …]

    ladder      what each rung from bare bytes to a handler in a thread costs
    peers       plaintext beside every other server          plaintext.py
    work        what an app does: JSON, bodies, many connections
    cost        cold start, memory, wake-ups
    growth      twice the work, twice the time, or none more
    goals       the ratios kissapi must reach, from what this run has measured

    server.py   starts a candidate on a core of its own, asks it, ends it
    load.py     what is asked of it, by wrk on another core
    run.py      the rounds, interleaved, and the figures they give
    table.py    Markdown
    picture.py  bars as SVG
    machine.py  where it was measured
    peers/      the apps
"""
