"""The long run: every item on every backend, each with its figures; exit code 1 if one fails."""

from __future__ import annotations

import sys
import time
import traceback
from importlib.util import find_spec

from tests.torture.items import ITEMS
from tests.torture.scale import FULL


def main(only: str = "") -> int:
    if sys.platform != "linux":
        print("torture: it looks into /proc, so it needs Linux")
        return 1
    if only and only not in ITEMS:
        print(f"torture: there is no {only!r}; there are: {', '.join(ITEMS)}")
        return 1
    backends = ["asyncio", "selectors"]
    if find_spec("uvloop"):
        backends.insert(1, "uvloop")
    failed = []
    start = time.monotonic()
    for name in [only] if only else ITEMS:
        for backend in backends:
            began = time.monotonic()
            try:
                figures = ITEMS[name](backend, FULL)
            except Exception:
                failed.append(f"{name} on {backend}")
                figures = f"FAILED\n{traceback.format_exc()[:3000]}"  # what a server had said can be long
            print(f"torture: {name} on {backend}: {figures} [{time.monotonic() - began:.1f} s]", flush=True)
    print(f"torture: {time.monotonic() - start:.0f} s; failed: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
