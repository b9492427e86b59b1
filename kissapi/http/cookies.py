"""Cookies: the field that sets one (RFC 6265 §4.1; RFC 6265bis for prefixes, SameSite and Partitioned).

A browser drops a cookie that breaks one of its rules without a word, so breaking one is an error here.
`Response.set_cookie` is the only caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kissapi.http.grammar import is_token

if TYPE_CHECKING:
    from datetime import datetime
    from time import struct_time

_UNFIT = frozenset(';,"\\ \t\r\n')  # RFC 6265 §4.1.1; other control characters no header may hold
_SAME_SITE = ("Strict", "Lax", "None")
_LONGEST = 4096  # bytes of name and value (RFC 6265bis)


def cookie_field(
    name: str,
    value: str,
    *,
    max_age: int | None,
    expires: str | None,
    path: str | None,
    domain: str | None,
    secure: bool,
    http_only: bool,
    same_site: str | None,
    partitioned: bool,
) -> str:
    """The value of a Set-Cookie field. Raises what `Response.set_cookie` raises."""
    if not isinstance(value, str):
        # None would be sent as "None": one session, shared by all clients without one.
        raise TypeError(
            f"the value of a cookie is a str, not {value!r}; to delete it: delete_cookie({name!r})"
        )
    if not is_token(name):
        raise ValueError(f"{name!r} is no name for a cookie: letters, digits and !#$%&'*+-.^_`|~ only")
    if not _UNFIT.isdisjoint(f"{value}{path}{domain}{same_site}"):
        raise ValueError(f"a cookie may not contain spaces, quotes, commas, semicolons: {name}={value}")
    if max_age is not None and (isinstance(max_age, bool) or not isinstance(max_age, int)):
        raise ValueError(f"max_age is a number of seconds, not {max_age!r}")
    if len(f"{name}{value}".encode(errors="surrogatepass")) > _LONGEST:
        raise ValueError(f"browsers refuse this cookie: {name} and its value have more than {_LONGEST} bytes")
    if path is not None and not (isinstance(path, str) and path.startswith("/")):
        raise ValueError(f"path begins with /, or is None for that of the request, not {path!r}")
    if domain is not None and not (isinstance(domain, str) and domain.strip(".")):
        raise ValueError(f"domain is a name, or None for this host alone, not {domain!r}")
    if same_site is not None:
        same_site = same_site.title() if isinstance(same_site, str) else same_site
        if same_site not in _SAME_SITE:
            raise ValueError(
                f"same_site is 'Strict', 'Lax', 'None', or None to leave it out, not {same_site!r}"
            )
    prefix = name.lower()  # browsers compare it without case
    if not secure:
        what = "same_site='None'" if same_site == "None" else "partitioned=True" if partitioned else ""
        if prefix.startswith(("__secure-", "__host-")):
            what = what or f"the name {name}"
        if what:
            raise ValueError(f"browsers refuse this cookie: {what} needs secure=True")
    if prefix.startswith("__host-") and (path != "/" or domain is not None):
        raise ValueError(f"browsers refuse this cookie: the name {name} needs path='/' and no domain")
    field = f"{name}={value}"
    for attribute, setting in (
        ("Max-Age", max_age),
        ("Expires", expires),
        ("Path", path),
        ("Domain", domain),
        ("SameSite", same_site),
    ):
        if setting is not None:
            field += f"; {attribute}={setting}"
    return (
        field
        + "; Secure" * bool(secure)
        + "; HttpOnly" * bool(http_only)
        + "; Partitioned" * bool(partitioned)
    )


def as_utc(moment: datetime) -> struct_time:
    """`moment` in GMT. Raises `ValueError` for one without a time zone."""
    try:
        known, parts = moment.utcoffset() is not None, moment.utctimetuple()
    except AttributeError:
        raise TypeError(f"expires is a datetime, not {moment!r}; for seconds there is max_age=") from None
    if not known:
        raise ValueError(f"expires needs a time zone, as datetime.now(UTC) has one, not {moment!r}")
    return parts
