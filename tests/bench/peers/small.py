"""Small: a program on Debian's python3.11-minimal, with the wheel of this checkout and nothing else.

python small.py FILE
"""

from __future__ import annotations

import os
import sys

from tests.small_python import debian

if __name__ == "__main__":
    small = debian()
    os.execve(small.command[0], [*small.command, sys.argv[1]], small.env)
