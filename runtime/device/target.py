"""What the device asks of a target: the kernel, or the model.

The device checks every change against `runtime.device.contents` before it asks, so a target sees only valid ones, and
both targets refuse the same. A target may still fail (memory, a map that the kernel says is full): it raises
`RefusedError` with RESOURCE_EXHAUSTED or INTERNAL. What it has done of a change by then is in `Instance.undo`, as
everything is that it does: the device undoes it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from compiler.ir.entries import (
    ActionCall,
    CloneSession,
    EntryKey,
    Exact,
    Group,
    Member,
    MeterConfig,
    MulticastGroup,
    TableEntry,
)
from compiler.ir.nodes import Pipeline
from compiler.printers.bundle import Bundle
from runtime.device.contents import Contents
from runtime.device.findings import Found
from runtime.device.portstates import PortStates
from runtime.device.records import ColorTallies, Row, Tally
from runtime.device.refusals import RefusedError
from runtime.device.schema import TableCodec
from runtime.device.slices import Steps
from runtime.device.undo import UndoLog

T = TypeVar("T")
MAX_PORT = 511
"""Ports are 1 to this; 0 is none."""


class PipelineRefusedError(Exception):
    """The target cannot run a pipeline. The text is fit to show, with the telling line and the log's path if any."""


class TargetError(Exception):
    """A target cannot start; the text is fit to print."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedRow:
    """An entry of a learned table. `idle_ms` is how long ago a packet last met it, `timeout_ms` how long it may be."""

    table: str
    matches: tuple[Exact, ...]
    action: ActionCall
    idle_ms: int
    timeout_ms: int
    packets: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """The pipeline that another one was about to follow, and the place where the target has it."""

    place: str
    pipeline: Pipeline


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """A batch that an earlier process had under way: packets may see what was before it, or what is after it.

    `finish` does it. `tables` have groups or members that it may change: where those lie is not known from the batch.
    """

    finish: Callable[[], object]
    tables: frozenset[str] = frozenset()


Advance = Callable[[int], None]
"""Told how many entries more have been gone through. Raises what is to end that."""


def unwatched(count: int) -> None:
    """Nobody asks how far it is."""
    del count


class Hearer(Protocol):
    """Who is told what packets have for controllers."""

    def packet_in(self, values: tuple[int, ...], frame: bytes) -> bool:
        """A packet-in: a value for each field of the pipeline's `packet_in`, and the frame as a wire has it.

        False: nobody could take it, and the target counts it under the reason that the pipeline names for that.
        """
        ...

    def digest(self, name: str, values: tuple[int, ...]) -> None:
        """A digest of the pipeline: a value for each of its fields."""
        ...

    def lost_digests(self, name: str, total: int) -> None:
        """How many digests the target has lost up to now, since nobody took them as fast as they came."""
        ...


class Instance(Protocol):
    """One pipeline in a target, with tables of its own. Packets pass through it from `activate` on.

    Entries may be written before it is activated: that is how COMMIT replays what was written since the save.
    """

    @property
    def pipeline(self) -> Pipeline: ...

    @property
    def undo(self) -> UndoLog:
        """Every change notes here how to take it back; the device notes there its own part of it."""
        ...

    def commit(self) -> None:
        """Let packets see all changes since the last commit, in one step: a packet sees all of them or none.

        Empties the log. Raises `RefusedError`: packets see nothing then, and the log still holds everything.
        May be called in another thread than everything else; nothing else is called meanwhile.
        """
        ...

    @property
    def lag(self) -> int:
        """How many changes of earlier commits are still to be brought to an end before another can be."""
        ...

    @property
    def unfinished(self) -> Sequence[str]:
        """What it still does by itself, in words: work of earlier commits, learned entries on their way here."""
        ...

    @property
    def goes_on(self) -> bool:
        """Whether it is what an earlier process had, with all that packets have written."""
        ...

    @property
    def place(self) -> str:
        """Where the target has it, for `Target.take_over` by a later process; empty if it goes with this one."""
        ...

    def counted(self) -> Mapping[str, Mapping[int, int]]:
        """Of each selector that picks the member with fewer connections, by name: how many count for each, by its id.

        Members with none are left out (`compiler.ir.tables.Fewest`).
        """
        ...

    def activate(self) -> None:
        """Let packets pass here from now on; in one step, none in between is lost. May be in another thread.

        What was asked for since the last `commit` is committed in that step. Raises `PipelineRefusedError`.
        """
        ...

    def adopt(
        self, contents: Contents, under_way: UnderWay | None = None, advance: Advance = unwatched
    ) -> Sequence[Found]:
        """Hold exactly these, whatever was there before; called once, before any change. May be in another thread.

        `advance` hears of entries on the way; what it raises is let through, and the instance is to be removed then.

        Then do what was under way, if it `goes_on`. Returns what packets met otherwise: neither as it was before that
        nor as it is after it. That is mended when it is activated, or else with the next commit.
        Raises `RefusedError` (RESOURCE_EXHAUSTED, INTERNAL).
        """
        ...

    def listen(self, hearer: Hearer) -> None:
        """Tell what packets have for controllers, from now until it is closed.

        Called once, when it is active, on the event loop on which the hearer is called later.
        """
        ...

    def close(self) -> None:
        """This process has done with it. Where the target outlives its process, packets pass on."""
        ...

    def remove(self) -> None:
        """Give everything back. The caller has activated another one before, or wants no pipeline."""
        ...

    def has_port(self, port: int) -> bool:
        """Whether there is such a port, up or down. Members of groups may watch it then."""
        ...

    def insert_entry(self, entry: TableEntry) -> None: ...
    def modify_entry(self, entry: TableEntry) -> None: ...
    def delete_entry(self, key: EntryKey) -> None: ...
    def takes_many(self, table: str) -> bool:
        """Whether the three below do many rows of a table together; else it is one after the other."""
        ...

    def insert_rows(self, codec: TableCodec, rows: Sequence[Row]) -> int:
        """As many inserts, in order. Returns how many are done: the next one failed, none behind it was tried.

        Why it failed is told when it is done alone. The rows have no action sets.
        """
        ...

    def modify_rows(self, codec: TableCodec, rows: Sequence[Row]) -> int: ...

    def delete_rows(self, codec: TableCodec, old: Sequence[Row]) -> int:
        """`old` are the rows as the target has them."""
        ...

    def insert_member(self, member: Member) -> None: ...

    @property
    def takes_many_members(self) -> bool:
        """Whether `insert_members` does many together."""
        ...

    def insert_members(self, members: Sequence[Member]) -> int:
        """As many inserts of one selector's, in order. Returns how many are done, as `insert_rows` does."""
        ...

    def modify_member(self, member: Member) -> None: ...
    def delete_member(self, selector: str, member_id: int) -> None: ...
    def insert_group(self, group: Group) -> None: ...
    def modify_group(self, group: Group) -> None: ...
    def delete_group(self, selector: str, group_id: int) -> None: ...

    def put_replication(self, given: MulticastGroup | CloneSession) -> None:
        """Add one, or put it in the place of the one with its id."""
        ...

    def delete_replication(self, given: MulticastGroup | CloneSession) -> None:
        """One that is there."""
        ...

    def direct_tallies(self, table: str, keys: Sequence[EntryKey]) -> list[Tally]:
        """The direct counters of entries that exist, in the order of `keys`."""
        ...

    def row_tallies(self, codec: TableCodec, rows: Sequence[Row]) -> Steps[Iterable[Tally]]:
        """The direct counters that these entries have now, in their order; they may be summed as they are taken.

        No entry changes between the steps. Raises ABORTED if it is closed then.
        """
        ...

    def set_direct_tally(self, key: EntryKey, tally: Tally) -> None: ...

    def tallies(self, counter: str, first: int, count: int) -> list[Tally]:
        """Values of an indexed counter from index `first` on."""
        ...

    def set_tallies(self, counter: str, first: int, count: int, tally: Tally) -> None:
        """Counters are set when the changes are committed: they count on until then."""
        ...

    def configure_meter(self, meter: str, first: int, count: int, config: MeterConfig | None) -> None:
        """Cells of an indexed meter from index `first` on; None makes them say green.

        A cell with a configuration keeps its tokens (docs/target-semantics.md). That of an entry is the entry's own.
        """
        ...

    def meter_tallies(self, meter: str, first: int, count: int) -> list[ColorTallies]: ...

    def clear_meter_tallies(self, meter: str, first: int, count: int) -> None:
        """When the changes are committed, as with counters."""
        ...

    def direct_meter_tallies(self, table: str, keys: Sequence[EntryKey]) -> list[ColorTallies]:
        """What the meters of entries that exist have told, in the order of `keys`."""
        ...

    def clear_direct_meter_tallies(self, key: EntryKey) -> None: ...

    def idle_ms(self, table: str, keys: Sequence[EntryKey]) -> list[int]:
        """How long ago packets last met entries that exist, in the order of `keys`.

        That an entry was inserted counts as meeting it. What is told is up to `IDLE_GRANULARITY_MS` too long.
        """
        ...

    def learned(self, table: str) -> Iterable[LearnedRow]: ...
    def find_learned(self, key: EntryKey) -> LearnedRow | None: ...

    def delete_learned(self, key: EntryKey) -> None:
        """Remove a learned entry and the other half of its pair, if it is there, when the changes are committed."""
        ...

    def tick(self) -> None:
        """Called about once a second: ageing, and giving back what may now be used again."""
        ...


