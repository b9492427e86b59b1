"""Arguments by type: what a handler names beside the request, found, read, and checked.

It is imported for the first handler that names more than the request, and runs when routes are registered
and compiled; of it, a request sees only the function that `binding` has made.

    argument.py     where each argument comes from: the path, the query, the body …
    scalars.py      texts as whole numbers, dates, Enums …
    constraints.py  what `Annotated` says of a value beside its type
    bodies.py       JSON and forms as dataclasses, Structs, models
    binding.py      the call of a handler with its arguments
    invalid.py      the answer to what is missing or wrong
"""

from kissapi.routing.arguments.argument import Argument, arguments_of

__all__ = ["Argument", "arguments_of"]
