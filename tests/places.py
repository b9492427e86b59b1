"""Places: the folders of this checkout that tests and tools name."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parent.parent
# A read-only checkout is tested as well; make refuses it, for it would put .venv there.
BUILD = ROOT / "build" if os.access(ROOT, os.W_OK) else Path.home() / ".cache/kissapi"
