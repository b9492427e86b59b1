"""Pages with Jinja2: escaped, with messages for the next page, and a page of their own for errors.

$ curl localhost:8000/
<!doctype html>
<html lang="en">
<title>Notes</title>
<form action="/notes" method="post"><input name="text" required><button>add</button></form>
<ul>
</ul>
$ curl localhost:8000/nowhere
<!doctype html>
<html lang="en">
<title>404</title>
<p>Not Found</p>
"""

import os
import secrets
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kissapi import Fail, Request, Response, Router, Server, html, redirect
from kissapi.extras.csrf import csrf
from kissapi.extras.sessions import sessions

SECRET = os.environ.get("SECRET") or secrets.token_hex()  # without one, each start forgets all sessions
PAGES = Path(__file__).parent / "pages"

pages = Environment(
    loader=FileSystemLoader(PAGES),  # a page that changes is read again
    autoescape=True,  # what is HTML already says so: {{ text | safe }}
    undefined=StrictUndefined,  # a misspelt name is an error, and no empty place
    trim_blocks=True,
)
notes: list[str] = []
router = Router()
router.around(sessions(SECRET))
router.around(csrf())  # forms of other sites are refused


def render(req: Request, page: str, status: int = 200, /, **values: Any) -> Response:
    """A page of the folder, which has the request as `req`."""
    return html(pages.get_template(page).render(values, req=req), status)


@router.get("/")
async def index(req: Request) -> Response:
    return render(req, "notes.html", notes=notes)


@router.post("/notes")
async def add(req: Request) -> Response:
    if not (text := req.form["text"].strip()):
        req.session.flash("A note has a text", "error")
    else:
        notes.append(text)
        req.session.flash(f"{text[:40]} is noted")  # a cookie holds 4 KB
    return redirect(req.url_for(index), 303)  # so that a reload does not send the form again


@router.on_error(Fail)
async def failed(req: Request, error: Fail) -> Response:
    return render(req, "error.html", error.status, error=error)


@router.on_error(Exception)
async def broken(req: Request, error: Exception) -> Response:
    return render(req, "error.html", 500, error=Fail(500))


server = Server(router=router)

if __name__ == "__main__":
    server.loop()
