"""WSGI: apps of Flask, Django, Bottle and the like as a router (PEP 3333).

    from kissapi.extras.wsgi import from_wsgi

    router["/old"] = from_wsgi(flask_app)

Each request has one worker thread, and one context, from the call of the app to the `close()` of its answer.
"""

from kissapi.extras.wsgi.mount import from_wsgi

__all__ = ["from_wsgi"]
