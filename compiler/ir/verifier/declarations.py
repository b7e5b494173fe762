"""First pass: names and ids of everything that a pipeline declares, and the layout of its headers."""

from __future__ import annotations

import re
from collections.abc import Iterable

from compiler.diagnostic import Report
from compiler.ir.controller import (
    EGRESS_PORT,
    PACKET_OUT,
    PADDING,
    SUBMIT_TO_INGRESS,
)
from compiler.ir.headers import ACCEPT, Checksum, Coverage, HeaderType
from compiler.ir.interpreter.run import INGRESS_PORT
from compiler.ir.nodes import Pipeline
from compiler.ir.verifier import codes
from compiler.span import NOWHERE, Span

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_Named = tuple[str, Span]

ACTION_PREFIX, TABLE_PREFIX, SELECTOR_PREFIX, COUNTER_PREFIX, DIRECT_COUNTER_PREFIX = 0x01, 0x02, 0x11, 0x12, 0x13
METER_PREFIX, DIRECT_METER_PREFIX = 0x14, 0x15
CONTROLLER_HEADER_PREFIX, DIGEST_PREFIX = 0x04, 0x17
"""The top byte of an id says what it is of (P4Runtime specification, section 6.3)."""


def check_declarations(pipeline: Pipeline, report: Report) -> None:
    _check_names(pipeline, report)
    _check_ids(pipeline, report)
    for header_type in pipeline.header_types:
        _check_header_type(header_type, report)
    _check_headers(pipeline, report)
    _check_parts(pipeline, report)
    _check_controller_headers(pipeline, report)


def _check_names(pipeline: Pipeline, report: Report) -> None:
    """Actions, tables, selectors, counters and meters share one space, as P4Runtime names them."""
    entities: list[_Named] = [(action.name, action.span) for action in pipeline.actions]
    entities += [(table.name, table.span) for table in pipeline.tables]
    entities += [(table.selector.name, table.span) for table in pipeline.tables if table.selector]
    entities += [(counter.name, NOWHERE) for counter in pipeline.counters]
    entities += [(meter.name, NOWHERE) for meter in pipeline.meters]
    spaces: list[tuple[str, Iterable[_Named]]] = [
        ("action, table, selector, counter or meter", entities),
        ("header type", [(t.name, NOWHERE) for t in pipeline.header_types]),
        ("header", [(name, NOWHERE) for name in (*pipeline.controller_headers, *(h.name for h in pipeline.headers))]),
        ("metadata field", [(f.name, NOWHERE) for f in pipeline.metadata]),
        ("parser state", [(ACCEPT, NOWHERE), *((s.name, s.span) for s in pipeline.parser)]),
        ("control", [(c.name, c.span) for c in pipeline.controls]),
        ("store", [(s.name, NOWHERE) for s in pipeline.stores]),
        ("type", [(t.name, NOWHERE) for t in pipeline.types]),
        ("digest", [(d.name, NOWHERE) for d in pipeline.digests]),
        ("drop reason", [(r.name, NOWHERE) for r in pipeline.drop_reasons]),
    ]
    for digest in pipeline.digests:
        spaces.append((f"field of digest {digest.name}", [(f.name, NOWHERE) for f in digest.fields]))
    for name, header in pipeline.controller_headers.items():
        spaces.append((f"field of {name}", [(f.name, NOWHERE) for f in header.fields]))
    for table in pipeline.tables:
        spaces.append((f"key of table {table.name}", [(key.name, table.span) for key in table.keys]))
    for action in pipeline.actions:
        spaces.append((f"parameter of action {action.name}", [(param.name, action.span) for param in action.params]))
    for header_type in pipeline.header_types:
        spaces.append((f"field of header type {header_type.name}", [(f.name, NOWHERE) for f in header_type.fields]))
    for kind, named in spaces:
        _check_unique_names(kind, named, report)


def _check_unique_names(kind: str, named: Iterable[_Named], report: Report) -> None:
    seen: set[str] = set()
    for name, span in named:
        if not _NAME.fullmatch(name):
            report.add(codes.BAD_NAME, span, f"{kind} '{name}'", expected="small letters, digits and _, a letter first")
        if name in seen:
            report.add(codes.DUPLICATE_NAME, span, f"'{name}' names more than one {kind}")
        seen.add(name)


