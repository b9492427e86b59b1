"""Files: one file as an answer, and the files below a folder: `file`, `static`.

    from kissapi.extras.files import file, static

    router.mount("/", static("/assets", "public"))  # the files below ./public, as /assets/…

    @router.get("/report")
    async def report(req: Request):
        return file("build/report.pdf", download="Report 2026.pdf")

Both answer conditions and ranges (RFC 9110 §13, §14): browsers reuse what they have cached, and resume
downloads. The kernel sends large files (`sendfile`) where it can; a download takes three descriptors then.
Files are opened and read on the loop, as nginx does it: that is fast on a disk, but a network file system
that hangs stops the server.
"""

from kissapi.extras.files.response import FileResponse, file
from kissapi.extras.files.static_router import static

__all__ = ["FileResponse", "file", "static"]
