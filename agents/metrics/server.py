"""Pages over HTTP for who watches an agent: Prometheus (GET /metrics, its text format) and probes.

At a unix socket, or at an address. Nothing here has passwords or TLS, so agents take what is not loopback only where
that is asked for. Called by `turnout agent`.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from pathlib import Path
from socketserver import BaseServer, TCPServer, ThreadingMixIn, UnixStreamServer
from threading import BoundedSemaphore, Thread
from typing import Any, Final, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

METRICS: Final = "/metrics"
_LOG: Final = logging.getLogger(__name__)
_TIMEOUT_S: Final = 10.0
_MOST_AT_ONCE: Final = 32
"""Connections; who comes then is sent away, so that nobody makes threads without end."""
TcpAddress = tuple[str, int]
"""Host and port; of an empty host, all addresses of both families."""
Address = Path | TcpAddress


class ServingError(Exception):
    """An address that pages cannot be served at; the text is fit to print."""


class BeyondLoopbackError(ServingError):
    """It is one that others reach."""


class Answer(NamedTuple):
    code: int
    kind: str
    body: bytes


Page = Callable[[], Answer]


def parse_address(text: str) -> Address:
    """A path, or HOST:PORT with an address of loopback."""
    if "/" in text:
        return Path(text).absolute()
    return parse_tcp(text, expected="a socket's path, or 127.0.0.1:PORT")


def parse_tcp(
    text: str, *, beyond_loopback: bool = False, expected: str = "ADDRESS:PORT, or :PORT for every address"
) -> TcpAddress:
    """`beyond_loopback` allows what others reach."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    host = "127.0.0.1" if host == "localhost" else host
    is_port = colon and port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16
    if not is_port:
        raise ServingError(f"'{text}' is no address; expected {expected}")
    try:
        is_loopback, is_address = ip_address(host).is_loopback, True
    except ValueError:
        is_loopback, is_address = False, not host
    if not is_loopback and not beyond_loopback:
        named = f"'{host}' is no address of loopback" if host else "every address is more than loopback"
        raise BeyondLoopbackError(f"{named}, and metrics have no passwords")
    if not is_address:
        raise ServingError(f"'{host}' is no IP address; expected {expected}")
    return host, int(port)


def metrics_page(registry: CollectorRegistry) -> Page:
    return lambda: Answer(200, CONTENT_TYPE_PLAIN_0_0_4, generate_latest(registry))


def probe_page(problems: Callable[[], Sequence[str]]) -> Page:
    """As probes of Kubernetes ask: 200 for no problem, else 500 and what they are."""

    def page() -> Answer:
        found = problems()
        text = "".join(f"{problem}\n" for problem in found) or "ok\n"
        return Answer(500 if found else 200, "text/plain; charset=utf-8", text.encode())

    return page


class PageServer:
    """Listens once it is made. Pages by their path."""

    def __init__(self, address: Address, pages: Mapping[str, Page]) -> None:
        self._address = address
        try:
            self._server = _server(address, _handler(pages))
        except OSError as error:
            name = str(address) if isinstance(address, Path) else _name(address)
            raise ServingError(f"{name} cannot be listened on: {error.strerror or error}") from error
        Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        if isinstance(self._address, Path):
            self._address.unlink(missing_ok=True)


class _Threads(ThreadingMixIn, BaseServer):
    """One for each connection, up to a bound."""

    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        self._places = BoundedSemaphore(_MOST_AT_ONCE)
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread has begun that would give it back
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        if not isinstance(sys.exception(), OSError):  # who asked has gone
            _LOG.exception("a page could not be shown")


class _Unix(_Threads, UnixStreamServer):
    pass


class _Tcp(_Threads, TCPServer):
    allow_reuse_address = True


class _Tcp6(_Tcp):
    address_family = socket.AF_INET6


class _TcpAll(_Tcp6):
    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


def _server(address: Address, handler: type[BaseHTTPRequestHandler]) -> BaseServer:
    if not isinstance(address, Path):
        return _tcp_server(address, handler)
    address.parent.mkdir(parents=True, exist_ok=True)
    if address.is_socket():  # the agent is alone with its snapshots: what is there is of one before
        address.unlink()
    before = os.umask(0o177)
    try:
        return _Unix(str(address), handler)
    finally:
        os.umask(before)


def _tcp_server(address: TcpAddress, handler: type[BaseHTTPRequestHandler]) -> BaseServer:
    host, _ = address
    if not host and socket.has_dualstack_ipv6():
        return _TcpAll(address, handler)
    return (_Tcp6 if ":" in host else _Tcp)(address, handler)


def _name(address: TcpAddress) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _handler(pages: Mapping[str, Page]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _TIMEOUT_S

        def do_GET(self) -> None:
            page = pages.get(self.path.partition("?")[0])
            if page is None:
                self.send_error(404)
                return
            answer = page()
            self.send_response(answer.code)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def version_string(self) -> str:
            """Not which Python this is."""
            return "turnout"

        def log_message(self, format: str, *args: Any) -> None:
            """Nobody reads who asked."""

    return Handler
