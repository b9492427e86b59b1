"""What pyproject.toml says of the package is what the folders hold."""

from __future__ import annotations

import ast
import tomllib
from typing import Any

from tests.places import ROOT

PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_folder_of_modules_is_in_the_wheel() -> None:
    listed = PYPROJECT["tool"]["setuptools"]["packages"]
    folders = {file.parent for top in ("kissapi", "compat") for file in (ROOT / top).rglob("*.py")}
    names = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    names = {f"kissapi.{name}" if name.split(".")[0] == "compat" else name for name in names}
    names |= {"kissapi.guide"}  # chapters and no module: the folder examples/guide
    assert sorted(listed) == sorted(names), "list each package in pyproject.toml, [tool.setuptools] packages"


def test_every_package_has_an_init_file() -> None:
    for folder in {file.parent for top in ("kissapi", "compat") for file in (ROOT / top).rglob("*.py")}:
        assert (folder / "__init__.py").exists(), f"{folder.relative_to(ROOT)}/__init__.py is missing"


def test_the_types_are_shipped() -> None:
    assert (ROOT / "kissapi" / "py.typed").exists()


def test_the_version_can_be_read_without_importing() -> None:
    tree = ast.parse((ROOT / "kissapi" / "__init__.py").read_text(encoding="utf-8"))
    values = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and [ast.unparse(target) for target in node.targets] == ["__version__"]
    ]
    assert len(values) == 1, "kissapi/__init__.py says the version, and nothing else does"
    assert isinstance(values[0], ast.Constant), (
        "__version__ must be a plain string: a build then imports nothing"
    )
