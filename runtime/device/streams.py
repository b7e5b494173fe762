"""The open StreamChannels of a device: what clients send on them, and the notifications that they get."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable, Iterable

from finsy.proto import p4r

from runtime.device.arbitration import Arbitration, Notices
from runtime.device.refusals import SPACE, RefusedError, exhausted, unimplemented
from runtime.device.rights import Peer

MAX_WAITING = 1024
"""Messages that may wait for a client that does not read; one more ends its stream."""
MAX_NOTICES = 512
"""Of those, packets and errors stop at so many: a client that is slow loses them, and keeps its stream."""

Receive = Callable[[p4r.StreamMessageRequest], None]
"""Does what the primary asks on its stream. Raises `RefusedError`."""


class Stream:
    """One open stream: a queue of what is to be sent, or the refusal that ends it."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.outgoing: asyncio.Queue[p4r.StreamMessageResponse | RefusedError | None] = asyncio.Queue(MAX_WAITING + 1)

    def send(self, message: p4r.StreamMessageResponse) -> None:
        waiting = self.outgoing.qsize()
        if waiting < MAX_WAITING:
            self.outgoing.put_nowait(message)
        elif waiting == MAX_WAITING:
            self.outgoing.put_nowait(exhausted(f"the client has left {MAX_WAITING} messages unread"))

    def offer(self, message: p4r.StreamMessageResponse) -> bool:
        """Send what may be lost; False when it is."""
        if self.outgoing.qsize() >= MAX_NOTICES:
            return False
        self.outgoing.put_nowait(message)
        return True

    def end(self, refusal: RefusedError | None = None) -> None:
        """Close the stream after what is waiting; a client that has left so much unread is closed anyway."""
        if not self.outgoing.full():
            self.outgoing.put_nowait(refusal)


class Streams:
    """All streams of a device. `changing` is held by whoever writes; a new primary hears of it when it is free."""

    def __init__(self, arbitration: Arbitration, changing: asyncio.Lock, receive: Receive) -> None:
        self._arbitration = arbitration
        self._changing = changing
        self._receive = receive
        self._open: dict[Hashable, Stream] = {}

    def open(self, peer: Peer) -> Stream:
        stream = Stream(peer)
        self._open[id(stream)] = stream
        return stream

    def closed(self, stream: Stream) -> None:
        """The stream has ended, whoever ended it."""
        if self._open.pop(id(stream), None) is not None:
            self._tell(self._arbitration.leave(id(stream)).now)

    def end_all(self, refusal: RefusedError) -> None:
        """The device ends: every client is told so at once, and none holds it up."""
        for stream in list(self._open.values()):
            stream.end(refusal)

    def tell(self, message: p4r.StreamMessageResponse) -> bool:
        """Offer a message to the primary of each role that it is for; False if none has taken it."""
        taken = [
            stream.offer(part)
            for part, clients in self._addressed(message)
            for client in clients
            if (stream := self._open.get(client)) is not None
        ]
        return any(taken)

    def _addressed(
        self, message: p4r.StreamMessageResponse
    ) -> Iterable[tuple[p4r.StreamMessageResponse, tuple[Hashable, ...]]]:
        """What is said to whom, as roles' configurations have it; idle entries table by table."""
        match message.WhichOneof("update"):
            case "packet":
                return [(message, self._arbitration.receivers_of_packet(message.packet.metadata))]
            case "digest":
                return [(message, self._arbitration.receivers_of(message.digest.digest_id))]
            case "idle_timeout_notification":
                return ((part, self._arbitration.receivers_of(table)) for table, part in _by_table(message))
            case _:
                return [(message, self._arbitration.receivers_of(0))]

    async def listen(self, stream: Stream, requests: AsyncIterator[p4r.StreamMessageRequest]) -> None:
        """Take a client's messages until it stops sending or sends one that ends the stream."""
        try:
            async for request in requests:
                await self._take(stream, request)
        except RefusedError as refusal:
            self.closed(stream)
            stream.end(refusal)
            return
        stream.end()

    async def _take(self, stream: Stream, request: p4r.StreamMessageRequest) -> None:
        kind = request.WhichOneof("update")
        match kind:
            case "arbitration":
                notices = self._arbitration.arbitrate(id(stream), request.arbitration, stream.peer)
                await self._notify(notices)
            case "packet" | "digest_ack":
                self._ask(stream, request)
            case _:
                self._refuse(
                    stream, request, unimplemented(f"a stream message of kind {kind or 'none'} means nothing here")
                )

    def _ask(self, stream: Stream, request: p4r.StreamMessageRequest) -> None:
        """What only a primary may ask for; whoever may not is told, and nothing is done."""
        try:
            self._arbitration.check_primary(id(stream))
            self._receive(request)
        except RefusedError as refusal:
            self._refuse(stream, request, refusal)

    def _refuse(self, stream: Stream, request: p4r.StreamMessageRequest, refusal: RefusedError) -> None:
        """Send a StreamError with the message that it is about; a client that does not read loses it."""
        error = p4r.StreamError(canonical_code=int(refusal.code), message=refusal.text, space=SPACE)
        match request.WhichOneof("update"):
            case "packet":
                error.packet_out.packet_out.CopyFrom(request.packet)
            case "digest_ack":
                error.digest_list_ack.digest_list_ack.CopyFrom(request.digest_ack)
            case "other":
                error.other.other.CopyFrom(request.other)
            case _:
                error.other.SetInParent()
        stream.offer(p4r.StreamMessageResponse(error=error))

    async def _notify(self, notices: Notices) -> None:
        self._tell(notices.now)
        if notices.settled:
            # The specification's order: the new primary hears of it when writes under way are done.
            async with self._changing:
                self._tell(notices.settled)

    def _tell(self, clients: tuple[Hashable, ...]) -> None:
        for client in clients:
            stream = self._open.get(client)
            if stream is not None and self._arbitration.is_live(client):
                told = self._arbitration.notification(client)
                stream.send(p4r.StreamMessageResponse(arbitration=told))


def _by_table(message: p4r.StreamMessageResponse) -> Iterable[tuple[int, p4r.StreamMessageResponse]]:
    """An idle notification as one for each table id in it."""
    parts: dict[int, p4r.StreamMessageResponse] = {}
    told = message.idle_timeout_notification
    for entry in told.table_entry:
        part = parts.setdefault(entry.table_id, p4r.StreamMessageResponse())
        part.idle_timeout_notification.timestamp = told.timestamp
        part.idle_timeout_notification.table_entry.append(entry)
    return parts.items()
