"""From a model's JSON Schema to a structural one, as CustomResourceDefinitions want it.

Structural (apiextensions.k8s.io/v1): every part has one type, nothing refers to another place, null is no type.
What is left out of what pydantic writes: titles, `propertyNames`, `additionalProperties: false` (the API server prunes
or refuses unknown fields by itself), and `default`: a policy tells what was written from what was left out, so an API
server that fills in defaults would make another policy of it. Descriptions say them instead.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel

from compiler.span import InternalError

Schema = dict[str, Any]

INT_OR_STRING: Final = "x-kubernetes-int-or-string"
ANYTHING: Final = "x-kubernetes-preserve-unknown-fields"
_KEPT: Final = (
    "description",
    "type",
    "format",
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "required",
    INT_OR_STRING,
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
)
"""In the order in which they are printed."""
_INT32: Final = 1 << 31
_EXACT: Final = 1 << 53
"""Bounds are read as IEEE doubles; integers above are not all there."""


def structural_schema(model: type[BaseModel]) -> Schema:
    """Of a model as files write it (aliases)."""
    schema = model.model_json_schema(by_alias=True, mode="validation")
    return _structural(schema, schema.get("$defs", {}))


def _structural(given: Schema, definitions: dict[str, Schema]) -> Schema:
    schema: Schema = _resolved(given, definitions)
    if INT_OR_STRING in schema:
        # The one place where `anyOf` may name types: the API server knows it in just these words.
        return {**_kept(schema), "anyOf": [{"type": "integer"}, {"type": "string"}]}
    if "const" in schema:
        schema = {**schema, "enum": [schema["const"]]}
    match schema.get("type"):
        case "object":
            return _kept(schema) | _object(schema, definitions)
        case "array":
            return _kept(schema) | {"items": _structural(schema["items"], definitions)}
        case "integer":
            return _kept(_sized(schema))
        case "string":
            return _kept(schema) | ({"anyOf": schema["anyOf"]} if "anyOf" in schema else {})
        case "boolean":
            return _kept(schema)
        case other:
            raise InternalError(f"a CustomResourceDefinition has no words for {other} in {schema}")


def _kept(schema: Schema) -> Schema:
    described = {**schema, "description": _described(schema)}
    return {name: described[name] for name in _KEPT if described.get(name) not in (None, "")}


def _described(schema: Schema) -> str:
    """The description on one line, and the default where that is a word or a number."""
    text = " ".join(schema.get("description", "").split())
    default = schema.get("default")
    if default in (None, "") or isinstance(default, (dict, list)) or "efault:" in text:
        return text
    word = str(default).lower() if isinstance(default, bool) else str(default)
    return f"{text} Default: {word}.".strip()


def _object(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    properties = schema.get("properties")
    if properties:
        return {"properties": {name: _structural(part, definitions) for name, part in properties.items()}}
    values = schema.get("additionalProperties")
    if isinstance(values, dict):
        return {"additionalProperties": _structural(values, definitions)}  # pyright: ignore[reportUnknownArgumentType]
    return {ANYTHING: True} if values else {}


def _sized(schema: Schema) -> Schema:
    """With a format. It is the bound of what no double holds."""
    highest = schema.get("maximum")
    if highest is None or highest >= _EXACT:
        return {**schema, "format": "int64", "maximum": None}
    return {**schema, "format": "int32" if highest < _INT32 else "int64"}


def _resolved(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """Without references, and without null as a second type. What stands beside wins: it is nearer to the field."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return _resolved({**definitions[name], **beside}, definitions)
    ways = schema.get("anyOf", [])
    others = [way for way in ways if way.get("type") != "null"]
    if len(others) == 1 and len(ways) == 2 and INT_OR_STRING not in schema:
        beside = {key: value for key, value in schema.items() if key != "anyOf"}
        return _resolved({**others[0], **beside}, definitions)
    return schema
