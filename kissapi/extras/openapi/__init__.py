"""OpenAPI: a document of the routes of a router, OpenAPI 3.1, and a page that shows it and tries requests.

    from kissapi.extras.openapi import openapi

    router.mount("/", openapi(router, title="Orders", version="1"))  # /openapi.json and /docs

All of it is read from what the app has: paths, arguments by type, annotations of what handlers return,
docstrings, what routes are registered with, and what hooks carry as `.security`: a dict of Security Scheme
Objects by name. It is written when it is first asked for, and then kept: no other request pays for it. Types
need msgspec (`kissapi[typed]`) or, for its models, pydantic; scalars need neither.

`document` puts it together, `operation` and `answers` describe one route, `schemas` the types; `router` has
the routes, `pages` the page.
"""

from kissapi.extras.openapi.router import OpenApiRouter, document_of, openapi

__all__ = ["OpenApiRouter", "document_of", "openapi"]
