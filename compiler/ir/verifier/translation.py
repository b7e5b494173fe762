"""Translated types stand where a control plane gives or gets a value, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.diagnostic import Report, did_you_mean
from compiler.ir.controller import EGRESS_PORT, PACKET_OUT
from compiler.ir.entries import ActionCall
from compiler.ir.expressions import width_bits
from compiler.ir.nodes import Pipeline
from compiler.ir.tables import Action, MatchKind, Table
from compiler.ir.translation import TranslatedType
from compiler.ir.verifier import codes
from compiler.span import NOWHERE, Span

MOST_BITS = 128


def check_translation(pipeline: Pipeline, report: Report) -> None:
    types = {one.name: one for one in pipeline.types}
    _check_types(pipeline, report)
    for what, name, width, form, span in _uses(pipeline):
        if name not in types:
            hint = did_you_mean(name, types)
            report.add(codes.UNKNOWN_NAME, span, f"{what} has the unknown type '{name}'", hint=hint)
        elif types[name].width_bits != width or form:
            shown = f" and is written as {form}" if form else ""
            message = f"{what} has {width} bits{shown}, its type {name} has {types[name].width_bits}"
            report.add(codes.BAD_TYPE, span, message)
    for table in pipeline.tables:
        _check_table(table, pipeline, report)
    for action in pipeline.actions:
        if action.restriction and any(param.type for param in action.params):
            message = f"action {action.name} has a restriction, and a parameter of a translated type"
            report.add(codes.BAD_TYPE, action.span, message)
    for field in pipeline.packet_out.fields if pipeline.packet_out is not None else ():
        if field.type in types and not (types[field.type].is_port and field.name == EGRESS_PORT):
            message = f"field {field.name} of {PACKET_OUT} has the type {field.type}"
            report.add(codes.BAD_TYPE, NOWHERE, message, expected=f"a type of ports, of {EGRESS_PORT} alone")


def _check_types(pipeline: Pipeline, report: Report) -> None:
    used = {name for _, name, *_ in _uses(pipeline)}
    for one in pipeline.types:
        if not 1 <= one.width_bits <= MOST_BITS or (one.sdn_bits is not None and not 1 <= one.sdn_bits <= MOST_BITS):
            message = f"type {one.name} has {one.width_bits} bits, for control planes {one.sdn_bits}"
            report.add(codes.BAD_TYPE, NOWHERE, message, expected=f"1 to {MOST_BITS}")
        if any(sign in one.uri for sign in '"\\\n'):
            message = f"the URI of type {one.name} has a quote, a backslash or a line end, which P4 cannot say"
            report.add(codes.BAD_TYPE, NOWHERE, message)
        if one.name not in used:
            report.add(codes.UNUSED, NOWHERE, f"nothing has the type {one.name}")
    for first, other in _unlike(pipeline.types):
        together = "are both of ports" if first.is_port and other.is_port else "share a URI"
        report.add(codes.BAD_TYPE, NOWHERE, f"types {first.name} and {other.name} {together} and differ")


def _unlike(types: tuple[TranslatedType, ...]) -> Iterator[tuple[TranslatedType, TranslatedType]]:
    """Pairs that would need two tables of values for one space."""
    for at, first in enumerate(types):
        for other in types[at + 1 :]:
            if first.is_port and other.is_port:
                is_like = first.sdn_bits == other.sdn_bits
            else:
                meaning = [(one.is_port, one.sdn_bits, one.width_bits) for one in (first, other)]
                is_like = not first.uri or first.uri != other.uri or meaning[0] == meaning[1]
            if not is_like:
                yield first, other


def _uses(pipeline: Pipeline) -> Iterator[tuple[str, str, int, str, Span]]:
    """What has a type, its name, and the width and format of what has it."""
    for table in pipeline.tables:
        for key in table.keys:
            if key.type:
                what = f"key {key.name} of table {table.name}"
                yield what, key.type, width_bits(key.expr), key.format, table.span
    for action in pipeline.actions:
        for param in action.params:
            if param.type:
                what = f"parameter {param.name} of action {action.name}"
                yield what, param.type, param.width_bits, param.format, action.span
    for name, header in pipeline.controller_headers.items():
        for field in header.fields:
            if field.type:
                yield f"field {field.name} of {name}", field.type, field.width_bits, "", NOWHERE
    for digest in pipeline.digests:
        for field in digest.fields:
            if field.type:
                yield f"field {field.name} of digest {digest.name}", field.type, field.width_bits, "", NOWHERE


def _check_table(table: Table, pipeline: Pipeline, report: Report) -> None:
    actions = {action.name: action for action in pipeline.actions}
    for key in table.keys:
        if key.type and key.match not in (MatchKind.EXACT, MatchKind.OPTIONAL):
            message = f"key {key.name} of table {table.name} is translated, and matched {key.match.value}"
            report.add(codes.BAD_TYPE, table.span, message, expected="an exact or an optional key")
    typed_key = any(key.type for key in table.keys)
    offered = [actions[ref.name] for ref in table.actions if ref.name in actions]
    if table.store is not None and (typed_key or any(_is_typed(action) for action in offered)):
        message = f"table {table.name} is learned: packets know nothing of translated types"
        report.add(codes.BAD_TYPE, table.span, message)
    if table.restriction and typed_key:
        message = f"table {table.name} has a restriction, and a key of a translated type"
        report.add(codes.BAD_TYPE, table.span, message)
    calls: list[tuple[ActionCall, Span]] = [(table.default_call, table.span)]
    calls += [(entry.action, entry.span) for entry in table.entries]
    if (typed_key and table.entries) or any(_is_typed(actions[c.action]) for c, _ in calls if c.action in actions):
        message = (
            f"table {table.name} has a value of a translated type from the start, which no control plane has named"
        )
        report.add(codes.BAD_TYPE, table.span, message)


def _is_typed(action: Action) -> bool:
    return any(param.type for param in action.params)
