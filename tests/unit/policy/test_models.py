"""The kinds as CustomResourceDefinition schemas."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from compiler.policy.refusals import ROWS
from compiler.policy.validation import MODELS


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.__name__)
def test_schema_can_be_made(model: type[BaseModel]) -> None:
    schema = model.model_json_schema()
    assert schema["additionalProperties"] is False
    assert {"apiVersion", "kind", "metadata"} <= set(schema["required"])


def _core_types(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        own = {str(schema["type"])} if isinstance(schema.get("type"), str) else set[str]()  # pyright: ignore
        return own.union(*(_core_types(value) for key, value in schema.items() if key != "serialization"))  # pyright: ignore
    if isinstance(schema, (list, tuple)):
        return set[str]().union(*(_core_types(value) for value in schema))  # pyright: ignore
    return set()


ERRORS_OF_CORE_TYPE = {
    "str": {"string_type"},
    "int": {"int_type", "int_parsing_size", "greater_than_equal", "less_than_equal"},
    "bool": {"bool_type"},
    "tuple": {"tuple_type", "too_short", "too_long"},
    "dict": {"dict_type"},
    "literal": {"literal_error"},
    "model": {"model_type"},
    "model-fields": {"extra_forbidden", "missing"},
    "model-field": set[str](),
    "default": set[str](),
    "nullable": set[str](),
    "any": set[str](),
    "function-after": set[str](),
    "function-before": set[str](),
    "function-plain": set[str](),
    "definitions": set[str](),
    "definition-ref": set[str](),
    "no-info": set[str](),
}


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.__name__)
def test_every_refusal_of_the_models_has_words(model: type[BaseModel]) -> None:
    found = _core_types(model.__pydantic_core_schema__) & {*ERRORS_OF_CORE_TYPE, "union", "float", "date", "url"}
    assert found <= set(ERRORS_OF_CORE_TYPE)
    assert set().union(*(ERRORS_OF_CORE_TYPE[name] for name in found)) <= set(ROWS)
