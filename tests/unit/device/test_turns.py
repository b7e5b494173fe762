from __future__ import annotations

import asyncio

from runtime.device.turns import Turns


class Story:
    """Who had a turn, in order."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.had: list[str] = []

    async def take(self, who: str, name: str) -> None:
        async with self.turns.of(who):
            self.had.append(name)
            await asyncio.sleep(0)


def test_who_asks_for_many_does_not_hold_up_who_asks_for_one() -> None:
    async def run() -> None:
        story = Story()
        flood = [asyncio.create_task(story.take("a", f"a{number}")) for number in range(5)]
        await asyncio.sleep(0)
        others = [asyncio.create_task(story.take(who, who)) for who in ("b", "c")]
        await asyncio.gather(*flood, *others)
        assert story.had == ["a0", "a1", "a2", "b", "c", "a3", "a4"]
        assert not story.turns.locked()

    asyncio.run(run())


def test_one_that_is_cancelled_leaves_its_place_to_the_next() -> None:
    async def run() -> None:
        story = Story()
        tasks = [asyncio.create_task(story.take(who, who)) for who in "abc"]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert story.had == ["a", "c"]
        assert not story.turns.locked()

    asyncio.run(run())


def test_one_that_is_cancelled_just_when_its_turn_has_come() -> None:
    async def run() -> None:
        turns = Turns()
        async with turns.of("a"):
            waiting = asyncio.create_task(Story.take(_with(turns), "b", "b"))
            last = asyncio.create_task(Story.take(_with(turns), "c", "c"))
            await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, last, return_exceptions=True)
        assert waiting.cancelled()
        assert not turns.locked()

    asyncio.run(run())


def _with(turns: Turns) -> Story:
    story = Story()
    story.turns = turns
    return story


def test_settled_waits_for_what_is_under_way_alone() -> None:
    async def run() -> None:
        story = Story()
        await story.turns.settled("a")

        async def watch() -> None:
            await story.turns.settled("another")
            await story.turns.settled("a")
            story.had.append("settled")

        flood = [asyncio.create_task(story.take("a", f"a{number}")) for number in range(3)]
        await asyncio.sleep(0)
        watcher = asyncio.create_task(watch())
        await asyncio.gather(*flood, watcher)
        assert story.had.index("settled") <= 2
        assert story.had[0] == "a0"

    asyncio.run(run())
