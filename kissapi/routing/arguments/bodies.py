"""Bodies: JSON, and the fields of a query or form, as dataclasses, Structs, models. The door to pydantic.

pydantic reads what contains one of its models, msgspec everything else. Their errors become those of
`Invalid`: where, as a JSON pointer (RFC 6901), and what.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, get_args, get_origin, get_type_hints

from kissapi.core import Fail
from kissapi.http.forms import media_type, unsupported
from kissapi.http.json_codec import from_json
from kissapi.routing.arguments.argument import item_of
from kissapi.routing.arguments.scalars import Wrong, bare, members, reader_of

Decode = Callable[[Any], Any]
Error = dict[str, Any]

MOST = 1000  # mistakes that are looked at one by one: a body of 1 MB may have half a million, which takes 2 s

# Of JSON with each digit a 0, what may be NaN, or more than a float can say: `re` takes 20 times as long.
_BEYOND = b"NaN", b"Infinity", b"0e000", b"0" * 200
_DIGITS = bytes.maketrans(b"123456789E", b"000000000e")
_PATH = re.compile(r" - at `\$?(?:key in )?([^`]*)`$")
_STEP = re.compile(r"\[(\d+|\.\.\.)\]|\.?([^.\[]+)")
_FIELD = re.compile(r"Object (missing required|contains unknown) field `([^`]*)`")


def body_reader(annotation: Any) -> Callable[[Any], Any]:
    """What reads the JSON body of a request as `annotation`.

    It raises `Fail`: 415 for another content type, 400 for what is no JSON; `Wrong` for other JSON. Raises
    `ImportError` without msgspec, `TypeError` for a type that it does not know.
    """
    decode = _by_pydantic(annotation, True) if is_pydantic(annotation) else _by_msgspec(annotation)

    def read(request: Any) -> Any:
        content_type = request.headers.get("content-type")
        kind = media_type(content_type)
        if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
            raise unsupported(content_type, "application/json", "curl --json '{}'")
        try:
            return decode(request.body)
        except RecursionError:
            raise _not_json("it is nested too deep") from None

    return read


def record_reader(annotation: Any, called: str) -> Callable[[Any], Any]:
    """What reads the fields of a query or form, lists of texts by name, as the fields of `annotation`.

    `called` is what errors call a field: "parameter".
    """
    types = fields_of(annotation)
    lists = {name for name, kind in types.items() if item_of(kind) is not None}
    texts = {name for name, kind in types.items() if str in members(item_of(kind) or kind)[0]}
    # The libraries take NaN and infinity, which pass every `if amount > limit`.
    numbers = {name: reader_of(item_of(kind) or kind) for name, kind in types.items() if _has_nan(kind)}
    read = _by_pydantic(annotation, False) if is_pydantic(annotation) else _by_msgspec_convert(annotation)

    def read_record(fields: Any) -> Any:
        values = {}
        errors = []
        for name, sent in fields.items():
            if name not in texts:
                sent = [text for text in sent if text]  # what a browser sends of a field left blank
            if sent:
                values[name] = sent if name in lists else sent[0]
                try:
                    if check := numbers.get(name):
                        for text in sent if name in lists else sent[:1]:
                            check(text)
                except Wrong as wrong:
                    errors.append({called: name, "detail": str(wrong)})
        if errors:
            raise Wrong("", errors=errors)
        try:
            return read(values)
        except Wrong as wrong:
            errors = [
                {called: error["pointer"][2:] or "?", "detail": error["detail"]} for error in wrong.errors
            ]
            raise Wrong("", errors=errors) from None

    return read_record


def _has_nan(kind: Any) -> bool:
    return any(each is float or hasattr(each, "is_finite") for each in members(item_of(kind) or kind)[0])


def fields_of(annotation: Any) -> dict[str, Any]:
    """The types of the fields of a record, by the names that a client sends."""
    kind = members(annotation)[0][0]
    kind = get_origin(kind) or kind
    types = get_type_hints(kind, include_extras=True)
    if hasattr(kind, "__struct_fields__"):
        names = dict(zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True))
    else:
        models = getattr(kind, "model_fields", {})
        names = {name: field.validation_alias or name for name, field in models.items()}
    return {names.get(name, name): types[name] for name in types}


def is_pydantic(annotation: Any) -> bool:
    """Whether `annotation` is, or contains, a class of pydantic's."""
    return any(hasattr(kind, "__pydantic_validator__") for kind in _within(annotation))


def _within(annotation: Any) -> Iterator[Any]:
    kind, _ = bare(annotation)
    yield kind
    for each in get_args(kind):
        yield from _within(each)


def msgspec_check(annotation: Any) -> Decode:
    """What gives a value back if it fits the constraints of `annotation`, or raises `Wrong`."""
    import msgspec

    def check(value: Any) -> Any:
        try:
            return msgspec.convert(value, annotation)
        except msgspec.ValidationError as error:
            raise Wrong(_said_of(str(error))[1], value) from None

    return check


