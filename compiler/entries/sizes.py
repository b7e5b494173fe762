"""What the tables of a device cannot hold, said before anything is written to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from compiler.diagnostic import Report
from compiler.entries import codes
from compiler.entries.vocabulary import Vocabulary
from compiler.ir.entries import Entries, TableEntry
from compiler.ir.expressions import width_bits
from compiler.ir.tables import Table
from compiler.policy.policyset import Device, Profile
from compiler.printers.layout_ternary import MAX_MASKS, MaskLayout, Numbers, has_masks, mask_layout, place_limit
from compiler.span import Span

_HINT: Final = "use prefixes of fewer lengths, and ranges of ports that begin and end at multiples of 16, 256 or 4096"


def check_sizes(words: Vocabulary, device: Device, entries: Entries, report: Report) -> None:
    """Refuse before the load what a table cannot hold."""
    counts = Counter(entry.table for entry in entries.table_entries)
    first: dict[str, Span] = {}
    for entry in entries.table_entries:
        first.setdefault(entry.table, entry.span)
    for name, wanted in sorted(counts.items()):
        size = words.table(name).size
        if wanted > size:
            message = f"device '{device.name}' would need {wanted} entries in table {name}, which holds {size}"
            report.add(codes.TABLE_TOO_SMALL, first[name], message, expected=f"at most {size}")
    if device.profile is not Profile.V1MODEL:
        for table, held in _with_masks(words, entries):
            _check_masks(table, device, held, report)
            _check_places(table, device, held, report)


def _with_masks(words: Vocabulary, entries: Entries) -> Iterator[tuple[Table, list[TableEntry]]]:
    held: dict[str, list[TableEntry]] = {}
    for entry in entries.table_entries:
        held.setdefault(entry.table, []).append(entry)
    for name, of_table in sorted(held.items()):
        table = words.table(name)
        if has_masks([key.match for key in table.keys]):
            yield table, of_table


def _check_masks(table: Table, device: Device, held: list[TableEntry], report: Report) -> None:
    """Told at the first entry that needs one more than a packet is looked up with (docs/target-semantics.md)."""
    masks, first = _masks(table, held)
    if first is not None:
        message = f"device '{device.name}' would need {masks} masks in table {table.name}, which has {MAX_MASKS}"
        report.add(codes.TOO_MANY_MASKS, first.span, message, expected=f"at most {MAX_MASKS}", hint=_HINT)


def _check_places(table: Table, device: Device, held: list[TableEntry], report: Report) -> None:
    """An entry takes a place for each prefix that its ranges become. Told at the first one that finds none."""
    layout, needed, first = _layout(table), 0, None
    limit = place_limit([key.match for key in table.keys], table.size)
    for entry in held:
        needed += layout.place_count(entry.matches)
        if first is None and needed > limit:
            first = entry
    if first is not None:
        message = (
            f"device '{device.name}' would need {needed} prefixes for the ranges in table {table.name}, "
            f"which holds {limit}"
        )
        report.add(codes.TABLE_TOO_SMALL, first.span, message, expected=f"at most {limit}", hint=_HINT)


def _masks(table: Table, entries: Iterable[TableEntry]) -> tuple[int, TableEntry | None]:
    """How many masks the entries have, and the first entry with which they are too many."""
    layout = _layout(table)
    masks, first = set[Numbers](), None
    for entry in entries:
        masks.update(place.mask for place in layout.places(entry.matches))
        if first is None and len(masks) > MAX_MASKS:
            first = entry
    return len(masks), first


def _layout(table: Table) -> MaskLayout:
    return mask_layout(table.name, [(key.name, width_bits(key.expr)) for key in table.keys])
