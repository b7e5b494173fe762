"""What is told of adopting while it goes on, for figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from agents.cluster.observing import RequestObserver


class Result(StrEnum):
    ADOPTED = "adopted"
    FAILED = "failed"
    LET_GO = "let_go"


class Observer(RequestObserver):
    """Told from several threads. This one has no use for it."""

    def tried(self, result: Result) -> None: ...

    def adopted(self, seconds: float) -> None:
        """Since it was first heard that there is something to adopt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What there is, for who asks now: ImageConversions that concern the node, and those of them that are here."""

    wanted: int
    adopted: int
    heard_at_s: Mapping[str, float]
