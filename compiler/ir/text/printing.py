"""A pipeline as text: headers, metadata, parser, stores, actions, tables, counters, meters, drop reasons, controls."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from compiler.ir.controller import PACKET_IN, PACKET_OUT, ControllerHeader, Digest
from compiler.ir.headers import Case, Header, HeaderType, Match, State
from compiler.ir.nodes import Control, DropReason, Pipeline
from compiler.ir.tables import (
    Action,
    ActionRef,
    Counter,
    DirectMeter,
    Key,
    Meter,
    MeterType,
    Param,
    Selector,
    Store,
    Table,
)
from compiler.ir.text.entry_text import call_text, entries_lines
from compiler.ir.text.expression_text import expression_text, list_text, number_text
from compiler.ir.text.statement_text import INDENT, MAX_LINE, block_lines, inside_lines
from compiler.ir.translation import TranslatedType


def to_text(pipeline: Pipeline) -> str:
    """The text form, ending in a newline; equal pipelines give equal text."""
    parts: list[Iterable[str]] = [
        _pipeline_lines(pipeline),
        *map(_header_type_lines, pipeline.header_types),
        [_header_line(header) for header in pipeline.headers],
        _wrapped("metadata {", [f"{f.name}: {f.width_bits}" for f in pipeline.metadata], "}"),
        map(_type_line, pipeline.types),
        _controller_lines(PACKET_IN, pipeline.packet_in),
        _controller_lines(PACKET_OUT, pipeline.packet_out),
        *map(_digest_lines, pipeline.digests),
        *map(_state_lines, pipeline.parser),
        *map(_store_lines, pipeline.stores),
        *map(_action_lines, pipeline.actions),
        *map(_table_lines, pipeline.tables),
        *map(_counter_lines, pipeline.counters),
        *map(_meter_lines, pipeline.meters),
        [line for reason in pipeline.drop_reasons for line in _reason_lines(reason)],
        *map(_control_lines, pipeline.controls),
    ]
    texts = ("".join(f"{line}\n" for line in part) for part in parts)
    return "\n".join(text for text in texts if text)


def _doc_lines(doc: str) -> Iterator[str]:
    """Each line behind `///` and one space; an empty one without it."""
    if doc:
        yield from (f"/// {line}" if line else "///" for line in doc.split("\n"))


def _wrapped(opening: str, words: list[str], closing: str) -> Iterator[str]:
    """Words within a block, as many on a line as fit."""
    yield opening
    line = ""
    for word in words:
        if line and len(INDENT) + len(line) + 2 + len(word) > MAX_LINE:
            yield INDENT + line
            line = ""
        line = f"{line}  {word}" if line else word
    if line:
        yield INDENT + line
    if closing:
        yield closing


def _pipeline_lines(pipeline: Pipeline) -> Iterator[str]:
    yield from _doc_lines(pipeline.doc)
    name, version = json.dumps(pipeline.name), json.dumps(pipeline.version)
    yield f"pipeline {name} version {version} main {pipeline.main} drops {pipeline.drop_counter}"


def _header_type_lines(header_type: HeaderType) -> Iterator[str]:
    yield from _doc_lines(header_type.doc)
    fields = [f"{f.name}: {f.width_bits}" for f in header_type.fields]
    yield from _wrapped(f"header_type {header_type.name} {{", fields, "")
    if header_type.checksum is not None:
        none = " or_none" if header_type.checksum.zero_is_none else ""
        yield f"{INDENT}checksum {header_type.checksum.field} over {header_type.checksum.coverage.value}{none}"
    if header_type.pseudo_fields:
        yield f"{INDENT}pseudo {', '.join(header_type.pseudo_fields)}"
    yield "}"


def _header_line(header: Header) -> str:
    covered = f" covered_by {', '.join(header.covered_by)}" if header.covered_by else ""
    pseudo = f" pseudo_of {', '.join(header.pseudo_of)}" if header.pseudo_of else ""
    return f"header {header.name}: {header.type}{covered}{pseudo}"


def _digest_lines(digest: Digest) -> Iterator[str]:
    yield from _doc_lines(digest.doc)
    fields = [f"{f.name}: {f.width_bits}{_type_text(f.type)}" for f in digest.fields]
    yield from inside_lines(f"digest {digest.id:#010x} {digest.name}", fields)


def _controller_lines(keyword: str, header: ControllerHeader | None) -> Iterator[str]:
    if header is not None:
        yield from _doc_lines(header.doc)
        fields = [f"{f.id} {f.name}: {f.width_bits}{_type_text(f.type)}" for f in header.fields]
        yield from inside_lines(f"{keyword} {header.id:#010x}", fields)


def _state_lines(state: State) -> Iterator[str]:
    yield from _doc_lines(state.doc)
    yield f"state {state.name} {{"
    if state.extract is not None:
        yield f"{INDENT}extract {state.extract}"
    if state.select:
        yield f"{INDENT}select {list_text(state.select)}"
    for case in state.cases:
        yield f"{INDENT}case {_case_text(case)} -> {case.next}"
    yield f"{INDENT}default -> {state.default}"
    yield "}"


def _case_text(case: Case) -> str:
    return ", ".join(_match_text(match) for match in case.matches)


def _match_text(match: Match) -> str:
    if match.mask is None:
        return number_text(match.value)
    if match.mask == 0 and match.value == 0:
        return "_"
    return f"{number_text(match.value)} &&& {number_text(match.mask)}"


def _store_lines(store: Store) -> Iterator[str]:
    yield from _doc_lines(store.doc)
    yield f"store {store.name} {{"
    yield f"{INDENT}size {store.size}  ways {store.ways}"
    for profile in store.profiles:
        over = " over" if profile.is_over else ""
        yield f"{INDENT}profile {profile.id} {profile.name}: timeout_ms {profile.timeout_ms} rank {profile.rank}{over}"
    if store.events:
        yield f"{INDENT}events {', '.join(store.events)}"
    for transition in store.transitions:
        beside = f" beside {transition.other}" if transition.other else ""
        other_next = f", {transition.other_next}" if transition.other_next else ""
        yield f"{INDENT}on {transition.current} {transition.event}{beside} -> {transition.next}{other_next}"
    yield "}"


def _action_lines(action: Action) -> Iterator[str]:
    yield from _doc_lines(action.doc)
    params = [_param_text(param) for param in action.params]
    restriction = f" restriction {json.dumps(action.restriction)}" if action.restriction else ""
    opening, closing = f"action {action.id:#010x} {action.name}(", f"){restriction} {{" + ("" if action.body else " }")
    line = opening + ", ".join(params) + closing
    if len(line) <= MAX_LINE:
        yield line
    else:
        yield from _wrapped(opening, [f"{param}," for param in params[:-1]] + params[-1:], closing)
    if action.body:
        yield from block_lines(action.body)
        yield "}"


def _param_text(param: Param) -> str:
    return f"{param.id} {param.name}: {param.width_bits}{_behind(param)}"


def _format_text(form: str) -> str:
    return f" as {form}" if form else ""


def _behind(part: Key | Param) -> str:
    """What control planes know of it."""
    references = "".join(f" refers_to({one.table}, {one.field})" for one in part.refers_to)
    return _format_text(part.format) + _type_text(part.type) + references


def _type_text(name: str) -> str:
    return f" type {name}" if name else ""


def _type_line(one: TranslatedType) -> str:
    ports = " ports" if one.is_port else ""
    shown = "string" if one.sdn_bits is None else one.sdn_bits
    return f"type {one.name}: {one.width_bits}{ports} {shown} {json.dumps(one.uri)}"


def _table_lines(table: Table) -> Iterator[str]:
    yield from _doc_lines(table.doc)
    yield f"table {table.id:#010x} {table.name} {{"
    yield from (INDENT + _key_text(key) for key in table.keys)
    yield from (INDENT + _action_ref_text(reference) for reference in table.actions)
    yield f"{INDENT}default {_default_text(table)}"
    yield f"{INDENT}size {table.size}"
    if table.counter_id is not None:
        yield f"{INDENT}counter {table.counter_id:#010x}"
    if table.meter is not None:
        yield f"{INDENT}meter {table.meter.id:#010x} {_meter_kind_text(table.meter)}"
    if table.idle_timeout:
        yield f"{INDENT}idle_timeout"
    if table.selector is not None:
        yield from (INDENT + line for line in _selector_lines(table.selector))
    if table.store is not None:
        yield f"{INDENT}store {table.store}"
    if table.restriction:
        yield f"{INDENT}restriction {json.dumps(table.restriction)}"
    if table.entries or table.has_const_entries:
        yield from (INDENT + line for line in entries_lines(table))
    yield "}"


def _default_text(table: Table) -> str:
    call = call_text(table.default_call) if table.default_arguments else table.default_action
    return call if table.has_const_default else f"{call} modifiable"


def _key_text(key: Key) -> str:
    return f"key {key.id} {key.name}: {key.match.value}({expression_text(key.expr)}){_behind(key)}"


def _action_ref_text(reference: ActionRef) -> str:
    entries = " in_entries" if reference.in_entries else ""
    default = " as_default" if reference.as_default else ""
    return f"action {reference.name}{entries}{default}"


def _selector_lines(selector: Selector) -> Iterator[str]:
    yield f"selector {selector.id:#010x} {selector.name} size {selector.size} max_group_size {selector.max_group_size}"
    yield f"{INDENT}hash({list_text(selector.inputs)})"
    if selector.turns is not None:
        yield f"{INDENT}turns {expression_text(selector.turns.cell)} if {expression_text(selector.turns.asked)}"
    if selector.fewest is not None:
        yield f"{INDENT}fewest {selector.fewest.store} if {expression_text(selector.fewest.asked)}"


def _counter_lines(counter: Counter) -> Iterator[str]:
    yield from _doc_lines(counter.doc)
    yield f"counter {counter.id:#010x} {counter.name} size {counter.size}"


def _meter_lines(meter: Meter) -> Iterator[str]:
    yield from _doc_lines(meter.doc)
    yield f"meter {meter.id:#010x} {meter.name} size {meter.size} {_meter_kind_text(meter)}"


def _meter_kind_text(meter: Meter | DirectMeter) -> str:
    kind = "" if meter.type is MeterType.TWO_RATE_THREE_COLOR else f" {meter.type.value}"
    return f"{meter.unit.value}{kind}"


def _reason_lines(reason: DropReason) -> Iterator[str]:
    yield from _doc_lines(reason.doc)
    yield f"drop_reason {reason.id} {reason.name}"


def _control_lines(control: Control) -> Iterator[str]:
    yield from _doc_lines(control.doc)
    idle = f" idle_without {', '.join(control.idle_without)}" if control.idle_without else ""
    heat = f"{control.heat} " if control.heat else ""
    yield f"{heat}control {control.name}{idle} {{"
    yield from block_lines(control.body)
    yield "}"
