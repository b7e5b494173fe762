"""A target that does nothing yet: what replay writes into, so that contents come to be before any map is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from compiler.ir.entries import CloneSession, EntryKey, Group, Member, MeterConfig, MulticastGroup, TableEntry
from compiler.ir.nodes import Pipeline
from compiler.span import InternalError
from runtime.device.contents import Contents
from runtime.device.findings import Found
from runtime.device.records import ColorTallies, Row, Tally
from runtime.device.schema import TableCodec
from runtime.device.slices import Steps
from runtime.device.target import Advance, Hearer, Instance, LearnedRow, UnderWay, unwatched
from runtime.device.undo import UndoLog

Effect = Callable[[Instance], object]


class Deferred:
    """An instance of nothing. Entries, members, groups, meters and the like are the contents' alone.

    What else was asked is kept: `effects` are what is in no contents, counters that were set and learned entries that
    were deleted.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self.undo = UndoLog()
        self.effects: list[Effect] = []

    @property
    def pipeline(self) -> Pipeline:
        return self._pipeline

    @property
    def lag(self) -> int:
        return 0

    @property
    def unfinished(self) -> Sequence[str]:
        return ()

    @property
    def goes_on(self) -> bool:
        return False

    @property
    def place(self) -> str:
        return ""

    def counted(self) -> dict[str, dict[int, int]]:
        return {}

    def commit(self) -> None:
        self.undo.finish()
        self.undo.clear()

    def activate(self) -> None: ...
    def adopt(self, contents: Contents, under_way: UnderWay | None = None, advance: Advance = unwatched) -> list[Found]:
        raise _unread(contents, under_way, advance)

    def listen(self, hearer: Hearer) -> None: ...
    def close(self) -> None: ...
    def remove(self) -> None: ...

    def has_port(self, port: int) -> bool:
        """A port that was there may be none any more: who watches it is down, and keeps what it has."""
        return port > 0

    def insert_entry(self, entry: TableEntry) -> None: ...
    def modify_entry(self, entry: TableEntry) -> None: ...
    def delete_entry(self, key: EntryKey) -> None: ...

    def takes_many(self, table: str) -> bool:
        del table
        return True

    def insert_rows(self, codec: TableCodec, rows: Sequence[Row]) -> int:
        del codec
        return len(rows)

    def modify_rows(self, codec: TableCodec, rows: Sequence[Row]) -> int:
        del codec
        return len(rows)

    def delete_rows(self, codec: TableCodec, old: Sequence[Row]) -> int:
        del codec
        return len(old)

    def insert_member(self, member: Member) -> None: ...

    @property
    def takes_many_members(self) -> bool:
        return True

    def insert_members(self, members: Sequence[Member]) -> int:
        return len(members)

    def modify_member(self, member: Member) -> None: ...
    def delete_member(self, selector: str, member_id: int) -> None: ...
    def insert_group(self, group: Group) -> None: ...
    def modify_group(self, group: Group) -> None: ...
    def delete_group(self, selector: str, group_id: int) -> None: ...
    def put_replication(self, given: MulticastGroup | CloneSession) -> None: ...
    def delete_replication(self, given: MulticastGroup | CloneSession) -> None: ...
    def tick(self) -> None: ...

    def configure_meter(self, meter: str, first: int, count: int, config: MeterConfig | None) -> None: ...

    def clear_meter_tallies(self, meter: str, first: int, count: int) -> None:
        self._defer(lambda instance: instance.clear_meter_tallies(meter, first, count))

    def clear_direct_meter_tallies(self, key: EntryKey) -> None:
        self._defer(lambda instance: instance.clear_direct_meter_tallies(key))

    def set_direct_tally(self, key: EntryKey, tally: Tally) -> None:
        self._defer(lambda instance: instance.set_direct_tally(key, tally))

    def set_tallies(self, counter: str, first: int, count: int, tally: Tally) -> None:
        self._defer(lambda instance: instance.set_tallies(counter, first, count, tally))

    def delete_learned(self, key: EntryKey) -> None:
        self._defer(lambda instance: instance.delete_learned(key))

    def _defer(self, effect: Effect) -> None:
        self.undo.at_commit(lambda: self.effects.append(effect))

    def direct_tallies(self, table: str, keys: Sequence[EntryKey]) -> list[Tally]:
        raise _unread(table, keys)

    def row_tallies(self, codec: TableCodec, rows: Sequence[Row]) -> Steps[Iterable[Tally]]:
        raise _unread(codec.name, rows)

    def tallies(self, counter: str, first: int, count: int) -> list[Tally]:
        raise _unread(counter, first, count)

    def meter_tallies(self, meter: str, first: int, count: int) -> list[ColorTallies]:
        raise _unread(meter, first, count)

    def direct_meter_tallies(self, table: str, keys: Sequence[EntryKey]) -> list[ColorTallies]:
        raise _unread(table, keys)

    def idle_ms(self, table: str, keys: Sequence[EntryKey]) -> list[int]:
        raise _unread(table, keys)

    def learned(self, table: str) -> Iterable[LearnedRow]:
        raise _unread(table)

    def find_learned(self, key: EntryKey) -> LearnedRow | None:
        raise _unread(key)


def _unread(*what: object) -> InternalError:
    return InternalError(f"{what} is read while the journal is replayed")
