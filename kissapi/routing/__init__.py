"""Routes: routers, the patterns of paths, and the table that is compiled from them when a server starts.

`router` and `path` run when an app is imported, never per request; `dispatch` finds the route of a request.
"""
