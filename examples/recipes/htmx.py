"""htmx: one address gives the whole page to a browser, and to htmx the part that changes.

The page works without scripts, too: its form is a form, and htmx only spares the reload.

$ curl -d 'text=buy milk' -H 'HX-Request: true' localhost:8000/tasks
<li>buy milk</li>
$ curl -H 'HX-Request: true' 'localhost:8000/?q=milk'
<li>buy milk</li>
"""

from collections.abc import AsyncGenerator

from jinja2 import DictLoader, Environment

from kissapi import Request, Response, Router, Server, html, redirect

PARTS = {
    "tasks": "{% for task in tasks %}<li>{{ task }}</li>\n{% endfor %}",
    "page": """<!doctype html>
<title>Tasks</title>
<script src="/static/htmx.min.js" defer></script>
<form action="/tasks" method="post" hx-post="/tasks" hx-target="#tasks" hx-swap="beforeend"
      hx-on::after-request="this.reset()">
  <input name="text" required><button>add</button>
</form>
<input name="q" type="search" hx-get="/" hx-trigger="input changed delay:300ms" hx-target="#tasks">
<ul id="tasks">{% include "tasks" %}</ul>
""",
}
parts = Environment(loader=DictLoader(PARTS), autoescape=True)
tasks: list[str] = []
router = Router()


def is_htmx(req: Request) -> bool:
    """Whether htmx asks for a part. After "back" it asks for a page that it has lost: that is a whole one."""
    return "hx-request" in req.headers and "hx-history-restore-request" not in req.headers


@router.around
async def vary(req: Request) -> AsyncGenerator[None, Response]:
    response = yield
    # A cache, the browser's own among them, must not show a part as the page.
    response.headers.add("vary", "HX-Request, HX-History-Restore-Request")


def show(req: Request, shown: list[str]) -> Response:
    return html(parts.get_template("tasks" if is_htmx(req) else "page").render(tasks=shown))


@router.get("/")
async def page(req: Request) -> Response:
    wanted = req.query.get("q", "").casefold()
    return show(req, [task for task in tasks if wanted in task.casefold()])


@router.post("/tasks")
async def add(req: Request) -> Response:
    tasks.append(req.form["text"])
    return show(req, tasks[-1:]) if is_htmx(req) else redirect("/", 303)


server = Server(router=router)

if __name__ == "__main__":
    server.loop()
