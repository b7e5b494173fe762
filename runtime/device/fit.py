"""Does the P4Info that a controller sends belong to the pipeline of its bundle?

Everything that gives messages their meaning must be the same: ids, names, widths, kinds, sizes, scopes. Documentation,
annotations, package information and the order of parts do not matter.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from finsy.proto import p4i

_PARTS = tuple(field.name for field in p4i.P4Info.DESCRIPTOR.fields if field.name not in ("pkg_info", "type_info"))
_WITHOUT_MEANING = ("doc", "annotations", "annotation_locations", "structured_annotations")


def first_difference(given: p4i.P4Info, wanted: p4i.P4Info) -> str | None:
    """What does not fit, in words; None when everything does."""
    for part in _PARTS:
        given_parts, wanted_parts = _by_id(getattr(given, part)), _by_id(getattr(wanted, part))
        for number in sorted(given_parts.keys() | wanted_parts.keys()):
            if number not in given_parts:
                return f"{part} lacks {wanted_parts[number].preamble.name} ({number:#010x})"
            if number not in wanted_parts:
                return f"{part} has {given_parts[number].preamble.name} ({number:#010x}), the pipeline has not"
            field = _different_field(given_parts[number], wanted_parts[number])
            if field is not None:
                return f"{part}, {wanted_parts[number].preamble.name}: {field} differs from the pipeline's"
    return None


def _by_id(parts: Iterable[Any]) -> dict[int, Any]:
    return {part.preamble.id: part for part in parts}


def _different_field(given: Any, wanted: Any) -> str | None:
    """The name of the first field whose meaning is not the same."""
    left, right = _meaning(given), _meaning(wanted)
    return next((name for name in sorted(left.keys() | right.keys()) if left.get(name) != right.get(name)), None)


def _meaning(message: Any) -> dict[str, Any]:
    """Fields as plain values; repeated ones without their order."""
    found: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.name in _WITHOUT_MEANING:
            continue
        if field.is_repeated:
            found[field.name] = sorted(repr(_value(one)) for one in value)
        else:
            found[field.name] = _value(value)
    return found


def _value(value: Any) -> Any:
    return _meaning(value) if hasattr(value, "ListFields") else value
