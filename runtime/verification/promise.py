"""What is promised to a packet that belongs to no known connection."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from runtime.verification.policies.plan import PROXY_PLACES, Address

WHEN_CROWDED = frozenset({"flow_table_full", "flow_clash"})
"""Why an opening may be dropped even though there is somebody to take it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """Destination address and port as they arrive, and the host of the sender's network that gets it."""

    address: Address
    port: int
    host: int

    def __str__(self) -> str:
        proxy = f" by proxy {self.host}" if self.host in PROXY_PLACES else ""
        return f"{self.address} port {self.port}{proxy}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """Where the packet may be delivered, and why it may be dropped. With neither, it is left alone.

    `is_refused`: the sender is told at once that nobody is there.
    """

    landings: frozenset[Landing] = frozenset()
    reasons: frozenset[str] = frozenset()
    is_refused: bool = False

    @property
    def is_untouched(self) -> bool:
        return not self.landings and not self.reasons and not self.is_refused

    def narrowed(self, promises: Iterable[Promise]) -> Promise:
        """With what is promised of each of its landings in the place of these."""
        found = tuple(promises)
        return replace(
            self,
            landings=frozenset(landing for promise in found for landing in promise.landings),
            reasons=self.reasons | {reason for promise in found for reason in promise.reasons},
        )

    def __str__(self) -> str:
        if self.is_refused:
            return "refused"
        if self.is_untouched:
            return "left alone"
        ways = ", ".join(sorted(str(landing) for landing in self.landings))
        return f"delivered to {ways or 'nobody'}, or dropped as {', '.join(sorted(self.reasons)) or 'nothing'}"
