"""kissapi.compat in a bare checkout: there compat/ lies beside kissapi/, and only an install maps it inside.

`map_compat()`, called by tests/conftest.py before anything imports kissapi, puts it in its place; where it is
there already, nothing is done. So `make test`, `uv run pytest tests/` and `pytest` run the same tests.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def map_compat() -> None:
    kissapi = importlib.util.find_spec("kissapi")  # without importing it: that would fail yet
    assert kissapi is not None
    assert kissapi.origin is not None
    if Path(kissapi.origin).with_name("compat").is_dir():
        return
    folder = Path(__file__).parent.parent / "compat"
    spec = importlib.util.spec_from_file_location(
        "kissapi.compat", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    sys.modules["kissapi.compat"] = package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
