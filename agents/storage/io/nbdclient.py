"""A client of NBD that reads: what a server has, and whether it answers at all, before anybody relies on it; and that
tells this node's storage daemons what to fetch.

Synchronous, with a limit on every wait. What containers read does not come this way but through the storage daemon.
"""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, TypeVar

from agents.storage.io.nbdtls import NbdTls, said
from agents.storage.wire import nbd
from agents.storage.wire.errors import ImageError
from agents.storage.wire.remotes import Server

TIMEOUT_S: Final = 5.0
_PIECE: Final = 1 << 20
_MOST_AT_ONCE: Final = 16
T = TypeVar("T")


class _Request(NamedTuple):
    command: nbd.Command
    offset: int
    length: int


def _caching(pieces: Iterable[tuple[int, int]], flush_bytes: int | None) -> Iterator[_Request]:
    asked = 0
    for piece in pieces:
        yield _Request(nbd.Command.CACHE, *piece)
        asked += piece[1]
        if flush_bytes is not None and asked >= flush_bytes:
            yield _Request(nbd.Command.FLUSH, 0, 0)
            asked = 0


class NbdClient:
    """One connection to one export. A context manager. Raises ImageError that names the server."""

    def __init__(
        self, server: Server | Path, export: str, timeout_s: float = TIMEOUT_S, tls: NbdTls | None = None
    ) -> None:
        """A path is that of a Unix socket. `tls` is for servers that speak it."""
        self._what, self._timeout_s = str(server), timeout_s
        self._deadline = time.monotonic() + timeout_s
        context = _context(server, tls)
        try:
            self._socket = _connected(server, timeout_s)
        except TimeoutError as error:
            raise self._silent() from error
        except OSError as error:
            raise ImageError(f"{server}: {error.strerror or error}") from error
        try:
            self.size = self._negotiated(export, context, _named(server))
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> NbdClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def read(self) -> bytes:
        """All of it."""
        places = range(0, self.size, _PIECE)
        requests = (_Request(nbd.Command.READ, offset, min(_PIECE, self.size - offset)) for offset in places)
        found = {request.offset: data for request, data in self._answers(requests)}
        return b"".join(found[offset] for offset in places)

    def cache(
        self, pieces: Iterable[tuple[int, int]], at_once: int, flush_bytes: int | None = None
    ) -> Iterator[tuple[int, int]]:
        """Have the server fetch them, so many at the same time, and write down what it has behind each `flush_bytes`.
        Gives each when it is there, in whatever order that is, and asks for more only as long as somebody goes on."""
        for request, _ in self._answers(_caching(pieces, flush_bytes), at_once):
            if request.command is nbd.Command.CACHE:
                yield request.offset, request.length

    def flush(self) -> None:
        """What the server knows is written down by it."""
        for _ in self._answers([_Request(nbd.Command.FLUSH, 0, 0)]):
            pass

    def _answers(self, requests: Iterable[_Request], at_once: int = _MOST_AT_ONCE) -> Iterator[tuple[_Request, bytes]]:
        """Each with its data, in the order they come in; some requests are always under way."""
        waiting: dict[int, _Request] = {}
        left = enumerate(requests)
        while True:
            for handle, request in islice(left, at_once - len(waiting)):
                waiting[handle] = request
                self._send(nbd.request(request.command, handle, request.offset, request.length))
            if not waiting:
                return
            self._deadline = time.monotonic() + self._timeout_s
            handle, error = self._parsed(nbd.reply, self._receive(nbd.REPLY.size))
            request = waiting.pop(handle)
            if error:
                raise ImageError(f"{self._what}: {os.strerror(error)} at byte {request.offset}")
            yield request, self._receive(request.length) if request.command is nbd.Command.READ else b""

    def _negotiated(self, export: str, context: ssl.SSLContext | None, host: str) -> int:
        """The export's size."""
        flags = self._parsed(nbd.client_flags, self._receive(nbd.GREETING.size))
        if context is not None:
            self._send(flags + nbd.start_tls())
            self._start_tls(context, host)
            flags = b""
        self._send(flags + nbd.go(export))
        size: int | None = None
        while True:
            kind, length = self._parsed(nbd.option_reply, self._receive(nbd.OPTION_REPLY.size))
            data = self._receive(length)
            try:
                found = nbd.told(kind, data)
            except nbd.UnknownExportError as error:
                raise ImageError(f"{self._what} has no {export}") from error
            except ImageError as error:
                raise ImageError(f"{self._what} {error}") from error
            if isinstance(found, nbd.Export):
                size = found.size
            elif found and size is not None:
                return size
            elif found:
                raise ImageError(f"{self._what} does not say how large {export} is")

    def _start_tls(self, context: ssl.SSLContext, host: str) -> None:
        kind, length = self._parsed(nbd.option_reply, self._receive(nbd.OPTION_REPLY.size))
        self._receive(length)
        try:
            nbd.begins_tls(kind)
        except ImageError as error:
            raise ImageError(f"{self._what} {error}") from error
        self._limit()
        try:
            self._socket = context.wrap_socket(self._socket, server_hostname=host)
        except TimeoutError as error:
            raise self._silent() from error
        except ssl.SSLCertVerificationError as error:
            raise ImageError(f"{self._what}: its certificate is refused: {error.verify_message}") from error
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> ImageError:
        """A server tells by an alert what it does not take in a client's certificate, behind the handshake."""
        reason = str(getattr(error, "reason", "") or "")
        if "ALERT" in reason:
            return ImageError(f"{self._what} refuses our certificate: {reason.partition('ALERT_')[2].lower()}")
        return ImageError(f"{self._what}: {said(error)}")

    def _parsed(self, parse: Callable[[bytes], T], data: bytes) -> T:
        try:
            return parse(data)
        except ImageError as error:
            raise ImageError(f"{self._what} {error}") from error

    def _send(self, data: bytes) -> None:
        self._limit()
        try:
            self._socket.sendall(data)
        except TimeoutError as error:
            raise self._silent() from error
        except OSError as error:
            raise self._failed(error) from error

    def _receive(self, count: int) -> bytes:
        found = bytearray()
        while len(found) < count:
            self._limit()
            try:
                data = self._socket.recv(count - len(found))
            except TimeoutError as error:
                raise self._silent() from error
            except OSError as error:
                raise self._failed(error) from error
            if not data:
                raise ImageError(f"{self._what} ends the connection")
            found += data
        return bytes(found)

    def _limit(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise self._silent()
        self._socket.settimeout(left)

    def _silent(self) -> ImageError:
        return ImageError(f"{self._what} does not answer within {self._timeout_s:g} s")


def _named(server: Server | Path) -> str:
    """What its certificate must name."""
    return server.tls_hostname or server.host if isinstance(server, Server) else ""


def _context(server: Server | Path, tls: NbdTls | None) -> ssl.SSLContext | None:
    if not isinstance(server, Server) or not server.tls:
        return None
    if tls is None:
        raise ImageError(f"{server} speaks TLS: --tls-ca, --tls-cert and --tls-key are needed")
    return tls.context()


def _connected(server: Server | Path, timeout_s: float) -> socket.socket:
    if isinstance(server, Server):
        return socket.create_connection((server.host, server.port), timeout_s)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        made.settimeout(timeout_s)
        made.connect(str(server))
    except BaseException:
        made.close()
        raise
    return made
