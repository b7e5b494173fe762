"""Which parts of the printed C a set of entries needs: the `uses_*` constants, by which the verifier takes code out."""

from __future__ import annotations

from collections.abc import Iterable

from compiler.ir.entries import Entries
from compiler.ir.nodes import Pipeline
from compiler.printers.ebpf.printing import flagged

PREFIX = "uses_"


def flags_of(pipeline: Pipeline, used_tables: Iterable[str]) -> dict[str, int]:
    """1 for each table in use, and for the store of a family with a service in use; 0 for the others."""
    used = set(used_tables)
    stores = {table.store for table in pipeline.tables if table.store is not None}
    if any(name.startswith("service_") for name in used):
        families = {name.removeprefix("service_") for name in used if name.startswith("service_")}
        used |= {store for store in stores if store.rpartition("_")[2] in families}
    return {PREFIX + name: int(name in used) for name in flagged(pipeline)}


def features(pipeline: Pipeline, entries: Entries) -> dict[str, int]:
    """The constants for a device that holds just these entries."""
    return flags_of(pipeline, {entry.table for entry in entries.table_entries})
