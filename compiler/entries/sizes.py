"""What the tables of a device cannot hold, said before anything is written to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from compiler.diagnostic import Report
from compiler.entries import codes
from compiler.entries.vocabulary import Vocabulary
from compiler.ir.entries import Entries, TableEntry
from compiler.ir.expressions import width_bits
from compiler.ir.tables import Table
from compiler.policy.policyset import Device, Profile
from compiler.printers.layout_ternary import MAX_MASKS, Numbers, has_masks, mask_layout
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
        _check_masks(words, device, entries, report)


def _check_masks(words: Vocabulary, device: Device, entries: Entries, report: Report) -> None:
    """Told at the first entry that needs one more than a packet is looked up with (docs/target-semantics.md)."""
    held: dict[str, list[TableEntry]] = {}
    for entry in entries.table_entries:
        held.setdefault(entry.table, []).append(entry)
    for name, of_table in sorted(held.items()):
        table = words.table(name)
        if not has_masks([key.match for key in table.keys]):
            continue
        masks, first = _masks(table, of_table)
        if first is not None:
            message = f"device '{device.name}' would need {masks} masks in table {name}, which has {MAX_MASKS}"
            report.add(codes.TOO_MANY_MASKS, first.span, message, expected=f"at most {MAX_MASKS}", hint=_HINT)


def _masks(table: Table, entries: Iterable[TableEntry]) -> tuple[int, TableEntry | None]:
    """How many masks the entries have, and the first entry with which they are too many."""
    layout = mask_layout(table.name, [(key.name, width_bits(key.expr)) for key in table.keys])
    masks, first = set[Numbers](), None
    for entry in entries:
        masks.update(place.mask for place in layout.places(entry.matches))
        if first is None and len(masks) > MAX_MASKS:
            first = entry
    return len(masks), first
