"""Entries of source ranges: which clients outside a service lets in at one of its addresses."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.entries.vocabulary import Vocabulary
from compiler.ir.entries import TableEntry
from compiler.pipeline.admission import TABLE
from compiler.policy.policyset import Address, Service


def range_entries(words: Vocabulary, service: Service, front: Address, number: int, owner: str) -> Iterator[TableEntry]:
    """One for each range of the address's family. Where ranges are allowed, of whichever family, all others are not."""
    if not service.is_bounded(front):
        return
    family = f"ipv{front.version}"
    found = [
        (r.prefix.network_address, r.prefix.prefixlen, r.is_allowed, r.span)
        for r in service.source_ranges
        if r.prefix.version == front.version
    ]
    if not service.admits_others and not any(not length for _, length, _, _ in found):
        first = next(r for r in service.source_ranges if r.is_allowed)
        found.append((type(front)(0), 0, False, first.span))
    for address, length, is_allowed, span in found:
        call = words.call(f"{'admit' if is_allowed else 'deny'}_source_{family}")
        yield words.entry(f"{TABLE}_{family}", call, span, owner, prefix_len=length, service_id=number, source=address)
