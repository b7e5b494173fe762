"""What programs leave in a ring, handed on by the device's event loop: a little at a time, and so much a second.

Who sends faster than that fills the ring, and then loses packets in the kernel, which counts them. So no flood takes
the device's time from its clients.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from runtime.bpf.errors import BpfError
from runtime.bpf.ringbuf import RingReader

LOG = logging.getLogger("turnout.device")
AT_ONCE = 32
"""Records between two turns of the event loop."""
PER_SECOND = 5_000
_PAUSE_S = AT_ONCE / PER_SECOND


class Drain:
    """Takes records from a ring while the event loop runs, until it is stopped."""

    def __init__(self, reader: RingReader, hear: Callable[[bytes], None]) -> None:
        self._reader = reader
        self._hear = hear
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pause: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Called on the event loop."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._reader.fd, self._ready)

    def stop(self) -> None:
        """Twice is fine. The reader is closed as well."""
        if self._loop is not None:
            self._loop.remove_reader(self._reader.fd)
            if self._pause is not None:
                self._pause.cancel()
            self._loop = None
        self._reader.close()

    def _ready(self) -> None:
        try:
            records = self._reader.take(AT_ONCE)
        except BpfError as problem:
            LOG.error("packets for the controller cannot be read any more: %s", problem)  # noqa: TRY400
            self.stop()
            return
        for record in records:
            self._hear(record)
        if len(records) == AT_ONCE and self._loop is not None:
            self._loop.remove_reader(self._reader.fd)
            self._pause = self._loop.call_later(_PAUSE_S, self._go_on)

    def _go_on(self) -> None:
        if self._loop is not None:
            self._loop.add_reader(self._reader.fd, self._ready)
