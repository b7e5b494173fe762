"""What is told of requests and watches while they go on, for figures. Telling costs what the observer costs."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Restart(StrEnum):
    """Why a watch began again."""

    ENDED = "ended"
    """In peace, after its time."""
    EXPIRED = "expired"
    """The server does not have the changes any more (410), so there is a new list."""
    REFUSED = "refused"
    BROKEN = "broken"
    """Or no answer at all."""


NO_ANSWER: Final = "none"


class RequestObserver:
    """Told from several threads. This one has no use for it."""

    def answered(self, method: str, resource: str, code: str, seconds: float) -> None:
        """A request's answer, or NO_ANSWER as its code; of a watch (method WATCH), its beginning."""

    def watch_restarted(self, resource: str, why: Restart) -> None: ...


UNOBSERVED: Final = RequestObserver()
