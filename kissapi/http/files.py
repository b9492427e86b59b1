"""File: one file of a form, with a name that is safe to use.

Of a body that came whole it is a part of that body, without a copy. Of a body that is taken as it comes
(`Part.file`), it is kept in memory up to `SPOOL` bytes, and on disk above.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

SPOOL = 256 * 1024  # bytes; a thousand such uploads at a time are 256 MB
_LONGEST = 200  # bytes of a file name; file systems take 255, and apps put something before or behind it

# Compiled by `re` when a file comes: at import they would cost every program 1 ms.
# Control characters, what Windows refuses, and characters that turn the direction of text: "exe.gpj".
_UNSAFE = '[\x00-\x1f\x7f-\x9f<>:"|?*\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]'
_DEVICES = r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)"


def safe_name(name: str) -> str:
    """The last part of `name`, a path of any system, without what is dangerous in the name of a file.

    >>> safe_name("../../etc/passwd"), safe_name("C:\\\\me\\\\cv.pdf"), safe_name("..")
    ('passwd', 'cv.pdf', 'unnamed')
    """
    name = re.split(r"[/\\]", name)[-1]
    name = re.sub(_UNSAFE, "_", name).lstrip(". ").rstrip(". ")
    if re.match(_DEVICES, name):
        name = "_" + name
    octets = name.encode()
    if len(octets) > _LONGEST:
        stem, dot, ending = name.rpartition(".")
        ending = dot + ending if stem and len(ending) <= 16 else ""
        name = octets[: _LONGEST - len(ending.encode())].decode(errors="ignore") + ending
    return name or "unnamed"


@contextmanager
def written(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """The file `path`, made anew, to be written in this block; if that fails, it is removed.

    Half a file does not pass for a whole one. What is no file of a disk, such as /dev/null, stays.
    """
    with open(path, "wb") as target:
        try:
            yield target
            target.flush()  # here a disk that is full may still be noticed
        except BaseException:
            if stat.S_ISREG(os.fstat(target.fileno()).st_mode):
                os.unlink(path)
            raise


class File:
    """A file that a client has sent: `req.files["image"]`.

    `filename` is made safe: no path, no control characters, at most 200 bytes; never empty. It is still the
    client's choice, and so is `content_type`. `size` is in bytes.

        image = req.files["image"]
        await kissapi.to_thread(image.save, f"uploads/{req.user}.png")
    """

    __slots__ = ("__weakref__", "_data", "content_type", "filename", "size")

    def __init__(self, filename: str, content_type: str, data: Any, size: int) -> None:
        self.filename = safe_name(filename)
        self.content_type = content_type
        self.size = size
        self._data = data  # bytes, a view of them, or an open file
        if not isinstance(data, (bytes, memoryview)):
            from weakref import finalize

            # `__del__` would come after that of `data`, where both are in a cycle.
            finalize(self, data.close)

    def __repr__(self) -> str:
        return f"<File {self.filename!r} {self.content_type} {self.size} bytes>"

    def read(self) -> bytes:
        """All of its bytes. Blocks if it is on disk, which only those of `Part.file` are."""
        if isinstance(self._data, (bytes, memoryview)):
            return bytes(self._data)
        self._data.seek(0)
        data: bytes = self._data.read()
        return data

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to the file `path`, which is made anew. Blocks: `await to_thread(image.save, path)`.

        Raises `OSError` if it cannot be written; then no file is left.
        """
        with written(path) as target:
            if isinstance(self._data, (bytes, memoryview)):
                target.write(self._data)
                return
            self._data.seek(0)
            while piece := self._data.read(SPOOL):
                target.write(piece)
