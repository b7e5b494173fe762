"""CustomResourceDefinitions: one of every kind, structural, and what models say in the words of OpenAPI."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pytest
import yaml
from pydantic import Field
from typer.testing import CliRunner

from cli.main import app
from compiler.policy.crds import definitions
from compiler.policy.kinds import API_VERSION
from compiler.policy.model import Model
from compiler.policy.structural import ANYTHING, INT_OR_STRING, structural_schema
from compiler.policy.validation import MODELS
from compiler.policy.values import PortsValue
from compiler.span import InternalError

BY_KIND = {found["spec"]["names"]["kind"]: found for found in definitions()}


def parts(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from parts(part, f"{path}.{name}")
    for name in ("items", "additionalProperties"):
        if name in schema:
            yield from parts(schema[name], f"{path}[]")


def schema_of(kind: str) -> dict[str, Any]:
    (version,) = BY_KIND[kind]["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]


def test_every_kind_of_policies_has_one() -> None:
    assert list(BY_KIND) == [kind for api_version, kind in MODELS if api_version == API_VERSION]


@pytest.mark.parametrize("kind", BY_KIND)
def test_every_part_has_a_type_and_nothing_else_than_the_api_server_knows(kind: str) -> None:
    for path, part in parts(schema_of(kind)):
        assert part.get("type") or part.get(INT_OR_STRING), path
        assert not set(part) & {"$ref", "$defs", "title", "const", "default", "propertyNames"}, path
        assert part.get("type") != "integer" or part["format"] in ("int32", "int64"), path
        assert part.get("type") != "object" or path == ".metadata" or len(set(part) - {"description", "type"}), path


def test_namespaces_are_as_in_policy_files() -> None:
    scopes = {kind: found["spec"]["scope"] for kind, found in BY_KIND.items()}
    assert {kind for kind, scope in scopes.items() if scope == "Cluster"} == {"Network", "Node", "Device"}


def test_columns_lead_to_fields_that_are_there() -> None:
    for kind, found in BY_KIND.items():
        there = dict(parts(schema_of(kind)))
        for column in found["spec"]["versions"][0]["additionalPrinterColumns"]:
            path = column["jsonPath"].replace("[0]", "[]")
            assert path in there or path == ".metadata.creationTimestamp", (kind, path)
            assert column["type"] in ("date", there.get(path, {}).get("type", "string")), (kind, path)


def test_fields_to_choose_by_are_there_and_plain() -> None:
    chosen = {kind: found["spec"]["versions"][0].get("selectableFields", []) for kind, found in BY_KIND.items()}
    assert {kind: paths for kind, paths in chosen.items() if paths} == {
        "ImageConversion": [{"jsonPath": ".status.ready"}]
    }
    assert dict(parts(schema_of("ImageConversion")))[".status.ready"]["type"] == "boolean"


class Inner(Model):
    """What is
    within."""

    word: Annotated[Literal["one", "two"], Field(description="Which.")] = "one"


class Outer(Model):
    needed: Inner
    beside: Annotated[Inner | None, Field(description="Nearer to the field.")] = None
    small: Annotated[int, Field(ge=-1, le=7)] = 0
    large: Annotated[int, Field(ge=1, le=(1 << 63) - 1)] = 1
    middle: Annotated[int, Field(le=1 << 40)] = 1
    is_so: bool = True
    ports: tuple[PortsValue, ...] = ()
    words: Annotated[dict[str, str], Field(description="By name; default: none.")] = Field(default_factory=dict)
    anything: dict[str, Any] | None = None


INNER = {"word": {"description": "Which. Default: one.", "type": "string", "enum": ["one", "two"]}}


def test_words_of_models() -> None:
    assert structural_schema(Outer) == {
        "type": "object",
        "required": ["needed"],
        "properties": {
            "needed": {"description": "What is within.", "type": "object", "properties": INNER},
            "beside": {"description": "Nearer to the field.", "type": "object", "properties": INNER},
            "small": {"description": "Default: 0.", "type": "integer", "format": "int32", "minimum": -1, "maximum": 7},
            "large": {"description": "Default: 1.", "type": "integer", "format": "int64", "minimum": 1},
            "middle": {"description": "Default: 1.", "type": "integer", "format": "int64", "maximum": 1 << 40},
            "isSo": {"description": "Default: true.", "type": "boolean"},
            "ports": {
                "type": "array",
                "items": {INT_OR_STRING: True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
            },
            "words": {
                "description": "By name; default: none.",
                "type": "object",
                "additionalProperties": {"type": "string"},
            },
            "anything": {"type": "object", ANYTHING: True},
        },
    }


class Numbers(Model):
    share: float


def test_what_has_no_words_is_our_own_mistake() -> None:
    with pytest.raises(InternalError, match=r"no words for number"):
        structural_schema(Numbers)


def test_the_command_prints_them() -> None:
    printed, listed = (CliRunner().invoke(app, ["crds", *options]) for options in ([], ["-o", "json"]))
    assert (printed.exit_code, printed.stderr, listed.exit_code) == (0, "", 0)
    assert tuple(yaml.safe_load_all(printed.stdout)) == definitions()
    assert json.loads(listed.stdout) == {"apiVersion": "v1", "kind": "List", "items": list(definitions())}
    assert CliRunner().invoke(app, ["crds", "-o", "table"]).exit_code == 2
