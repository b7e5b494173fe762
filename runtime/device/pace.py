"""How fast messages are taken from one client: what comes faster is not read, and so waits with the client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable


class Pace:
    """At most `rate` a second, after as many at once."""

    def __init__(
        self,
        rate: int,
        *,
        clock_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._rate, self._clock_s, self._sleep = rate, clock_s, sleep
        self._free_at = 0.0
        """When all that was taken is a second old."""

    async def keep(self, cost: int) -> None:
        """Something has been taken: wait until the next may be."""
        now = self._clock_s()
        self._free_at = max(self._free_at, now) + cost / self._rate
        ahead = self._free_at - now - 1
        if ahead > 0:
            await self._sleep(ahead)
