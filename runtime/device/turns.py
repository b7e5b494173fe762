"""One change at a time, and those who wait take turns: whoever asks for a hundred delays another's by one.

As `asyncio.Lock`, but for the order. Used by `runtime.device.service` and `runtime.device.streams`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Hashable
from contextlib import asynccontextmanager


class Turns:
    """Used on one event loop."""

    def __init__(self) -> None:
        self._is_held = False
        self._holder: Hashable = None
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}
        """By who waits; the first one's turn is next, and then it goes to the end."""
        self._watching: list[asyncio.Future[None]] = []
        self.taken = 0
        """How many there have been."""
        self.doing = ""
        """What is done in the turn that is under way, and since when (`time.monotonic`)."""
        self.since_s = 0.0

    def locked(self) -> bool:
        return self._is_held

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return sum(not turn.done() for turns in self._waiting.values() for turn in turns)

    @asynccontextmanager
    async def of(self, who: Hashable, what: str = "") -> AsyncGenerator[None]:
        """The turn of `who`, until the end of the block; `what` is done in it, for who asks."""
        if self._is_held:
            await self._wait(who)
        self._is_held, self._holder = True, who
        self.taken += 1
        self.doing, self.since_s = what, time.monotonic()
        try:
            yield
        finally:
            self.doing = ""
            self._pass_on()

    async def settled(self, who: Hashable) -> None:
        """Wait until what `who` has under way now is over; not for what waits."""
        if self._is_held and self._holder == who:
            over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._watching.append(over)
            await over

    async def _wait(self, who: Hashable) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(who, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on()  # it was this one's turn just then
            raise

    def _pass_on(self) -> None:
        watching, self._watching = self._watching, []
        for over in watching:
            if not over.done():
                over.set_result(None)
        turn = self._next()
        self._holder = None
        if turn is None:
            self._is_held = False
        else:
            turn.set_result(None)

    def _next(self) -> asyncio.Future[None] | None:
        """Take out the next one that still waits. The turn is handed over: nobody can come in between."""
        while self._waiting:
            who, waiting = next(iter(self._waiting.items()))
            turn = waiting.popleft()
            del self._waiting[who]
            if waiting:
                self._waiting[who] = waiting
            if not turn.done():
                return turn
        return None
