"""Folder: opens the files below a folder, and nothing outside of it.

A name that could mean anything but a file or folder right there is refused before it is looked up. Links are
followed only if they stay inside. A path is opened name by name, each inside of the one before, so that what
was checked cannot be replaced before it is opened. `static` uses it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence

from kissapi.core import Fail
from kissapi.extras.files.sendfile import OpenFile

# Opening a pipe must not block, and a terminal must not become the controlling one.
FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_BINARY"))

# Most systems can open a name inside of an open folder; elsewhere the whole path is resolved first.
_STEPS = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW") and hasattr(os, "O_DIRECTORY")
# O_PATH: a folder on the way needs permission to enter it, not to read it.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW if _STEPS else 0

# On Windows a colon names a stream inside of a file, and a tilde a short name.
_FORBIDDEN = frozenset("\\\0" if os.name != "nt" else "\\\0:~")

_ABSENT = frozenset(
    getattr(errno, name, None)
    for name in "ENOENT ENOTDIR EISDIR ELOOP EMLINK EFTYPE ENAMETOOLONG ENXIO ENODEV EINVAL EILSEQ".split()
)
_LINK = frozenset(getattr(errno, name, None) for name in "ELOOP EMLINK EFTYPE ENOTDIR".split())


class Folder:
    """The folder at `root`, which need not exist yet, and may be replaced by another at any time."""

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

    def may_have(self, names: Sequence[str]) -> bool:
        """Whether it is worth while to open these: to look takes a tenth of the time to fail to open them.

        It says nothing of what they are, or where they lead.
        """
        return os.access("/".join((self.root, *names)), os.F_OK)

    def _descriptor(self, names: Sequence[str]) -> int:
        if _STEPS:
            try:
                return _step_down(self.root, names)
            except OSError as error:
                if error.errno not in _LINK:
                    raise
        # A link is on the way. The resolved path has none, unless one was put there this very moment.
        top = os.path.realpath(self.root)
        real = os.path.realpath(os.path.join(top, *names), strict=True)
        inside = os.path.relpath(real, top).split(os.sep)
        if inside[0] == os.pardir:
            raise FileNotFoundError(errno.ENOENT, "a link leads out of the folder")
        if _STEPS:
            return _step_down(top, inside)
        if os.path.isdir(real):  # Windows cannot open folders
            raise IsADirectoryError(errno.EISDIR, "this is a folder")
        return os.open(real, FLAGS)


def names_in(path: str, rest: str) -> list[str]:
    """The names in `rest`, the decoded end of `path`; the last one is "" if it ends with a slash.

    Raises `Fail(404)` for names that could lead out of the folder, and for those that begin with a dot, which
    are private by convention.
    """
    names = rest.split("/")
    below = "/" + rest
    if "//" in below or "/." in below or not _FORBIDDEN.isdisjoint(rest):
        raise Fail(404)
    # The last segments of the path have to be these names: an escaped slash would make two of one.
    if "%2F" in path and "%2F" in "/".join(path.split("/")[-len(names) :]):
        raise Fail(404)
    return names


def refusal(error: OSError | ValueError) -> Exception:
    """The `Fail` for a file that cannot be opened; `error` itself if the machine is in trouble."""
    if isinstance(error, ValueError) or error.errno in _ABSENT:  # NUL in a name is a ValueError
        return Fail(404)
    if isinstance(error, PermissionError):
        return Fail(403)
    return error


def _step_down(root: str, names: Sequence[str]) -> int:
    """Open each name inside of the one before; below `root` no link is followed."""
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
