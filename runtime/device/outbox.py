"""What waits for the client of one stream: bounded, and with a rule for what is left out first.

| message | beyond the bounds |
|---|---|
| arbitration | a new one takes the place of the last, so that a client always hears how things are |
| packet-in, digest, idle notification | is lost, and `offer` says so: whoever offers it counts it |
| error | is lost earlier, since clients make them themselves |
"""

from __future__ import annotations

import asyncio
from collections import deque

from finsy.proto import p4r

from runtime.device.refusals import RefusedError

MAX_MESSAGES = 512
MAX_BYTES = 8 << 20
MAX_ERROR_BYTES = 1 << 20
MAX_UNREAD_NOTICES = 16
Message = p4r.StreamMessageResponse


class Outbox:
    """Filled on the event loop, emptied by one task of it."""

    def __init__(self) -> None:
        self._waiting: deque[Message] = deque()
        self._notices = 0
        self._bytes = 0
        self._is_ended = False
        self._refusal: RefusedError | None = None
        self._filled = asyncio.Event()
        self.replaced = 0
        """Notifications that a later one took the place of."""

    def __len__(self) -> int:
        return len(self._waiting)

    def notify(self, notice: Message) -> None:
        """Add a message about arbitration."""
        if self._notices >= MAX_UNREAD_NOTICES:
            self._drop_last_notice()
            self.replaced += 1
        self._notices += 1
        self._add(notice)

    def offer(self, message: Message) -> bool:
        """Add what may be lost; False when it is."""
        most = MAX_ERROR_BYTES if message.HasField("error") else MAX_BYTES
        if self._is_ended or len(self._waiting) >= MAX_MESSAGES or self._bytes + message.ByteSize() > most:
            return False
        self._add(message)
        return True

    def end(self, refusal: RefusedError | None = None) -> None:
        """Close the stream after what is waiting. The first reason stays."""
        if not self._is_ended:
            self._is_ended, self._refusal = True, refusal
            self._filled.set()

    async def take(self) -> Message | None:
        """The next one; None at the end. Raises the refusal that ends the stream."""
        while not self._waiting:
            if self._is_ended:
                if self._refusal is not None:
                    raise self._refusal
                return None
            self._filled.clear()
            await self._filled.wait()
        message = self._waiting.popleft()
        self._notices -= message.HasField("arbitration")
        self._bytes -= message.ByteSize()
        return message

    def _add(self, message: Message) -> None:
        self._waiting.append(message)
        self._bytes += message.ByteSize()
        self._filled.set()

    def _drop_last_notice(self) -> None:
        at = next(at for at in reversed(range(len(self._waiting))) if self._waiting[at].HasField("arbitration"))
        self._bytes -= self._waiting[at].ByteSize()
        self._notices -= 1
        del self._waiting[at]
