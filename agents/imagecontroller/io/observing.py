"""What a controller tells of its work while it does it, for figures. Telling costs what the observer costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from agents.cluster.observing import RequestObserver
from agents.imagecontroller.translate.counting import Counts
from agents.imagecontroller.translate.deciding import Action, Tell


class Observer(RequestObserver):
    """Told from several threads. This one has no use for it."""

    def reconciled(self, seconds: float) -> None:
        """Everything was looked at, and what was to be done tried."""

    def action_failed(self, action: Action) -> None: ...

    def told(self, event: Tell) -> None:
        """What became of a conversion; not where a controller before us has told it."""


NOBODY: Final = Observer()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What there is, for who asks now."""

    is_leading: bool
    heard_at_s: Mapping[str, float]
    """When the server last told of each kind; 0 for never."""
    counts: Counts | None
    """None where another controller leads, or not all is known yet."""
