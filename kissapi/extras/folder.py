"""Folder: what lies below a folder, opened so that nothing else can be reached.

Law: a name that could mean anything but one file or folder right there is not even looked up, and links are
followed only where they stay inside. Paths are opened name by name, each inside of the one before, so what
has been checked cannot be exchanged before it is opened.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from kissapi.core import Fail
from kissapi.extras.sendfile import OpenFile

# A pipe must not hold us up, nor a terminal become ours.
FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_BINARY"))

# Most systems open a name inside of a folder that is open; elsewhere the whole path is resolved first.
_STEPS = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW") and hasattr(os, "O_DIRECTORY")
# O_PATH: a folder may be one to pass through, not to read.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW if _STEPS else 0

_FORBIDDEN = frozenset(
    "\\\0" if os.name != "nt" else "\\\0:~"
)  # Windows: streams inside of files, short names

_ABSENT = frozenset(
    getattr(errno, name, None)
    for name in "ENOENT ENOTDIR EISDIR ELOOP EMLINK EFTYPE ENAMETOOLONG ENXIO ENODEV EINVAL EILSEQ".split()
)
_LINK = frozenset(getattr(errno, name, None) for name in "ELOOP EMLINK EFTYPE ENOTDIR".split())


class Folder:
    """The folder at `root`, which need not exist yet, and may be exchanged for another at any time."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = os.path.abspath(root)

    def __repr__(self) -> str:
        return f"<Folder {self.root}>"

    def open(self, names: Sequence[str]) -> OpenFile:
        """The file that `names` lead to. Raises `IsADirectoryError` for a folder, and `Fail`: 404, 403."""
        try:
            return OpenFile(self._descriptor(names))
        except IsADirectoryError:
            raise
        except (OSError, ValueError) as error:
            raise refusal(error) from None

    def _descriptor(self, names: Sequence[str]) -> int:
        if _STEPS:
            try:
                return _step_down(self.root, names)
            except OSError as error:
                if error.errno not in _LINK:
                    raise
        # There is a link on the way. Where it leads there are none, unless somebody has just put them there.
        top = os.path.realpath(self.root)
        real = os.path.realpath(os.path.join(top, *names), strict=True)
        inside = os.path.relpath(real, top).split(os.sep)
        if inside[0] == os.pardir:
            raise FileNotFoundError(errno.ENOENT, "a link leads out of the folder")
        if _STEPS:
            return _step_down(top, inside)
        if os.path.isdir(real):  # Windows does not open them
            raise IsADirectoryError(errno.EISDIR, "this is a folder")
        return os.open(real, FLAGS)


def names_in(path: str, rest: str) -> list[str]:
    """The names in `rest`, which is the end of `path`, decoded: "" for a slash at its end.

    Raises `Fail(404)` for what could lead astray, and for names that begin with a dot: they are not meant for
    the public.
    """
    names = rest.split("/")
    below = "/" + rest
    if "//" in below or "/." in below or not _FORBIDDEN.isdisjoint(rest):
        raise Fail(404, "Not Found")
    # So many segments at the end of the path are these names, unless one of them has an escaped slash.
    if "%2F" in path and "%2F" in "/".join(path.split("/")[-len(names) :]):
        raise Fail(404, "Not Found")
    return names


def refusal(error: OSError | ValueError) -> Exception:
    """What is answered when a file cannot be opened. A machine in trouble stays an error of ours."""
    if isinstance(error, ValueError) or error.errno in _ABSENT:  # a name that no system takes is a ValueError
        return Fail(404, "Not Found")
    if isinstance(error, PermissionError):
        return Fail(403, "Forbidden")
    return error


def _step_down(root: str, names: Sequence[str]) -> int:
    """Open one name inside of the other, following no link below `root`."""
    if not names:
        return os.open(root, FLAGS)
    name = f"{root}/{names[0]}"
    folder: int | None = None
    try:
        for below in names[1:]:
            outer, folder = folder, os.open(name, _FOLDER, dir_fd=folder)
            if outer is not None:
                os.close(outer)
            name = below
        return os.open(name, FLAGS | os.O_NOFOLLOW, dir_fd=folder)
    finally:
        if folder is not None:
            os.close(folder)
