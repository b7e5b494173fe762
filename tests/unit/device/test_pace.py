from __future__ import annotations

import asyncio

from runtime.device.pace import Pace


def test_a_second_ahead_and_then_no_faster_than_the_rate() -> None:
    slept: list[float] = []
    now = [100.0]

    async def sleep(seconds: float) -> None:
        slept.append(round(seconds, 6))
        now[0] += seconds

    async def run() -> None:
        pace = Pace(10, clock_s=lambda: now[0], sleep=sleep)
        for _ in range(10):
            await pace.keep(1)
        assert slept == []
        for _ in range(3):
            await pace.keep(1)
        assert slept == [0.1] * 3
        await pace.keep(5)
        assert slept[3:] == [0.5]
        now[0] += 60
        for _ in range(10):
            await pace.keep(1)
        assert len(slept) == 4

    asyncio.run(run())
