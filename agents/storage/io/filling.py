"""Fills local copies of volumes on other nodes: first what a start is known to read, then all the rest.

A thread for each volume asks the volume's storage daemon to fetch (NBD_CMD_CACHE): the daemon reads from the server
and keeps what it read, so a container that reads the same waits for it or finds it. What nobody foresaw that it would
be read comes at a pace that gives way to what is (see pacing).

The thread may end at any instant: what has been fetched is in the daemon's list, and the next one goes over it quickly.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from threading import Event, Thread
from typing import Final

from agents.storage.io.events import Events, Kind
from agents.storage.io.nbdclient import NbdClient
from agents.storage.io.pacing import Pace, Reads
from agents.storage.io.preloading import Arrivals
from agents.storage.wire.errors import ImageError
from agents.storage.wire.traces import Extents

_LOG: Final = logging.getLogger(__name__)
EXPORT: Final = "copy"
"""What the daemon calls it to us."""
_AHEAD_BYTES, _AHEAD_AT_ONCE = 1 << 18, 6
_FILL_BYTES, _FILL_AT_ONCE = 1 << 17, 4
_FLUSH_BYTES: Final = 1 << 25
"""What is fetched again, at most, when the daemon dies."""
_ANSWER_S: Final = 60.0
_AGAIN_S: Final = 5.0
"""After a server went away, or a disk failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Fetch `ahead`, telling `arrivals` how far that is, and all else if `whole`. `reads` tells what goes before that,
    of all volumes that come the same way: what containers have read so far, and what is being read ahead. `finish` is
    called when all is there, and asks whether that is still wanted."""

    digest: str
    size_bytes: int
    socket: Path
    ahead: Extents
    whole: bool
    reads: Callable[[], Reads]
    finish: Callable[[Callable[[], bool]], None]
    arrivals: Arrivals = field(default_factory=Arrivals)
    events: Events = field(default_factory=Events)


class Filling:
    """One task. Its thread is a daemon's: an agent that ends does not wait for it."""

    def __init__(self, task: Task, again_s: float = _AGAIN_S) -> None:
        self._task, self._again_s, self._stop = task, again_s, Event()
        self.done_bytes = 0
        """How much of the volume is there, as far as it has been gone over from the beginning."""
        self.is_reading_ahead = False
        """What a start is known to read is on its way: the rest of all volumes gives way to it."""
        self._thread = Thread(target=self._run, name=f"fill-{task.digest[7:19]}", daemon=True)
        self._thread.start()

    @property
    def arrivals(self) -> Arrivals:
        """Of what is read ahead."""
        return self._task.arrivals

    @property
    def is_wanted(self) -> bool:
        return not self._stop.is_set()

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """It does nothing from now on but to wait for the answers that it waits for."""
        self._stop.set()

    def _run(self) -> None:
        while self.is_wanted and not self._fetched():
            self._stop.wait(self._again_s)
        if self.is_wanted and self._task.whole:
            try:
                self._task.finish(lambda: self.is_wanted)
            except (ImageError, OSError) as error:
                _LOG.warning("volume %s stays where it is: %s", self._task.digest, error)
                self._task.events.tell(Kind.COPY_REFUSED, volume=self._task.digest, why=str(error))
                return
            if self.is_wanted:
                self._task.events.tell(Kind.COPY_COMPLETED, volume=self._task.digest, bytes=self._task.size_bytes)

    def _fetched(self) -> bool:
        """All that is wanted."""
        try:
            with NbdClient(self._task.socket, EXPORT, _ANSWER_S) as client:
                self._read_ahead(client)
                if self._task.whole:
                    self._fill(client)
        except (ImageError, OSError) as error:
            if self.is_wanted:
                _LOG.warning("the local copy of volume %s waits: %s", self._task.digest, error)
            return False
        return True

    def _read_ahead(self, client: NbdClient) -> None:
        self.is_reading_ahead = True
        try:
            self._ahead(client)
        finally:
            self.is_reading_ahead = False

    def _ahead(self, client: NbdClient) -> None:
        """The answers come in any order; what counts is what has come without a gap."""
        pieces = deque(_pieces(self._task.ahead, _AHEAD_BYTES))
        ends = list(accumulate(length for _, length in self._task.ahead))
        fetched, early = 0, set[int]()
        for offset, length in client.cache(tuple(pieces), _AHEAD_AT_ONCE, _FLUSH_BYTES):
            self._tell("trace", length)
            early.add(offset)
            while pieces and pieces[0][0] in early:
                early.remove(pieces[0][0])
                fetched += pieces.popleft()[1]
            self._task.arrivals.reached(bisect_right(ends, fetched))
            if not self.is_wanted:
                return
        self._task.arrivals.end()
        client.flush()

    def _fill(self, client: NbdClient) -> None:
        self.done_bytes = flushed = 0
        pace = Pace(self._task.reads, self._stop.wait)
        while self.is_wanted and self.done_bytes < self._task.size_bytes:
            length = min(pace.next_bytes(lambda: self.is_wanted), self._task.size_bytes - self.done_bytes)
            for _ in client.cache(_pieces(((self.done_bytes, length),), _FILL_BYTES), _FILL_AT_ONCE):
                pass
            self._tell("rest", length)
            pace.answered()
            self.done_bytes += length
            if self.done_bytes - flushed >= _FLUSH_BYTES:
                client.flush()
                flushed = self.done_bytes
        client.flush()

    def _tell(self, why: str, length: int) -> None:
        self._task.events.tell(Kind.FETCHED, why=why, bytes=length)


def _pieces(extents: Extents, most: int) -> Iterator[tuple[int, int]]:
    for start, length in extents:
        for offset in range(start, start + length, most):
            yield offset, min(most, start + length - offset)
