from __future__ import annotations

import asyncio
import threading
import time

import pytest

from runtime.device.slices import PAUSE, SLICE_S, Steps, at_once, in_slices


def work(seen: list[object], pieces: int = 20) -> Steps[str]:
    for number in range(pieces):
        time.sleep(SLICE_S / 2)
        seen.append(number)
        yield PAUSE
    seen.append((yield lambda: seen.append(threading.current_thread())))
    return "done"


def failing() -> Steps[str]:
    yield PAUSE
    try:
        yield refuse
    except ValueError as problem:
        return str(problem)
    return "nothing was raised"


def refuse() -> None:
    raise ValueError("refused")


def test_all_at_once() -> None:
    seen: list[object] = []
    assert at_once(work(seen)) == "done"
    assert seen == [*range(20), threading.current_thread(), None]
    assert at_once(failing()) == "refused"


def test_others_go_on_in_between() -> None:
    async def run() -> None:
        seen: list[object] = []
        task = asyncio.create_task(in_slices(work(seen)))
        turns = 0
        while not task.done():
            await asyncio.sleep(0)
            turns += 1
        assert task.result() == "done"
        assert turns > 5
        assert seen[20] is not threading.current_thread()
        assert await in_slices(failing()) == "refused"

    asyncio.run(run())


def test_what_has_begun_is_brought_to_its_end() -> None:
    async def run() -> None:
        seen: list[object] = []
        task = asyncio.create_task(in_slices(work(seen)))
        await asyncio.sleep(0)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert seen[-1] is None
        assert seen[:20] == list(range(20))

    asyncio.run(run())