def pydantic_check(annotation: Any) -> Decode:
    """What gives a value back if it fits the constraints of `annotation`, or raises `Wrong`."""
    read = _by_pydantic(annotation, False)

    def check(value: Any) -> Any:
        try:
            return read(value)
        except Wrong as wrong:
            # Of a length it says itself what came: "at most 2 items, not 3".
            detail = wrong.errors[0]["detail"]
            raise Wrong(detail, ... if ", not " in detail else value) from None

    return check


def _by_msgspec(annotation: Any) -> Decode:
    msgspec = _msgspec()
    decode: Decode = msgspec.json.Decoder(annotation).decode
    decode_any = msgspec.json.Decoder(float_hook=_whole).decode

    def again(body: bytes) -> Any:
        """To JSON Schema 3.0 is an integer (2020-12, core §4.2.3), to msgspec a float alone."""
        return msgspec.convert(decode_any(body), annotation, str_keys=True)

    def read(body: bytes) -> Any:
        try:
            try:
                return decode(body)
            except msgspec.ValidationError as error:
                if "got `float`" not in str(error):
                    raise
                return again(body)
        except msgspec.ValidationError as error:
            raise Wrong("", errors=[_error_of(str(error))]) from None
        except UnicodeDecodeError:
            raise _not_json("it is not UTF-8") from None
        except msgspec.DecodeError as error:
            raise _not_json(str(error).removeprefix("JSON is malformed: ")) from None

    return read


def _whole(text: str) -> float:
    number = float(text)
    if number - number:  # infinity less itself is NaN
        raise _not_json(f"the number {text[:20]} is too large")
    return int(number) if number.is_integer() else number


def _by_msgspec_convert(annotation: Any) -> Decode:
    msgspec = _msgspec()

    def read(values: dict[str, Any]) -> Any:
        try:
            return msgspec.convert(values, annotation, strict=False)
        except msgspec.ValidationError as error:
            raise Wrong("", errors=[_error_of(str(error))]) from None

    return read


def _msgspec() -> Any:
    try:
        import msgspec
    except ImportError as error:
        raise ImportError("typed bodies need msgspec: pip install 'kissapi[typed]'") from error
    return msgspec


def _by_pydantic(annotation: Any, is_json: bool) -> Decode:
    from pydantic import TypeAdapter, ValidationError
    from pydantic_core import from_json as parsed

    adapter = TypeAdapter(annotation)
    validate: Decode = adapter.validate_json if is_json else adapter.validate_python

    def read(values: Any) -> Any:
        if is_json:
            digits = values.translate(_DIGITS, b"+")
            if any(each in digits for each in _BEYOND):
                from_json(values)  # which refuses both; pydantic takes them
        try:
            return validate(values)
        except ValidationError as error:
            if error.error_count() > MOST:
                count = f"has {error.error_count()} mistakes, too many to list"
                raise Wrong("", errors=[{"pointer": "#", "detail": count}]) from None
            found = error.errors(include_url=False, include_context=False, include_input=False)
        if found[0]["type"] == "json_invalid":
            raise _not_json(found[0]["msg"].removeprefix("Invalid JSON: "))
        sent = parsed(values) if is_json else values
        raise Wrong(
            "", errors=[{"pointer": _pointer(_steps(each, sent)), "detail": each["msg"]} for each in found]
        )

    return read


def _steps(error: Any, sent: Any) -> Iterator[Any]:
    """The steps of an error of pydantic's that lead into `sent`; others name a member of a union."""
    steps = error["loc"]
    for step in steps:
        if step in sent if isinstance(sent, dict) else isinstance(sent, list) and isinstance(step, int):
            sent = sent[step]
            yield step
    if error["type"].startswith("missing") and steps:
        yield steps[-1]


def _not_json(why: str) -> Fail:
    return Fail(400, f"Bad Request: the body is not JSON: {why}")


def _said_of(message: str) -> tuple[list[str], str]:
    """The path and the rest of an error of msgspec: "Expected `int`, got `str` - at `$.items[2].price`"."""
    found = _PATH.search(message)
    if found is None:
        return [], message
    path = [index or name for index, name in _STEP.findall(found[1])]
    return path, message[: found.start()]


def _error_of(message: str) -> Error:
    path, detail = _said_of(message)
    if "..." in path:  # msgspec does not say which key of a mapping it was
        path = path[: path.index("...")]
        detail = f"a value in it: {detail}"
    elif field := _FIELD.match(detail):
        path.append(field[2])
        detail = "is missing" if field[1].startswith("missing") else "is no field"
    return {"pointer": _pointer(path), "detail": detail}


def _pointer(path: Any) -> str:
    """A path as a JSON pointer in a fragment (RFC 6901 §6)."""
    return "#" + "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)
