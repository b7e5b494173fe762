"""Two sides of all that packets read: they read one, the device writes the other, and turning over is one word.

Between two batches both sides hold the same. A batch is gathered (`write`); `commit` writes it to the side that no
packet reads, turns the word, and then, in a thread of its own, waits until the packets that read the old side have
left their program and writes the same changes there. So a packet sees all of a batch or none of it, nothing that a
packet can see is ever changed in place, and what a batch gives back (an element of a hash, a slice of a ring, a
counter) is used again when no packet can hold it any more.

A new kind of entity takes part in this step, and so in batches of every atomicity, when three things are so:

* What packets read of it is in maps that `Sides.add` knows, and is changed by `Sides.write` alone (such maps come from
  `compiler.printers.layout_maps`: `sided_array`), or in places that are led to from there and taken afresh for each
  change, as the slices of a ring. What no map with two sides can hold is a `Part` of its own, as entries that packets
  have learned, and that end.
* Such places, once given back, rest: `Resting`.
* What packets write as well, as counters, is set by `UndoLog.at_commit`: behind the last thing that may be refused.
"""

from __future__ import annotations

import logging
import struct
import sys
from collections.abc import Callable, Generator, Mapping, Set
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol

from compiler.printers.layout_maps import SIDES, MapLayout
from runtime.bpf.maps import Map
from runtime.device.failpoints import Point, reached
from runtime.device.kernel.comparing import Changes
from runtime.device.kernel.grace import order_writes
from runtime.device.kernel.sidedmap import Difference, SidedMap
from runtime.device.refusals import RefusedError
from runtime.device.undo import UndoLog

LOG = logging.getLogger("turnout.device")
SIDE_MAP = "tables_side"
"""The printed C's map with the one word."""
_NUMBER = struct.Struct("=I")


class Resting(Protocol):
    """What is given back during a batch, and must not be used again before all packets have seen the batch."""

    def seal(self) -> None:
        """The batch is over: what was given back until now may go with the next `release`."""
        ...

    def release(self) -> None:
        """No packet holds what was sealed."""
        ...


class Part(Protocol):
    """Something that a batch changes for the packets that begin after it, while others still see what was before."""

    @property
    def is_changed(self) -> bool:
        """Whether this batch does."""
        ...

    @property
    def lag(self) -> int:
        """How many changes are left to `catch_up`."""
        ...

    def stage(self, side: int) -> None:
        """Make the changes for packets of a side that has none now. Raises `RefusedError`; some may be made then."""
        ...

    def take_back(self, read: int) -> None:
        """The batch fails after all, perhaps within `stage`; packets stay on the side `read`."""
        ...

    def turn(self) -> None:
        """Packets that begin now go to the staged side."""
        ...

    def catch_up(self, side: int) -> None:
        """No packet is on `side` any more. Raises `RefusedError`: it is tried again before the next batch."""
        ...

    def catch_up_at_once(self, side: int, /) -> bool:
        """The same while packets are on `side`: whether each of them meets all of the change or nothing of it."""
        ...


