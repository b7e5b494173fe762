"""What a pydantic model refused, in our words and at the place in the file.

Each error type of pydantic that our models can raise has a row here; a test goes through them, and none of pydantic's
own text reaches a user.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from compiler.diagnostic import Report, did_you_mean
from compiler.policy import codes
from compiler.policy.document import MappingNode
from compiler.policy.located import PathPart, find_entry, locate
from compiler.policy.model import Model, field_aliases
from compiler.policy.scalar import describe, shortened
from compiler.policy.values import REFUSAL
from compiler.span import InternalError, Span

_KEY: Final = "[key]"
"""How pydantic marks that the key of a dict, not its value, was refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refused:
    """One error of pydantic, with the object it is about."""

    error: ErrorDetails
    path: tuple[PathPart, ...]
    is_key: bool
    root: type[BaseModel]
    document: MappingNode
    report: Report

    @property
    def context(self) -> Mapping[str, Any]:
        return self.error.get("ctx", {})

    @property
    def span(self) -> Span:
        if self.is_key:
            return self.key_span
        return locate(self.document, self.path)[1]

    @property
    def key_span(self) -> Span:
        parent, span = locate(self.document, self.path[:-1])
        entry = find_entry(parent, str(self.path[-1]))
        return span if entry is None else entry.span


def report_refusals(error: ValidationError, root: type[BaseModel], document: MappingNode, report: Report) -> None:
    for detail in error.errors(include_url=False):
        location = detail["loc"]
        is_key = bool(location) and location[-1] == _KEY
        refused = _Refused(
            error=detail,
            path=location[:-1] if is_key else location,
            is_key=is_key,
            root=root,
            document=document,
            report=report,
        )
        row = ROWS.get(detail["type"])
        if row is None:
            raise InternalError(f"no words for what the model refused: {detail['type']} at {location}")
        row(refused)


