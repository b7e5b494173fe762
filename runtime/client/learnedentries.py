"""Learned entries as P4Runtime tells them: what the packets of known connections get."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from finsy.proto import p4r

from compiler.ir.entries import ActionCall, Exact, TableEntry
from compiler.ir.nodes import Pipeline
from runtime.client.session import Session
from runtime.device.schema import schema

_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedRead:
    """`timeout_ms` is that of its profile, whose name P4Runtime has no word for."""

    table: str
    key: tuple[int, ...]
    action: ActionCall
    timeout_ms: int
    idle_ms: int


class LearnedReader:
    """Reads from one device. Nothing is kept: connections come and go."""

    def __init__(self, session: Session, pipeline: Pipeline) -> None:
        self._session = session
        self._codecs = {codec.name: codec for codec in schema(pipeline).tables.values() if codec.is_learned}

    def entries(self, table: str) -> Iterator[TableEntry]:
        """All of a table. Raises `ClientError`."""
        codec = self._codecs[table]
        for entity in self._session.read([p4r.Entity(table_entry=p4r.TableEntry(table_id=codec.table.id))]):
            action = codec.decode_action(entity.table_entry.action)
            if isinstance(action, ActionCall):
                matches = codec.decode_matches(entity.table_entry.match)
                yield TableEntry(table=table, matches=matches, action=action)

    def find(self, table: str, key: tuple[int, ...]) -> LearnedRead | None:
        """Raises `ClientError`."""
        codec = self._codecs[table]
        asked = p4r.TableEntry(table_id=codec.table.id)
        asked.match.extend(codec.encode_matches(tuple(Exact(value=value) for value in key)))
        asked.time_since_last_hit.SetInParent()
        for entity in self._session.read([p4r.Entity(table_entry=asked)]):
            found = entity.table_entry
            action = codec.decode_action(found.action)
            if isinstance(action, ActionCall):
                return LearnedRead(
                    table=table,
                    key=key,
                    action=action,
                    timeout_ms=found.idle_timeout_ns // _NS_PER_MS,
                    idle_ms=found.time_since_last_hit.elapsed_ns // _NS_PER_MS,
                )
        return None
