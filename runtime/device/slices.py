"""Long work in slices: between two of them the event loop does what else there is to do.

Work is a generator. It yields `PAUSE` where others may go on, or a function that is to be called in a thread, since it
waits for the kernel; its result is what it returns. Others see what is half done only if whoever runs it lets them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any, TypeAlias, TypeVar

from runtime.device import garbage

T = TypeVar("T")
PAUSE = None
Step: TypeAlias = Callable[[], object] | None
Steps: TypeAlias = Generator[Step, None, T]
SLICE_S = 0.002
"""Work goes on for so long, pauses or not."""


def at_once(work: Steps[T]) -> T:
    """Do all of it now, where nobody else waits."""
    resume: Callable[[], Step] = partial(next, work)
    while True:
        try:
            step = resume()
        except StopIteration as end:
            result: T = end.value
            return result
        resume = partial(next, work)
        if step is not None:
            try:
                step()
            except Exception as problem:  # noqa: BLE001  the work's own, and given back to it
                resume = partial(work.throw, problem)


async def in_slices(work: Steps[T]) -> T:
    """Do it beside everything else; wholly, also when the caller is cancelled meanwhile, which shows afterwards."""
    try:
        step = next(work)
    except StopIteration as end:
        result: T = end.value
        return result
    return await to_the_end(_go_on(work, step))


async def _go_on(work: Steps[T], step: Step) -> T:
    begun = time.monotonic()
    while True:
        resume: Callable[[], Step] = partial(next, work)
        if step is not None:
            try:
                await asyncio.to_thread(step)
            except Exception as problem:  # noqa: BLE001  as above
                resume = partial(work.throw, problem)
            begun = time.monotonic()
        elif time.monotonic() - begun >= SLICE_S:
            await asyncio.sleep(0)
            garbage.look(garbage.MANY_AT_WORK)
            begun = time.monotonic()
        try:
            step = resume()
        except StopIteration as end:
            result: T = end.value
            return result


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Do it wholly, also when the caller is cancelled meanwhile: then nobody hears what came of it."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as cancellation:
            cancelled = cancellation
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # seen, so that asyncio does not log it
        raise cancelled
    return task.result()
