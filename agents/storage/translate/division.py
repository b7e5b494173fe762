"""How an image's layers are divided among volumes, so that what images share is stored once: at most three volumes.

A division is the tuple of places between layers where one volume ends and the next begins.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise, takewhile
from typing import Any, Final, cast

MOST_VOLUMES: Final = 3
_BREAK_S: Final = 3600.0
"""Layers of one build are made within less; a longer break is taken for the end of somebody's base image."""


def divide(count: int, shared: Iterable[int], breaks: Iterable[int]) -> tuple[int, ...]:
    """Of `count` layers: where they part from what others have (`shared`, the best place first), then where the
    history has a break (the longest first)."""
    places = dict.fromkeys(place for place in (*shared, *breaks) if 0 < place < count)
    return tuple(sorted(list(places)[: MOST_VOLUMES - 1]))


def common(first: Sequence[str], second: Sequence[str]) -> int:
    """How many of the lowest layers are the same."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(first, second, strict=False)))


def history_breaks(config: bytes) -> tuple[int, ...]:
    """Numbers of layers below which the image was made at another time, the longest break first. None where the
    history does not say."""
    times = _times(json.loads(config))
    breaks = [(abs(after - before), place) for place, (before, after) in enumerate(pairwise(times), 1)]
    return tuple(place for length, place in sorted(breaks, key=lambda one: (-one[0], one[1])) if length >= _BREAK_S)


def _times(config: Any) -> list[float]:
    """When each layer was made, in seconds. The history is anybody's text: what is not understood says nothing."""
    history = cast("dict[str, Any]", config).get("history") if isinstance(config, dict) else None
    times: list[float] = []
    for entry in cast("list[Any]", history) if isinstance(history, list) else []:
        if not isinstance(entry, dict):
            return []
        fields = cast("dict[str, Any]", entry)
        if not fields.get("empty_layer"):
            try:
                times.append(datetime.fromisoformat(str(fields.get("created"))).timestamp())
            except (ValueError, OverflowError):
                return []
    return times
