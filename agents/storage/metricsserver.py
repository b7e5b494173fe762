"""Metrics over HTTP, at a unix socket or on loopback: GET /metrics, in Prometheus' text format."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from pathlib import Path
from socketserver import BaseServer, TCPServer, ThreadingMixIn, UnixStreamServer
from threading import Thread
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from agents.storage.wire.errors import ImageError

PATH: Final = "/metrics"
_TIMEOUT_S: Final = 10.0
Address = Path | tuple[str, int]


def parse_address(text: str) -> Address:
    """A path, or HOST:PORT with an address of loopback: whoever reaches it may read what images a node has."""
    if "/" in text:
        return Path(text).absolute()
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (host and port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise ImageError(f"'{text}' is no address for metrics; expected a socket's path, or 127.0.0.1:PORT")
    try:
        is_loopback = ip_address("127.0.0.1" if host == "localhost" else host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise ImageError(f"'{host}' is no address of loopback, and metrics have no passwords")
    return ("127.0.0.1" if host == "localhost" else host), int(port)


class _Unix(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


class _Tcp(ThreadingMixIn, TCPServer):
    daemon_threads = True
    allow_reuse_address = True


class _Tcp6(_Tcp):
    address_family = socket.AF_INET6


class MetricsServer:
    """Listens once it is made."""

    def __init__(self, address: Address, registry: CollectorRegistry) -> None:
        self._address = address
        try:
            self._server = _server(address, _handler(lambda: generate_latest(registry)))
        except OSError as error:
            name = str(address) if isinstance(address, Path) else f"{address[0]}:{address[1]}"
            raise ImageError(f"{name}: metrics cannot be served there: {error.strerror or error}") from error
        Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        if isinstance(self._address, Path):
            self._address.unlink(missing_ok=True)


def _server(address: Address, handler: type[BaseHTTPRequestHandler]) -> BaseServer:
    if not isinstance(address, Path):
        return (_Tcp6 if ":" in address[0] else _Tcp)(address, handler)
    address.parent.mkdir(parents=True, exist_ok=True)
    if address.is_socket():  # the agent is alone with its snapshots: what is there is of one before
        address.unlink()
    before = os.umask(0o177)
    try:
        return _Unix(str(address), handler)
    finally:
        os.umask(before)


def _handler(answer: Callable[[], bytes]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _TIMEOUT_S

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != PATH:
                self.send_error(404)
                return
            body = answer()
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE_PLAIN_0_0_4)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nobody reads who asked."""

    return Handler
