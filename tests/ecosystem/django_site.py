"""Django: a project with the admin, made in a folder of its own, and what an operator does there."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.ecosystem.site import Site, check
from tests.serving import environment

SETTINGS = """
from pathlib import Path
BASE_DIR = Path(__file__).parent
SECRET_KEY = "not one to keep"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = [f"django.contrib.{name}" for name in "admin auth contenttypes sessions messages".split()]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "urls"
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]},
}]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "static/"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
"""
URLS = """
from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

def names(request):
    def pieces():
        for user in User.objects.order_by("id").iterator(chunk_size=1):
            yield user.username + "\\n"
    return StreamingHttpResponse(pieces())

@csrf_exempt
def size(request):
    files = {name: file.size for name, file in request.FILES.items()}
    return JsonResponse({"size": files or len(request.body), "scheme": request.scheme})

async def later(request):
    import asyncio
    await asyncio.sleep(0)
    return HttpResponse("later " + request.path)

views = {"names": names, "size": size, "later": later}
urlpatterns = [path("admin/", admin.site.urls), *(path(name, view) for name, view in views.items())]
"""
APP = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
from django.core.{kind} import get_{kind}_application
app = get_{kind}_application()
"""
SETUP = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
import django
django.setup()
from django.core.management import call_command
from django.contrib.auth.models import User
call_command("migrate", verbosity=0)
User.objects.create_superuser("ann", "ann@example.org", "secret")
"""


def visit_admin(kind: str) -> str:
    """Log in to the admin of a Django project that kissapi serves as `kind`, "wsgi" or "asgi"; work there."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in (("settings", SETTINGS), ("urls", URLS), ("project", APP.format(kind=kind))):
            (folder / f"{file}.py").write_text(text)
        subprocess.run([sys.executable, "-c", SETUP], cwd=folder, env=environment(), check=True)
        with Site("project:app", folder=folder) as site:
            _log_in(site)
            _add_a_user(site)
            found = site.ask("/names")
            check("a stream from the database", found.text == "ann\nbob\n", found)
            found = site.ask("/size", body=bytes(3_000_000))
            check("a body of 3 MB is over Django's limit", found.status == 400, found)
            found = site.ask("/size", body=bytes(2_000_000)).json
            check("a body of 2 MB", found == {"size": 2_000_000, "scheme": "http"}, found)
            check("an async view", site.ask("/later").text == "later /later")
            check("404", site.ask("/none").status == 404)
            token = _token(site, "/admin/")
            check("logged out", site.ask("/admin/logout/", {"csrfmiddlewaretoken": token}).status == 200)
            check("the admin is closed", site.ask("/admin/").status == 302)
    return "the admin: CSRF, login, a user added, logout; a stream, bodies, an async view"


def _token(site: Site, path: str) -> str:
    page = site.ask(path)
    assert page.status == 200, page
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert found, page.text
    return found[1]


def _log_in(site: Site) -> None:
    answer = site.ask("/admin/")
    check(
        "the admin asks for a login",
        (answer.status, answer.fields["location"]) == (302, "/admin/login/?next=/admin/"),
    )
    form = {"username": "ann", "password": "secret", "next": "/admin/"}
    check("a login without the token is refused", site.ask("/admin/login/", form).status == 403)
    form["csrfmiddlewaretoken"] = _token(site, "/admin/login/")
    check("a wrong password", site.ask("/admin/login/", {**form, "password": "x"}).status == 200)
    answer = site.ask("/admin/login/", form)
    check("logged in", (answer.status, answer.fields["location"]) == (302, "/admin/"), answer)
    check("the admin's page", "Site administration" in site.ask("/admin/").text)


def _add_a_user(site: Site) -> None:
    form = {
        "username": "bob",
        "usable_password": "true",
        "password1": "Tr0ub4dor&3",
        "password2": "Tr0ub4dor&3",
    }
    form["csrfmiddlewaretoken"] = _token(site, "/admin/auth/user/add/")
    answer = site.ask("/admin/auth/user/add/", form)
    check("a user added", answer.status == 302, answer)
    page = site.ask(answer.fields["location"])
    check("the message of that", "was added successfully" in page.text and "bob" in page.text, page)