class Sides:
    """All such maps of one pipeline. `wait_for_packets` returns when no packet is under way that had begun before."""

    def __init__(
        self, word: Map, undo: UndoLog, wait_for_packets: Callable[[], None], *, takes_over: bool = False
    ) -> None:
        """`takes_over`: the maps are those of an earlier process, and packets read them.

        What is written is then compared with what they hold, until `find`, and the next commit makes both sides so.
        """
        self._word, self._undo, self._wait_for_packets = word, undo, wait_for_packets
        self._read = int.from_bytes(word.lookup(bytes(_NUMBER.size)) or b"", sys.byteorder) if takes_over else 0
        """The side that packets read."""
        self._is_comparing = takes_over
        if takes_over:
            wait_for_packets()  # that began before the earlier process turned for the last time
        self._first: int | None = None
        self._parts: list[Part] = []
        self._maps: list[SidedMap] = []
        self._resting: list[Resting] = []
        self._settling: Future[None] | None = None
        self._is_unseen = False
        self._is_unreleased = False
        """Something may rest that no batch waits for packets for."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sides")

    def add(self, name: str, layout: MapLayout, held: Map) -> SidedMap:
        made = SidedMap(name, layout, held)
        self._parts.append(made)
        self._maps.append(made)
        return made

    def add_part(self, part: Part) -> None:
        self._parts.append(part)

    def begin_beside(self, side: int) -> None:
        """Packets pass another program until the first ones come here, and are on this side of its tables.

        They will begin here on the other one: what both programs share may be over for packets of one side alone.
        """
        self._first = 1 - side

    def activate(self, send_packets: Callable[[], None]) -> None:
        """Commit what is staged in the step in which the first packets come. Raises `RefusedError`."""
        self.settle()
        if self._first is not None:
            self._read = 1 - self._first
        changed = self._changed()
        self._stage(changed)
        self._point_to(1 - self._read)
        send_packets()
        self._turned(changed)

    def begin(self, held: SidedMap, changes: Changes) -> None:
        """What both sides hold from the start; no packet has come yet. Raises `RefusedError`."""
        if self._is_comparing:
            self.write_many(held, changes)
            return
        for side in range(SIDES):
            held.apply(side, changes)

    @contextmanager
    def unseen(self) -> Generator[None]:
        """No packet comes in here: within the block nobody is waited for. Raises `RefusedError`."""
        self._is_unseen = True
        try:
            yield
            self.settle()
        finally:
            self._is_unseen = False

    def add_resting(self, resting: Resting) -> None:
        self._resting.append(resting)

    def write(self, held: SidedMap, key: bytes, value: bytes | None) -> None:
        """A part of the batch; `key` is that of side 0."""
        self._undo.put(held.staged, key, value)

    def write_many(self, held: SidedMap, changes: Changes) -> None:
        """The same for many keys."""
        staged, old = held.staged, {key: held.staged[key] for key in changes if key in held.staged}
        staged.update(changes)

        def take_back() -> None:
            for key in changes:
                del staged[key]
            staged.update(old)

        self._undo.note(take_back)

    def commit(self) -> None:
        """Let packets see the batch, and clear the log. Raises `RefusedError`: nothing has changed then."""
        if self._is_comparing:
            self._compare()
            return
        changed = self._changed()
        if changed:
            self.settle()
            self._stage(changed)
            reached(Point.STAGED)
            self._point_to(1 - self._read)
            reached(Point.TURNED)
            self._turned(changed)
            return
        self._undo.finish()
        self._over()
        if self._settling is None and not self._is_unreleased:
            self._release()

    def differences(self) -> dict[str, Set[bytes]]:
        """While it compares: by map, the keys where packets meet something else than what has been written until now.

        Raises `RefusedError`: a map cannot be read.
        """
        if not self._is_comparing:
            return {}
        self._compare()
        return {held.layout.name: held.compare(self._read).differing() for held in self._maps}

    def find(self, before: Mapping[str, Set[bytes]] | None = None) -> list[Difference]:
        """All that was to be there has been written: where packets met something else, and what is to be there.

        With `before`, only where they did so then already: all else is as it was before the last batch, and is mended
        without a word. Raises `RefusedError`: a map cannot be read.
        """
        self._compare()
        self._is_comparing = False
        differences: list[Difference] = []
        for held in self._maps:
            compared = held.compare(self._read)
            changes, held.staged = compared.finish()
            held.compared, held.afterwards = None, changes if changes or held.staged else None
            told = changes if before is None else {k: v for k, v in changes.items() if k in before[held.layout.name]}
            if told:
                was = {key: compared.read[key] for key in told if key in compared.read}
                differences.append(Difference(held.layout, was, told))
        return differences

    def _compare(self) -> None:
        """Instead of a commit. What waits for the end concerns nothing that packets read."""
        self._undo.finish()
        self._undo.clear()
        for held in self._maps:
            if held.staged:
                held.compare(self._read).take(held.staged)
                held.staged = {}

    @property
    def lag(self) -> int:
        """Changes that the side behind still lacks."""
        return sum(part.lag for part in self._parts)

    def settle(self) -> None:
        """Wait until both sides hold the same. What rests can be used again then, where that took waiting for packets.

        Raises `RefusedError`.
        """
        settling, self._settling = self._settling, None
        if settling is not None:
            try:
                settling.result()
            except RefusedError as refusal:
                LOG.warning("one side of the tables is behind: %s", refusal)
        behind = [part for part in self._parts if part.lag]
        if behind:
            self._catch_up(behind)
        if settling is not None or behind:
            self._release()

    def release_all(self) -> None:
        """Wait until all that rested when the last batch ended can be used again. Raises `RefusedError`."""
        self.settle()
        if self._is_unreleased:
            self._catch_up([])
            self._release()

    def tick(self) -> None:
        """About once a second: what a batch has left to do, once packets have left."""
        if self._settling is None and self._is_unreleased:
            self._settling = self._thread.submit(self._catch_up, [])
        elif self._settling.done() if self._settling is not None else self.lag:
            try:
                self.settle()
            except RefusedError as refusal:
                LOG.warning("one side of the tables stays behind: %s", refusal)

    def close(self) -> None:
        """The maps may be closed after this."""
        self._thread.shutdown(wait=True)

    def _changed(self) -> list[Part]:
        return [part for part in self._parts if part.is_changed]

    def _stage(self, changed: list[Part]) -> None:
        try:
            for part in changed:
                part.stage(1 - self._read)
            self._undo.finish()
        except BaseException:
            for part in changed:
                part.take_back(self._read)
            raise

    def _point_to(self, side: int) -> None:
        """Packets that begin from now on read this side."""
        order_writes()
        self._read = side
        self._word.update(bytes(_NUMBER.size), _NUMBER.pack(side))

    def _turned(self, changed: list[Part]) -> None:
        """What is left to do once packets see the batch."""
        for part in changed:
            part.turn()
        self._over()
        if len(changed) == 1 and changed[0].catch_up_at_once(1 - self._read):
            reached(Point.LEFT)
            reached(Point.ALIKE)
            self._is_unreleased = True
        else:
            self._settling = self._thread.submit(self._catch_up, changed)

    def _over(self) -> None:
        self._undo.clear()
        for resting in self._resting:
            resting.seal()

    def _catch_up(self, behind: list[Part]) -> None:
        """Bring the side that no packet is sent to any more to what the other one holds. Raises `RefusedError`."""
        if not self._is_unseen:
            self._wait_for_packets()
        reached(Point.LEFT)
        for part in behind:
            part.catch_up(1 - self._read)
        reached(Point.ALIKE)

    def _release(self) -> None:
        self._is_unreleased = False
        for resting in self._resting:
            resting.release()