def _check_ids(pipeline: Pipeline, report: Report) -> None:
    ids: list[tuple[str, int, int, Span]] = []
    ids += [(f"action {a.name}", a.id, ACTION_PREFIX, a.span) for a in pipeline.actions]
    ids += [(f"table {t.name}", t.id, TABLE_PREFIX, t.span) for t in pipeline.tables]
    ids += [(f"counter {c.name}", c.id, COUNTER_PREFIX, NOWHERE) for c in pipeline.counters]
    ids += [(f"meter {m.name}", m.id, METER_PREFIX, NOWHERE) for m in pipeline.meters]
    ids += [(f"digest {d.name}", d.id, DIGEST_PREFIX, NOWHERE) for d in pipeline.digests]
    ids += [(name, h.id, CONTROLLER_HEADER_PREFIX, NOWHERE) for name, h in pipeline.controller_headers.items()]
    for table in pipeline.tables:
        if table.selector is not None:
            ids.append((f"selector {table.selector.name}", table.selector.id, SELECTOR_PREFIX, table.span))
        if table.meter is not None:
            ids.append((f"the meter of table {table.name}", table.meter.id, DIRECT_METER_PREFIX, table.span))
        if table.counter_id is not None:
            ids.append((f"the counter of table {table.name}", table.counter_id, DIRECT_COUNTER_PREFIX, table.span))
    for what, number, prefix, span in ids:
        if number >> 24 != prefix or number & 0xFFFFFF == 0:
            report.add(
                codes.BAD_ID, span, f"{what} has the id {number:#010x}", expected=f"{prefix:#04x} in the top byte"
            )
    _check_unique_ids("P4Runtime id", [(number, what, span) for what, number, _, span in ids], report)
    for table in pipeline.tables:
        _check_small_ids(f"key of table {table.name}", [(k.id, k.name) for k in table.keys], table.span, report)
    for action in pipeline.actions:
        _check_small_ids(
            f"parameter of action {action.name}", [(p.id, p.name) for p in action.params], action.span, report
        )
    for name, header in pipeline.controller_headers.items():
        _check_small_ids(f"field of {name}", [(f.id, f.name) for f in header.fields], NOWHERE, report)
    reasons = [(r.id, r.name) for r in pipeline.drop_reasons]
    _check_small_ids("drop reason", reasons, NOWHERE, report)


def _check_small_ids(kind: str, ids: list[tuple[int, str]], span: Span, report: Report) -> None:
    for number, name in ids:
        if number < 1:
            report.add(codes.BAD_ID, span, f"{kind} {name} has the id {number}", expected="ids from 1")
    _check_unique_ids(f"id of a {kind}", [(number, name, span) for number, name in ids], report)


def _check_unique_ids(kind: str, ids: list[tuple[int, str, Span]], report: Report) -> None:
    seen: dict[int, str] = {}
    for number, what, span in ids:
        if number in seen:
            report.add(codes.DUPLICATE_ID, span, f"{kind} {number:#x}: {seen[number]} and {what} have it")
        seen[number] = what


def _check_header_type(header_type: HeaderType, report: Report) -> None:
    fields = {f.name for f in header_type.fields}
    if header_type.width_bits == 0 or header_type.width_bits % 8:
        message = f"header type {header_type.name} is {header_type.width_bits} bits wide"
        report.add(codes.BAD_HEADER, NOWHERE, message, expected="whole bytes")
    for f in header_type.fields:
        if f.width_bits < 1:
            report.add(codes.BAD_HEADER, NOWHERE, f"field {f.name} of header type {header_type.name} has no bits")
    wanted = [*header_type.pseudo_fields, *([header_type.checksum.field] if header_type.checksum else [])]
    for name in wanted:
        if name not in fields:
            report.add(codes.UNKNOWN_NAME, NOWHERE, f"header type {header_type.name} has no field '{name}'")
    if header_type.checksum is not None:
        _check_checksum_place(header_type, header_type.checksum, report)


def _check_checksum_place(header_type: HeaderType, checksum: Checksum, report: Report) -> None:
    width, expected = 16, "16 bits at an even byte"
    if checksum.coverage is Coverage.CRC32C:
        width, expected = 32, "32 bits at an even byte"
    offset = 0
    for f in header_type.fields:
        if f.name == checksum.field and (f.width_bits != width or offset % 16):
            message = f"checksum {f.name} of header type {header_type.name} is {f.width_bits} bits at bit {offset}"
            report.add(codes.BAD_HEADER, NOWHERE, message, expected=expected)
        offset += f.width_bits


