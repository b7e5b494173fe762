"""How near a pipeline is to its limits: entries of tables of their sizes, masks, members, copies. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.ir.walking import clones, multicasts
from compiler.printers.layout_replication import MAX_GROUPS, MAX_SESSIONS
from compiler.printers.layout_ternary import MAX_MASKS
from runtime.device.contents import Contents, TableContents
from runtime.device.loaded import Loaded
from runtime.device.selectorcontents import SelectorContents
from runtime.device.status.status_pb2 import Usage


def usage_of(loaded: Loaded) -> Iterator[Usage]:
    """Of everything that controllers write; learned entries are the target's, and to count them takes long."""
    contents = loaded.contents
    for table in contents.tables.values():
        yield from _of_table(table)
    for selector in contents.selectors.values():
        yield from _of_selector(selector)
    yield from _of_copies(loaded, contents)


def _of_table(table: TableContents) -> Iterator[Usage]:
    name = table.codec.name
    yield Usage(what="entries", of=f"table {name}", used=len(table.rows), limit=table.codec.table.size)
    if table.masks is not None:
        yield Usage(what="masks", of=f"table {name}", used=table.masks.mask_count, limit=MAX_MASKS)
        if table.masks.prefixes is not None:
            used, limit = table.masks.prefixes
            yield Usage(what="prefixes of ranges", of=f"table {name}", used=used, limit=limit)


def _of_selector(held: SelectorContents) -> Iterator[Usage]:
    name, selector = held.selector.name, held.selector
    yield Usage(what="members", of=f"profile {name}", used=held.member_count, limit=selector.size)
    yield Usage(what="weights of all groups", of=f"profile {name}", used=held.total_weight, limit=selector.size)


def _of_copies(loaded: Loaded, contents: Contents) -> Iterator[Usage]:
    if multicasts(loaded.pipeline):
        yield Usage(what="multicast groups", used=len(contents.multicast_groups), limit=MAX_GROUPS)
    if clones(loaded.pipeline):
        yield Usage(what="clone sessions", used=len(contents.clone_sessions), limit=MAX_SESSIONS)
