"""Digests on their way to the primary: gathered into lists, each told once until it is acknowledged.

Follows the pseudo code of the specification's section "DigestEntry". Bounded where that says no bound: what is beyond
is lost, and counted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from finsy.proto import p4d, p4r

from compiler.ir.controller import Digest
from runtime.device.bytestrings import to_bytes
from runtime.device.records import DigestConfig
from runtime.device.translation import Translation

LONGEST_LIST = 1000
"""Digests in one message where the controller says no limit, or a larger one."""
MAX_UNACKED = 100_000
"""Digests of one kind that may wait for an acknowledgement."""
NS_PER_S = 1_000_000_000
Values = tuple[bytes, ...]
"""As controllers are told them."""
Tell = Callable[[p4r.StreamMessageResponse], bool]
Later = Callable[[float, Callable[[], None]], object]


def _later(delay_s: float, run: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(delay_s, run)


@dataclass(frozen=True, slots=True)
class _Sent:
    """A list that is not acknowledged."""

    at_ns: int
    digests: tuple[Values, ...]


class DigestLists:
    """Of one digest. `config` says how it is told now, None that it is not."""

    def __init__(
        self,
        digest: Digest,
        config: Callable[[], DigestConfig | None],
        tell: Tell,
        types: Mapping[str, Translation] | None = None,
        *,
        now_ns: Callable[[], int] = time.monotonic_ns,
        later: Later = _later,
    ) -> None:
        """`types`: those of fields whose values are translated, by their names."""
        self._digest, self._config, self._tell = digest, config, tell
        self._encoders = [types[f.type].encode if types and f.type else to_bytes for f in digest.fields]
        self._now_ns, self._later = now_ns, later
        self._waiting: dict[Values, None] = {}
        self._is_timed = False
        self._unacked: set[Values] = set()
        self._sent: dict[int, _Sent] = {}
        """By the list's number, oldest first."""
        self._last_list = 0
        self.lost = 0
        """Digests that the controller has not been told, though it wants to be."""

    def hear(self, numbers: tuple[int, ...]) -> None:
        """A packet has sent a digest. What its numbers stand for is told as it is now."""
        config = self._config()
        if config is None:
            self._forget()
            return
        self._expire(config)
        values = tuple(encode(number) for encode, number in zip(self._encoders, numbers, strict=True))
        if values in self._waiting or values in self._unacked:
            return
        if len(self._unacked) >= MAX_UNACKED:
            self.lost += 1
            return
        self._waiting[values] = None
        size = min(config.max_list_size or LONGEST_LIST, LONGEST_LIST)
        if not config.max_timeout_ns or len(self._waiting) >= size:
            self._send(config)
        elif not self._is_timed:
            self._is_timed = True
            self._later(config.max_timeout_ns / NS_PER_S, self._time_is_up)

    def acknowledge(self, list_id: int) -> None:
        """From now on the same digests are told again. A list that is unknown, or whose time is over, is nothing."""
        sent = self._sent.pop(list_id, None)
        if sent is not None:
            self._unacked.difference_update(sent.digests)

    def _time_is_up(self) -> None:
        self._is_timed = False
        config = self._config()
        if config is None:
            self._forget()
        elif self._waiting:
            self._expire(config)
            self._send(config)

    def _send(self, config: DigestConfig) -> None:
        """A list that cannot be handed over is lost, and not waited for: its digests may come again at once."""
        digests = tuple(self._waiting)
        self._waiting.clear()
        self._last_list += 1
        message = p4r.DigestList(
            digest_id=self._digest.id,
            list_id=self._last_list,
            data=[self._encode(values) for values in digests],
            timestamp=time.time_ns(),
        )
        if not self._tell(p4r.StreamMessageResponse(digest=message)):
            self.lost += len(digests)
        elif config.ack_timeout_ns:
            self._sent[self._last_list] = _Sent(self._now_ns(), digests)
            self._unacked.update(digests)

    def _expire(self, config: DigestConfig) -> None:
        """Forget lists whose acknowledgement is no longer waited for."""
        oldest = self._now_ns() - config.ack_timeout_ns
        while self._sent:
            list_id = next(iter(self._sent))
            if self._sent[list_id].at_ns > oldest:
                return
            self.acknowledge(list_id)

    def _forget(self) -> None:
        self._waiting.clear()
        self._unacked.clear()
        self._sent.clear()

    def _encode(self, values: Values) -> p4d.P4Data:
        made = p4d.P4Data()
        for value in values:
            made.struct.members.add(bitstring=value)
        return made
