"""Login: passwords kept as scrypt hashes, the user in a session, and a router for members alone.

$ curl -i localhost:8000/members/
HTTP/1.1 303 See Other
Location: /login?next=%2Fmembers%2F
Vary: Cookie
Cache-Control: private
Content-Length: 0
Date: Sun, 22 Nov 2026 12:35:01 GMT

$ curl -d 'name=ann&password=guess' localhost:8000/login
<!doctype html>
<p>Unknown name or wrong password</p>
<form method="post"><input name="name"><input name="password" type="password"><button>log in</button></form>
"""

import hashlib
import hmac
import os
import secrets

from kissapi import Request, Response, Router, Server, html, redirect
from kissapi.extras.csrf import csrf
from kissapi.extras.sessions import sessions

SECRET = os.environ.get("SECRET") or secrets.token_hex()  # without one, each start logs all users out
COST = (2**14, 8, 5)  # OWASP's for 16 MiB, 0.25 s of a slow core; each hash says with which it was made
FORM = """<!doctype html>
<p>{message}</p>
<form method="post"><input name="name"><input name="password" type="password"><button>log in</button></form>
"""


def scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode("utf-8", "surrogatepass"), salt=salt, n=n, r=r, p=p)


def hashed(password: str) -> str:
    """What is kept of a password."""
    salt = secrets.token_bytes(16)
    return kept(salt, scrypt(password, salt, *COST))


def kept(salt: bytes, digest: bytes) -> str:
    return ":".join(["scrypt", *map(str, COST), salt.hex(), digest.hex()])


def is_password(password: str, entry: str) -> bool:
    _, n, r, p, salt, digest = entry.split(":")
    made = scrypt(password, bytes.fromhex(salt), int(n), int(r), int(p))
    return hmac.compare_digest(made, bytes.fromhex(digest))


def mark(name: str) -> str:
    """It changes with the password: sessions from before end then."""
    return hashlib.sha256(users.get(name, "").encode()).hexdigest()[:16]


users = {"ann": hashed("correct horse battery staple")}  # stands for a table
UNKNOWN = kept(bytes(16), bytes(64))  # of no password: an unknown name takes as long as a wrong password
router, members = Router(), Router()
router.around(sessions(SECRET))
router.around(csrf())
router["/members"] = members


@router.get("/login", name="login")
async def form(req: Request) -> Response:
    return html(FORM.format(message=""))


@router.post("/login")
def log_in(req: Request) -> Response:  # a plain def: the hash is computed in a thread, beside the loop
    name, place = req.form["name"], req.query.get("next", req.url_for(account))
    if not is_password(req.form["password"], users.get(name, UNKNOWN)):
        return html(FORM.format(message="Unknown name or wrong password"), 403)
    req.session.clear()
    req.session["user"], req.session["mark"] = name, mark(name)
    is_here = place.startswith("/") and not place.startswith(("//", "/\\"))  # a link may say anything
    return redirect(place if is_here else "/", 303)


@router.post("/logout")
async def log_out(req: Request) -> Response:
    req.session.clear()
    return redirect(req.url_for("login"), 303)


@members.before(nested=True)
async def require_user(req: Request) -> Response | None:
    name = req.session.get("user", "")
    if name not in users or req.session.get("mark") != mark(name):
        place = req.url.removeprefix(req.base_url) if req.method == "GET" else None
        return redirect(req.url_for("login", next=place), 303)
    req.user = name
    return None


@members.get("/")
async def account(req: Request) -> str:
    return f"hello, {req.user}"


server = Server(router=router)

if __name__ == "__main__":
    server.loop()
