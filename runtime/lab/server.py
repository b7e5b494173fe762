"""Small servers for the lab's workloads: `server.py NAME SERVER:PORT...`, each on IPv4 and IPv6.

    http        every request is answered by "NAME ADDRESS-OF-THE-CLIENT\\n"; connections are kept open
    tcp-echo    bytes come back
    udp-echo    datagrams come back

Runs by itself with the standard library alone, since each workload starts one.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import socketserver
import struct
import sys
import threading
from typing import Any, ClassVar

LONGEST_LINE = 65_536
LONGEST_DATAGRAM = 65_536
PKTINFO = struct.Struct("16sI")
"""struct in6_pktinfo: the address that a datagram was sent to, an IPv4 one mapped, and an interface (RFC 3542)."""


class HttpHandler(socketserver.StreamRequestHandler):
    """HTTP/1.1 (RFC 9112) as far as a client of the lab needs it: any method, no request body."""

    disable_nagle_algorithm = True
    name: ClassVar[str]

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            while self._answer():
                pass

    def _answer(self) -> bool:
        """Serve one request; False when the connection ends."""
        request = self.rfile.readline(LONGEST_LINE).split()
        if len(request) != 3:
            return False
        keep = request[2] == b"HTTP/1.1"
        while (header := self.rfile.readline(LONGEST_LINE).lower()).strip():
            field, _, value = header.partition(b":")
            if field == b"connection":
                keep = value.strip() == b"keep-alive"
        self.wfile.write(self._response(keep=keep, has_body=request[0] != b"HEAD"))
        return keep

    def _response(self, *, keep: bool, has_body: bool) -> bytes:
        body = f"{self.name} {plain(self.client_address[0])}\n".encode()
        connection = "keep-alive" if keep else "close"
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\nConnection: {connection}"
        return head.encode() + b"\r\n\r\n" + (body if has_body else b"")


class TcpEchoHandler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            while data := self.request.recv(LONGEST_LINE):
                self.request.sendall(data)


class DualStackServer(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request
        print(f"{client_address}: {sys.exc_info()[1]!r}", file=sys.stderr, flush=True)


def plain(address: str) -> str:
    """An IPv4 address that a dual-stack socket shows as IPv4-mapped, as IPv4 again."""
    return address.removeprefix("::ffff:")


def echo_datagrams(listener: socket.socket) -> None:
    """From the address that each was sent to, which need not be the one that the way back would have."""
    while True:
        data, told, _, sender = listener.recvmsg(LONGEST_DATAGRAM, socket.CMSG_SPACE(PKTINFO.size))
        own = [PKTINFO.pack(PKTINFO.unpack(info)[0], 0) for _, _, info in told if len(info) == PKTINFO.size]
        # The answer may meet an ICMP error of an earlier one; that is no reason to end.
        with contextlib.suppress(OSError):
            listener.sendmsg([data], [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, one) for one in own], 0, sender)


def udp_listener(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    listener.bind(("::", port))
    return listener


def serve(name: str, kind: str, port: int) -> None:
    """Begin to serve in a thread. Raises OSError when the port is taken, ValueError for an unknown server."""
    match kind:
        case "http":
            handler = type("NamedHandler", (HttpHandler,), {"name": name})
            work = DualStackServer(("::", port), handler).serve_forever
        case "tcp-echo":
            work = DualStackServer(("::", port), TcpEchoHandler).serve_forever
        case "udp-echo":
            listener = udp_listener(port)

            def work() -> None:
                echo_datagrams(listener)
        case _:
            raise ValueError(f"there is no server '{kind}'")
    threading.Thread(target=work, daemon=True).start()


def main(name: str, servers: list[str]) -> None:
    for server in servers:
        kind, _, port = server.partition(":")
        serve(name, kind, int(port))
    print("ready", *servers, flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    # Blocked before any thread exists, so that every thread has them blocked and sigwait gets them.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main(sys.argv[1], sys.argv[2:])
