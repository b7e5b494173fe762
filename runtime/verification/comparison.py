"""Levels side by side, kept in step: every packet, wait, sweep and write goes to all, and the interpreter is right.

Compared are verdict, egress port, bytes and drop reason of each packet, or what the packet's vector accepts; at the end
learned entries and counters. What was done is kept, so that a difference comes with the vector that shows it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from compiler.ir.entries import Entries
from compiler.ir.interpreter import Outcome
from compiler.ir.nodes import Pipeline
from runtime.verification.findings import Difference, Sides, Violation
from runtime.verification.interpreter_level import InterpreterLevel
from runtime.verification.levels import COMPARED_INDICES, Contradiction, Level
from runtime.verification.parting import part
from runtime.verification.rendering import (
    accepted_lines,
    counter_lines,
    done_lines,
    entry_text,
    learned_lines,
    outcome_difference,
    outcome_lines,
    outcome_text,
    packet_text,
    parting_lines,
    tally_text,
    trace_lines,
)
from runtime.verification.vector import (
    START_MS,
    Change,
    PacketIn,
    Reload,
    Step,
    Sweep,
    Vector,
    Wait,
    Write,
    WriteKind,
    in_order,
    to_entries,
)

LONGEST_MS = (1 << 31) - 1
"""Ages are differences in 32 bits, so what lasts longer is another matter."""


@dataclass(slots=True)
class Compared:
    """How much has been: packets on each level, learned entries and counters of each level."""

    packets: int = 0
    states: int = 0

    @classmethod
    def sum(cls, parts: Iterable[Compared]) -> Compared:
        whole = cls()
        for one in parts:
            whole.packets += one.packets
            whole.states += one.states
        return whole


class Comparison:
    """New devices, on levels that may have served others before. What the levels differ in raises `Difference`."""

    def __init__(self, levels: Sequence[Level], *, start_ms: int = START_MS, pipeline: Pipeline | None = None) -> None:
        """Without a level, on the interpreter alone, `pipeline` must be given."""
        self.levels = tuple(levels)
        self.pipeline = pipeline or levels[0].pipeline
        self.reference = InterpreterLevel(self.pipeline)
        self.names = self.reference.names
        self.start_ms = self.now_ms = start_ms
        self.entries_at_start: Entries = Entries()
        self.done: list[Step] = []
        self.compared = Compared()
        for level in self.levels:
            level.clear()
        self._set_time()

    @property
    def all_levels(self) -> tuple[Level, ...]:
        return (self.reference, *self.levels)

    def fill(self, entries: Entries) -> None:
        """What the devices hold before anything happens."""
        self.entries_at_start = to_entries((*in_order(self.entries_at_start), *in_order(entries)))
        for change in in_order(entries):
            for level in self.all_levels:
                level.insert(change)

    def insert(self, *changes: Change) -> None:
        for change in changes:
            self.do(Write(kind=WriteKind.INSERT, change=change))

    def modify(self, change: Change) -> None:
        self.do(Write(kind=WriteKind.MODIFY, change=change))

    def delete(self, change: Change) -> None:
        self.do(Write(kind=WriteKind.DELETE, change=change))

    def wait(self, step_ms: int) -> None:
        self.do(Wait(ms=step_ms))

    def sweep(self) -> None:
        self.do(Sweep())

    def process(self, port: int, frame: bytes) -> Outcome | None:
        return self.do(PacketIn(port=port, frame=frame))

    def do(self, step: Step) -> Outcome | None:
        """A packet's outcome, with the interpreter's trace. A step that a level cannot take is left out for all."""
        if not all(level.takes(step) for level in self.all_levels):
            return None
        match step:
            case PacketIn():
                return self._process(step)
            case Wait(ms=ms):
                if self.now_ms + ms - self.start_ms <= LONGEST_MS:
                    self.now_ms += ms
                    self._set_time()
                    self.done.append(step)
            case Sweep():
                self.done.append(step)
                for level in self.all_levels:
                    level.sweep()
            case Reload(is_fitting=is_fitting):
                self.done.append(step)
                for level in self.all_levels:
                    level.reload(is_fitting=is_fitting)
            case Write():
                for level in self.all_levels:
                    _write(level, step)
                self.done.append(step)
            case _:
                assert_never(step)
        return None

    def play(self, steps: Iterable[Step]) -> None:
        """Every step, then the state."""
        for step in steps:
            self.do(step)
        self.compare_state()

    def vector(self, name: str, about: str = "") -> Vector:
        """All that was done, to be done again."""
        return Vector(
            name=name,
            about=about,
            slots=_slots(self.pipeline),
            entries=self.entries_at_start,
            start_ms=self.start_ms,
            steps=tuple(self.done),
        )

    def compare_state(self) -> None:
        """Learned entries and all counters; every level is whole. Raises `Difference`, `Violation`."""
        for level in self.all_levels:
            self._check_whole(level)
        for level in self.levels:
            self._compare_learned(level)
            self._compare_counters(level)

    def _set_time(self) -> None:
        for level in self.all_levels:
            level.set_time(self.now_ms)

    def _process(self, packet: PacketIn) -> Outcome:
        self.done.append(packet)
        if packet.is_settled:
            for level in self.levels:
                level.settle()
        outcome = self.reference.process(packet)
        self._check(packet, self.reference, outcome, outcome)
        for level in self.levels:
            self._check(packet, level, outcome, self._processed(packet, level, outcome))
        self.compared.packets += len(self.levels)
        return outcome

    def _processed(self, packet: PacketIn, level: Level, wanted: Outcome) -> Outcome:
        try:
            return level.process(packet)
        except Contradiction as problem:
            lines = (packet_text(packet), "interpreter:", *trace_lines(wanted.trace, wanted.packet))
            raise self._difference(level, str(problem), lines) from problem

    def _check(self, packet: PacketIn, level: Level, wanted: Outcome, got: Outcome) -> None:
        if packet.accepted:
            is_right = any(accepted.accepts(got) for accepted in packet.accepted)
            what = f"{outcome_text(got)}, which is not accepted"
        else:
            is_right = replace(got, trace=()) == level.as_shown(replace(wanted, trace=()))
            what = outcome_difference(wanted, got)
        if not is_right:
            sides = Sides(level=level.name, packet=packet, wanted=wanted, got=got)
            raise self._difference(level, what, self._ways(packet, level, wanted, got), sides)

    def _ways(self, packet: PacketIn, level: Level, wanted: Outcome, got: Outcome) -> Iterator[str]:
        """The packet, and what each side did with it from the point where they part."""
        yield packet_text(packet)
        yield from accepted_lines(packet)
        lookups = None if level is self.reference else level.lookups()
        if lookups is None:
            yield from ("interpreter:", *trace_lines(wanted.trace, wanted.packet), f"{level.name}:")
        else:
            parting = part(wanted.trace, lookups)
            yield from parting_lines(parting, level.name, self.reference.entries(), self.names, wanted.packet)
        yield from outcome_lines(got)

    def _compare_learned(self, level: Level) -> None:
        for table in self.pipeline.tables:
            if table.store is not None:
                wanted = level.learned_as_shown(self.reference.learned(table.name))
                got = level.learned(table.name)
                self.compared.states += len(wanted)
                if got != wanted:
                    lines = learned_lines(wanted, got, level.name, self.names)
                    raise self._difference(level, f"learned entries of {table.name}", lines)

    def _compare_counters(self, level: Level) -> None:
        for entry in self.reference.entries():
            if self.names.tables[entry.table].counter_id is not None:
                wanted, got = self.reference.direct_counter(entry.key), level.direct_counter(entry.key)
                self.compared.states += 1
                if got != wanted:
                    what = f"{tally_text(got)} instead of {tally_text(wanted)} of {entry_text(entry, self.names)}"
                    raise self._difference(level, what)
        for counter in self.pipeline.counters:
            last = max(self.reference.model.counted(counter.name), default=0)
            indices = range(min(counter.size, max(COMPARED_INDICES, last + 1)))
            wanted = self.reference.indexed_counters(counter.name, indices)
            got = level.indexed_counters(counter.name, indices)
            self.compared.states += len(indices)
            if got != wanted:
                lines = counter_lines(wanted, got, level.name)
                raise self._difference(level, f"counter {counter.name}", lines)

    def _check_whole(self, level: Level) -> None:
        if found := level.flaws():
            told = [f"{level.name} is not whole: {found[0]}", *found[1:], "what was done:", *done_lines(self.done)]
            raise Violation("\n".join(told), self.vector("found"))

    def _difference(self, level: Level, what: str, lines: Iterable[str] = (), sides: Sides | None = None) -> Difference:
        told = [f"{level.name} differs: {what}", *lines, "what was done:", *done_lines(self.done)]
        return Difference("\n".join(told), self.vector("found"), sides)


def _write(level: Level, write: Write) -> None:
    match write.kind:
        case WriteKind.INSERT:
            level.insert(write.change)
        case WriteKind.MODIFY:
            level.modify(write.change)
        case WriteKind.DELETE:
            level.delete(write.change)


def _slots(pipeline: Pipeline) -> int:
    """Of each store; 0 when they are not of one size."""
    sizes = {store.size for store in pipeline.stores}
    return sizes.pop() if len(sizes) == 1 else 0


def run(vector: Vector, levels: Sequence[Level]) -> Comparison:
    """A vector on new devices. Raises `Difference` at the first one, ValueError when the stores' size is another."""
    comparison = Comparison(levels, start_ms=vector.start_ms)
    if vector.slots not in (0, _slots(comparison.pipeline)):
        raise ValueError(f"vector '{vector.name}' needs stores of {vector.slots} slots")
    comparison.fill(vector.entries)
    comparison.play(vector.steps)
    return comparison