def _check_headers(pipeline: Pipeline, report: Report) -> None:
    types = {header_type.name: header_type for header_type in pipeline.header_types}
    headers = {header.name: header for header in pipeline.headers}
    for header in pipeline.headers:
        if header.type not in types:
            report.add(codes.UNKNOWN_NAME, NOWHERE, f"header {header.name} has the unknown type '{header.type}'")
        for holder in (*header.covered_by, *header.pseudo_of):
            held = headers.get(holder)
            if held is None:
                report.add(codes.UNKNOWN_NAME, NOWHERE, f"header {header.name} names the unknown header '{holder}'")
            elif held.type in types and not _sums_others(types[held.type]):
                report.add(codes.BAD_HEADER, NOWHERE, f"header {holder}, named by {header.name}, has no checksum")


def _sums_others(header_type: HeaderType) -> bool:
    """Whether its checksum can follow changes in other headers."""
    return header_type.checksum is not None and header_type.checksum.coverage is not Coverage.CRC32C


def _check_parts(pipeline: Pipeline, report: Report) -> None:
    counters = {counter.name: counter for counter in pipeline.counters}
    drops = counters.get(pipeline.drop_counter)
    if drops is None:
        report.add(codes.UNKNOWN_NAME, NOWHERE, f"the counter of drops '{pipeline.drop_counter}' is not declared")
    elif any(reason.id >= drops.size for reason in pipeline.drop_reasons):
        report.add(
            codes.BAD_SIZE, NOWHERE, f"counter {drops.name} has {drops.size} places, too few for all drop reasons"
        )
    if pipeline.main not in {control.name for control in pipeline.controls}:
        report.add(codes.UNKNOWN_NAME, NOWHERE, f"the main control '{pipeline.main}' is not declared")
    if INGRESS_PORT not in {f.name for f in pipeline.metadata}:
        report.add(codes.MISSING_PART, NOWHERE, f"metadata has no field '{INGRESS_PORT}'")
    if not pipeline.parser:
        report.add(codes.MISSING_PART, NOWHERE, "the parser has no state")
    for f in pipeline.metadata:
        if f.width_bits < 1:
            report.add(codes.WIDTH, NOWHERE, f"metadata field {f.name} has no bits")
    for counter in pipeline.counters:
        if counter.size < 1:
            report.add(codes.BAD_SIZE, NOWHERE, f"counter {counter.name} has the size {counter.size}")
    for meter in pipeline.meters:
        if meter.size < 1:
            report.add(codes.BAD_SIZE, NOWHERE, f"meter {meter.name} has the size {meter.size}")


def _check_controller_headers(pipeline: Pipeline, report: Report) -> None:
    """Whole bytes, since P4 puts them in front of a frame; a packet-out says its port, and nothing unheard of."""
    for digest in pipeline.digests:
        if not digest.fields or any(not 1 <= f.width_bits <= 128 for f in digest.fields):
            message = f"digest {digest.name} has no fields, or one that is not 1 to 128 bits wide"
            report.add(codes.BAD_HEADER, NOWHERE, message)
    for name, header in pipeline.controller_headers.items():
        total = sum(f.width_bits for f in header.fields)
        if total == 0 or total % 8 or any(not 1 <= f.width_bits <= 64 for f in header.fields):
            message = f"{name} is {total} bits wide, in fields of {', '.join(str(f.width_bits) for f in header.fields)}"
            report.add(codes.BAD_HEADER, NOWHERE, message, expected="whole bytes, and 1 to 64 bits a field")
    if pipeline.packet_out is None:
        return
    widths = {f.name: f.width_bits for f in pipeline.packet_out.fields}
    if EGRESS_PORT not in widths:
        report.add(codes.MISSING_PART, NOWHERE, f"{PACKET_OUT} has no field '{EGRESS_PORT}'")
    if widths.get(SUBMIT_TO_INGRESS, 1) != 1:
        message = f"{PACKET_OUT}.{SUBMIT_TO_INGRESS} is {widths[SUBMIT_TO_INGRESS]} bits wide"
        report.add(codes.WIDTH, NOWHERE, message, expected="1 bit")
    for name in widths:
        if name not in (EGRESS_PORT, SUBMIT_TO_INGRESS) and not name.startswith(PADDING):
            message = f"{PACKET_OUT} has a field '{name}', which means nothing to a device"
            report.add(codes.BAD_HEADER, NOWHERE, message, expected=f"{EGRESS_PORT}, {SUBMIT_TO_INGRESS}, {PADDING}...")
