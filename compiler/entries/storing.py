"""Entries of storage: class and rate of portals and registries, by their number and the direction of a packet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from compiler.entries.vocabulary import Vocabulary
from compiler.ir.entries import ActionCall, MeterConfig, TableEntry
from compiler.policy.policyset import Steering
from compiler.span import Span

DSCP_SHIFT = 2
BITS_OF_A_BYTE = 8


def storage_entries(words: Vocabulary, portals: Iterable[tuple[int, Steering, Span, str]]) -> Iterator[TableEntry]:
    """Two entries for each number of a portal: its packets to targets, and those to hosts, each with a meter."""
    for number, steering, span, owner in portals:
        for is_reply in (0, 1):
            entry = words.entry("storage", _action(words, steering), span, owner, service_id=number, is_reply=is_reply)
            yield replace(entry, meter=_meter(steering))


def _action(words: Vocabulary, steering: Steering) -> ActionCall:
    if steering.dscp is None:
        return words.call("admit")
    return words.call("classify_storage", traffic_class=steering.dscp << DSCP_SHIFT)


def _meter(steering: Steering) -> MeterConfig | None:
    """None for one that lets everything pass. Of a meter of one rate the peak is the same (P4Runtime)."""
    if steering.rate_bps is None:
        return None
    rate = steering.rate_bps // BITS_OF_A_BYTE
    return MeterConfig(cir=rate, cburst=steering.burst, pir=rate, pburst=steering.burst)
