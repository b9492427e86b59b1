"""Expand: a parameter that stands for a record as one parameter for each of its fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kissapi.extras.openapi.components import PREFIX

if TYPE_CHECKING:
    from kissapi.extras.openapi.components import Schema


def expanded(operation: dict[str, Any], components: dict[str, Schema]) -> dict[str, Any]:
    """`operation` with the parameters of `Annotated[Filter, Query()]`: those that `Filter` has."""
    if "parameters" not in operation:
        return operation
    parameters: list[dict[str, Any]] = []
    for parameter in operation["parameters"]:
        schema = parameter["schema"]
        schema = components.get(schema.get("$ref", "").removeprefix(PREFIX), schema)
        if parameter["in"] == "path" or schema.get("type") != "object":
            parameters.append(parameter)
            continue
        required = schema.get("required", ()) if parameter.get("required") else ()
        for name, field in schema["properties"].items():
            one = {"name": name, "in": parameter["in"], "schema": field}
            parameters.append({**one, "required": True} if name in required else one)
    return {**operation, "parameters": parameters}