def path_text(path: tuple[PathPart, ...]) -> str:
    """Such as `spec.ports[0].name`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{shortened(part)}" for part in path)
    return text.removeprefix(".")


def _custom(refused: _Refused) -> None:
    context = refused.context
    message = f"{path_text(refused.path)}: {context['message']}"
    refused.report.add(context["code"], refused.span, message, expected=context["expected"], hint=context["hint"])


def _unknown_field(refused: _Refused) -> None:
    name = str(refused.path[-1])
    parent = _model_at(refused.root, refused.path[:-1])
    known = field_aliases(parent)
    hint = parent.field_hints.get(name) or did_you_mean(name, known)
    where = path_text(refused.path[:-1]) or refused.root.__name__.removeprefix("Kubernetes")
    refused.report.add(codes.UNKNOWN_FIELD, refused.key_span, f"{where} has no field '{shortened(name)}'", hint=hint)


def _missing(refused: _Refused) -> None:
    name = str(refused.path[-1])
    parent, _ = locate(refused.document, refused.path[:-1])
    where = path_text(refused.path[:-1]) or refused.root.__name__.removeprefix("Kubernetes")
    problem = f"'{path_text(refused.path)}' is empty" if find_entry(parent, name) else f"{where} has no '{name}'"
    description = _model_at(refused.root, refused.path[:-1]).model_fields[_attribute(refused)].description
    expected = f"'{name}'" + (f": {description.rstrip('.')}" if description else "")
    refused.report.add(codes.MISSING_FIELD, refused.key_span, problem, expected=expected)


def _attribute(refused: _Refused) -> str:
    """The Python name of the field at the end of the path."""
    fields = _model_at(refused.root, refused.path[:-1]).model_fields
    return next(name for name, info in fields.items() if (info.alias or name) == refused.path[-1])


def _wrong_type(expected: str) -> Callable[[_Refused], None]:
    def row(refused: _Refused) -> None:
        found = refused.error["input"]
        quotable = expected == "a string" and isinstance(found, (bool, int, float))
        number_in_quotes = "number" in expected and isinstance(found, str) and found.strip().lstrip("-").isdigit()
        hint = "put it in quotes" if quotable else "remove the quotes" if number_in_quotes else None
        message = f"{path_text(refused.path)}: found {describe(found)}"
        refused.report.add(codes.WRONG_TYPE, refused.span, message, expected=expected, hint=hint)

    return row


def _literal(refused: _Refused) -> None:
    annotation = _annotation_at(refused.root, refused.path)
    known = [word for word in _literal_words(annotation) if word]
    found = refused.error["input"]
    words = f"'{shortened(found)}' is not known" if isinstance(found, str) else f"found {describe(found)}"
    hint = did_you_mean(found, known) if isinstance(found, str) else None
    code = codes.INVALID_VALUE if isinstance(found, str) else codes.WRONG_TYPE
    message = f"{path_text(refused.path)}: {words}"
    refused.report.add(code, refused.span, message, expected=" or ".join(known), hint=hint)


def _too_small(refused: _Refused) -> None:
    _range(refused, f"at least {refused.context['ge']}")


def _too_great(refused: _Refused) -> None:
    _range(refused, f"at most {refused.context['le']}")


def _range(refused: _Refused, expected: str) -> None:
    message = f"{path_text(refused.path)}: {refused.error['input']} is out of range"
    refused.report.add(codes.INVALID_VALUE, refused.span, message, expected=expected)


def _too_short(refused: _Refused) -> None:
    # pydantic also says this of a list whose items were all refused; those have their own diagnostics.
    if len(refused.error["input"]) < refused.context["min_length"]:
        message = f"{path_text(refused.path)}: the list is empty"
        refused.report.add(codes.INVALID_VALUE, refused.span, message, expected="at least one item")


def _too_long(refused: _Refused) -> None:
    message = f"{path_text(refused.path)}: the list has {len(refused.error['input'])} items"
    expected = f"at most {refused.context['max_length']}"
    refused.report.add(codes.INVALID_VALUE, refused.span, message, expected=expected)


ROWS: Final[Mapping[str, Callable[[_Refused], None]]] = {
    REFUSAL: _custom,
    "extra_forbidden": _unknown_field,
    "missing": _missing,
    "literal_error": _literal,
    "greater_than_equal": _too_small,
    "less_than_equal": _too_great,
    "too_short": _too_short,
    "too_long": _too_long,
    "string_type": _wrong_type("a string"),
    "int_type": _wrong_type("a whole number"),
    "int_parsing_size": _wrong_type("a whole number of at most 64 bits"),
    "bool_type": _wrong_type("true or false"),
    "tuple_type": _wrong_type("a list"),
    "dict_type": _wrong_type("a mapping"),
    "model_type": _wrong_type("a mapping"),
}


def _literal_words(annotation: Any) -> tuple[str, ...]:
    """The words of a Literal, also inside Annotated or Optional."""
    words: list[str] = []
    for argument in get_args(annotation):
        words.extend([argument] if isinstance(argument, str) else _literal_words(argument))
    return tuple(words)


def _annotation_at(root: type[BaseModel], path: tuple[PathPart, ...]) -> Any:
    annotation: Any = root
    for part in path:
        model = _model_in(annotation)
        if model is None or isinstance(part, int):
            annotation = get_args(annotation)[0]
            continue
        fields = {info.alias or name: info for name, info in model.model_fields.items()}
        annotation = fields[part].annotation
    return annotation


def _model_in(annotation: Any) -> type[Model] | None:
    """The model that an annotation such as `X | None` or `Annotated[X, ...]` stands for; None for a list or dict."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    if get_origin(annotation) in (tuple, dict):
        return None
    found = (_model_in(argument) for argument in get_args(annotation))
    return next((model for model in found if model is not None), None)


def _model_at(root: type[BaseModel], path: tuple[PathPart, ...]) -> type[Model]:
    model = _model_in(_annotation_at(root, path))
    if model is None:
        raise InternalError(f"{path_text(path)} of {root.__name__} is no model")
    return model