class Target(Protocol):
    """Makes instances of pipelines."""

    @property
    def name(self) -> str: ...

    @property
    def port_states(self) -> PortStates: ...

    def interface(self, port: int) -> str | None:
        """What a port is on this machine, None where it is nothing now."""
        ...

    def prepare(self, bundle: Bundle) -> Instance:
        """Load a pipeline beside the one that runs. Raises `PipelineRefusedError`; the one that runs is untouched.

        May take a second, and may be called in another thread than everything else.
        """
        ...

    def prepare_after(self, old: Instance, bundle: Bundle) -> Instance:
        """As `prepare`, with the learned entries and counters of another instance that have a place in both.

        Says which have none.
        """
        ...

    def take_over(self, place: str, bundle: Bundle, before: Before | None = None, *, anew: bool = False) -> Instance:
        """What an earlier process prepared from this bundle, as it is there; loaded anew, and said so, if it is not.

        `before`: that process ended while it prepared this after another pipeline, which is still there.
        `anew`: its entries are not to be gone on with, but all written into new maps.
        Raises `PipelineRefusedError`.
        """
        ...

    def keep_only(self, places: Collection[str]) -> None:
        """Remove what earlier processes prepared in other places, and have not removed."""
        ...

    def send(self, port: int, frame: bytes) -> None:
        """Send a frame out of a port, past all tables.

        Raises `RefusedError`: INVALID_ARGUMENT (no such port, larger than its MTU), RESOURCE_EXHAUSTED, UNAVAILABLE.
        """
        ...

    def submit(self, frame: bytes) -> None:
        """Let a frame enter the running pipeline by the port `CPU_PORT`. Raises `RefusedError`."""
        ...

    def start(self) -> None:
        """Once the event loop runs: follow by itself, from now on, what happens to ports."""
        ...

    def tick(self) -> None:
        """Called about once a second."""
        ...

    def close(self) -> None:
        """The device ends."""
        ...


def done_one_by_one(change: Callable[[T], None], given: Sequence[T], undo: UndoLog) -> int:
    """What `Instance.insert_rows` and the like return, of a target that knows no better than one after the other."""
    for at, one in enumerate(given):
        mark = undo.mark
        try:
            change(one)
        except RefusedError:
            undo.back_to(mark)
            return at
    return len(given)
