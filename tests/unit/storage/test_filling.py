"""What is read ahead is asked for without a gap, and counts as there when all before it is."""

from __future__ import annotations

import socket
import struct
from collections.abc import Generator
from pathlib import Path
from threading import Thread

import pytest

from agents.storage.io.filling import Filling, Task
from agents.storage.io.nbdclient import NbdClient
from agents.storage.io.pacing import Reads
from agents.storage.io.preloading import Arrivals
from agents.storage.wire.errors import ImageError
from agents.storage.wire.nbd import Command

SIZE = 1 << 30
Asked = tuple[int, int, int]
"""Command, offset, length."""


class Server:
    """A server of NBD that answers what it was asked last first, one when it has been asked for `at_once` or for
    nothing for a while; an odd offset with an error."""

    def __init__(self, path: Path) -> None:
        self.at_once = 4
        self.asked: list[Asked] = []
        self.most_at_once = 0
        self._listening = socket.create_server(str(path), family=socket.AF_UNIX)
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listening.close()
        self._thread.join(5)

    def _serve(self) -> None:
        client, _ = self._listening.accept()
        with client, client.makefile("rb") as said:
            client.sendall(b"NBDMAGICIHAVEOPT" + struct.pack(">H", 3))
            said.read(4)
            _, option, length = struct.unpack(">8sII", said.read(16))
            said.read(length)
            export = struct.pack(">HQH", 0, SIZE, 0)
            client.sendall(struct.pack(">QIII", 0x3E889045565A9, option, 3, len(export)) + export)
            client.sendall(struct.pack(">QIII", 0x3E889045565A9, option, 1, 0))
            waiting: dict[int, int] = {}
            client.settimeout(0.25)
            while True:
                try:
                    request = client.recv(28, socket.MSG_WAITALL)
                except TimeoutError:
                    self._answer(client, waiting)
                    continue
                if not request:
                    return
                _, _, command, handle, offset, length = struct.unpack(">IHHQQI", request)
                self.asked.append((command, offset, length))
                waiting[handle] = offset
                if len(waiting) >= self.at_once:
                    self._answer(client, waiting)

    def _answer(self, client: socket.socket, waiting: dict[int, int]) -> None:
        self.most_at_once = max(self.most_at_once, len(waiting))
        if waiting:
            handle, offset = waiting.popitem()
            client.sendall(struct.pack(">IIQ", 0x67446698, 5 if offset % 2 else 0, handle))


@pytest.fixture
def last_first(tmp_path: Path) -> Generator[Server]:
    server = Server(tmp_path / "s")
    try:
        yield server
    finally:
        server.close()


def test_as_many_as_may_be_are_always_under_way(last_first: Server, tmp_path: Path) -> None:
    pieces = [(number << 12, 4096) for number in range(7)]
    with NbdClient(tmp_path / "s", "copy") as client:
        found = list(client.cache(pieces, at_once=3, flush_bytes=3 * 4096))
    assert sorted(found) == pieces
    assert found != pieces
    assert last_first.most_at_once == 3
    flush = (Command.FLUSH, 0, 0)
    cache = [(Command.CACHE, *piece) for piece in pieces]
    assert last_first.asked == [*cache[:3], flush, *cache[3:6], flush, cache[6]]


def test_nothing_more_is_asked_for_when_nobody_goes_on(last_first: Server, tmp_path: Path) -> None:
    with NbdClient(tmp_path / "s", "copy") as client:
        next(client.cache([(number << 12, 4096) for number in range(100)], at_once=3))
    assert len(last_first.asked) == 3


def test_an_error_is_told(last_first: Server, tmp_path: Path) -> None:
    with (
        NbdClient(tmp_path / "s", "copy") as client,
        pytest.raises(ImageError, match="Input/output error at byte 4097"),
    ):
        list(client.cache([(0, 4096), (4097, 4096)], at_once=2))


class Told(Arrivals):
    def __init__(self) -> None:
        super().__init__()
        self.counts: list[int] = []
        self.has_ended = False

    def reached(self, count: int) -> None:
        self.counts.append(count)
        super().reached(count)

    def end(self) -> None:
        self.has_ended = True
        super().end()


def test_what_comes_too_early_is_not_there_yet(last_first: Server, tmp_path: Path) -> None:
    """Three extents, of which the second is one piece and a bit; of six pieces at once the last one comes first."""
    piece = 1 << 18
    last_first.at_once = 6
    told = Told()
    task = Task(
        digest=f"sha256:{'a' * 64}",
        size_bytes=SIZE,
        socket=tmp_path / "s",
        ahead=((8 * piece, piece), (0, piece + 4096), (4 * piece, 3 * piece)),
        whole=False,
        reads=lambda: Reads(done=0, waiting=0),
        finish=lambda _: None,
        arrivals=told,
    )
    filling = Filling(task)
    filling._thread.join(10)  # pyright: ignore[reportPrivateUsage]
    assert not filling.is_running
    assert told.counts == [0, 0, 0, 0, 0, 3]
    assert told.has_ended
    assert [one[1:] for one in last_first.asked if one[0] == Command.CACHE] == [
        (8 * piece, piece),
        (0, piece),
        (piece, 4096),
        (4 * piece, piece),
        (5 * piece, piece),
        (6 * piece, piece),
    ]
