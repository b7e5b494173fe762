"""The open StreamChannels of a device: what clients send on them, and the notifications that they get."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Iterator

from finsy.proto import p4r

from runtime.device.arbitration import Arbitration, Standing
from runtime.device.complaints import Complaints
from runtime.device.outbox import Outbox
from runtime.device.pace import Pace
from runtime.device.refusals import SPACE, RefusedError, unimplemented
from runtime.device.rights import Peer
from runtime.device.turns import Turns

ARBITRATION_COST = 50
"""Messages that one about arbitration counts for: all clients of its role are told, and the journal may be."""
Receive = Callable[[p4r.StreamMessageRequest], None]
"""Does what the primary asks on its stream. Raises `RefusedError`."""


class Stream:
    """One open stream."""

    def __init__(self, peer: Peer, name: str, pace: Pace) -> None:
        self.peer, self.name, self.pace = peer, name, pace
        self.outbox = Outbox()


class Streams:
    """All streams of a device. A new primary hears of it when the change that is under way (`changing`) is over."""

    def __init__(
        self, arbitration: Arbitration, changing: Turns, receive: Receive, complaints: Complaints, rate: int
    ) -> None:
        """`rate`: messages a second that are taken from one stream."""
        self._arbitration = arbitration
        self._changing = changing
        self._receive = receive
        self._complaints = complaints
        self._rate = rate
        self._open: dict[Hashable, Stream] = {}

    def open(self, peer: Peer, name: str) -> Stream:
        """`name` is the client's, for the log."""
        stream = Stream(peer, name, Pace(self._rate))
        self._open[id(stream)] = stream
        return stream

    def closed(self, stream: Stream) -> None:
        """The stream has ended, whoever ended it."""
        if self._open.pop(id(stream), None) is not None:
            self._tell(self._arbitration.leave(id(stream)).now)

    def __iter__(self) -> Iterator[tuple[Stream, Standing | None]]:
        """All that are open, and how their clients stand."""
        return ((stream, self._arbitration.standing(client)) for client, stream in list(self._open.items()))

    def end_all(self, refusal: RefusedError) -> None:
        """The device ends: every client is told so at once, and none holds it up."""
        for stream in list(self._open.values()):
            stream.outbox.end(refusal)

    def tell(self, message: p4r.StreamMessageResponse) -> bool:
        """Offer a message to the primary of each role that it is for; False if none has taken it."""
        taken = [
            self._offer(stream, part)
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
                await stream.pace.keep(ARBITRATION_COST if request.HasField("arbitration") else 1)
        except RefusedError as refusal:
            self.closed(stream)
            stream.outbox.end(refusal)
            return
        stream.outbox.end()

    async def _take(self, stream: Stream, request: p4r.StreamMessageRequest) -> None:
        kind = request.WhichOneof("update")
        match kind:
            case "arbitration":
                notices = self._arbitration.arbitrate(id(stream), request.arbitration, stream.peer)
                self._tell(notices.now)
                if notices.settled:
                    # The specification's order: the new primary hears of it when writes under way are done. Those
                    # that wait are not: they are refused when it is their turn.
                    await self._changing.settled(request.arbitration.role.name)
                    self._tell(notices.settled)
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
        self._complaints.refused("stream message", refusal.code)
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
        self._offer(stream, p4r.StreamMessageResponse(error=error))

    def _offer(self, stream: Stream, message: p4r.StreamMessageResponse) -> bool:
        if stream.outbox.offer(message):
            return True
        self._complaints.note(
            stream.name, f"messages lost, since it leaves too many unread: {message.WhichOneof('update')}"
        )
        return False

    def _tell(self, clients: tuple[Hashable, ...]) -> None:
        for client in clients:
            stream = self._open.get(client)
            if stream is not None and self._arbitration.is_live(client):
                told = self._arbitration.notification(client)
                stream.outbox.notify(p4r.StreamMessageResponse(arbitration=told))


def _by_table(message: p4r.StreamMessageResponse) -> Iterable[tuple[int, p4r.StreamMessageResponse]]:
    """An idle notification as one for each table id in it."""
    parts: dict[int, p4r.StreamMessageResponse] = {}
    told = message.idle_timeout_notification
    for entry in told.table_entry:
        part = parts.setdefault(entry.table_id, p4r.StreamMessageResponse())
        part.idle_timeout_notification.timestamp = told.timestamp
        part.idle_timeout_notification.table_entry.append(entry)
    return parts.items()
