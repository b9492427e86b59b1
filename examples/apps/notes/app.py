"""Notes with pictures: login, session, CSRF, upload, flash messages, error pages, SQLite both ways.

    python -m kissapi examples.apps.notes.app:make

Needs kissapi[forms,sessions], jinja2 and aiosqlite. Plain functions block, so they run in threads.
"""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import aiosqlite
import jinja2

from kissapi import Fail, Request, Response, Router, html, redirect
from kissapi.extras.compress import compress
from kissapi.extras.csrf import csrf
from kissapi.extras.files import static
from kissapi.extras.sessions import sessions

# Notes on a page; pages, for SQLite has 64 bits; characters of a name, for a cookie holds 4 KB.
PAGE, MOST, LONGEST = 3, 1_000_000, 50
templates = jinja2.Environment(loader=jinja2.PackageLoader(__package__), autoescape=True)


def make(folder: Path = Path("build/notes")) -> Router:
    """The app, with its database and the pictures in `folder`."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    router = Router()
    router.around(compress(minimum=200))
    router.around(sessions("not so secret: a real app reads it from its environment"))
    router.around(csrf())
    router["/static"] = static("/", Path(__file__).with_name("static"), cache_control="max-age=60")
    router["/images"] = static("/", folder / "images")

    def rows(sql: str, *values: object) -> list[sqlite3.Row]:
        with closing(sqlite3.connect(folder / "notes.db")) as database, database:
            database.row_factory = sqlite3.Row
            return database.execute(sql, values).fetchall()

    def render(req: Request, name: str, status: int = 200, /, **values: object) -> Response:
        return html(templates.get_template(name).render(req=req, **values), status)

    def need_login(req: Request) -> Response | None:
        return None if "user" in req.session else redirect("/login", 303)

    @router.get("/", before=[need_login])
    def index(req: Request, page: int = 1) -> Response:
        sql = "select * from notes where user=? order by id desc limit ? offset ?"
        notes = rows(sql, req.session["user"], PAGE + 1, PAGE * (min(max(page, 1), MOST) - 1))
        return render(req, "list.html", notes=notes[:PAGE], page=page, more=len(notes) > PAGE)

    @router.route("/login", methods=["GET", "POST"])
    def login(req: Request) -> Response:
        if req.method == "GET" or req.form["password"] != "pw" or len(req.form["name"]) > LONGEST:
            return render(req, "login.html", 200 if req.method == "GET" else 401)
        req.session["user"] = req.form["name"]
        req.session.flash(f"Hello {req.form['name']}")
        return redirect("/", 303)

    @router.post("/logout")
    def logout(req: Request) -> Response:
        req.session.clear()
        return redirect("/login", 303)

    @router.post("/notes", max_body=2 << 20, before=[need_login])
    def add(req: Request) -> Response:
        image, name = req.files.get("image"), None
        if image and image.size:
            if image.content_type not in ("image/png", "image/jpeg"):
                raise Fail(415, "png or jpeg")
            name = f"{hashlib.sha256(image.read()).hexdigest()[:16]}.{image.content_type[6:]}"
            image.save(folder / "images" / name)
        rows("insert into notes values(null, ?, ?, ?)", req.session["user"], req.form["text"], name)
        req.session.flash("added")
        return redirect("/", 303)

    @router.get("/count")
    async def count(req: Request) -> int:
        async with aiosqlite.connect(folder / "notes.db") as database:
            return len(list(await database.execute_fetchall("select id from notes")))

    @router.on_error(Exception)
    def failed(req: Request, error: Exception) -> Response:
        return render(req, "error.html", getattr(error, "status", 500), error=error)

    rows("create table if not exists notes(id integer primary key, user text, text text, image text)")
    return router
