"""A way to a server on which connections break."""

from __future__ import annotations

import socket
from collections.abc import Generator
from contextlib import contextmanager, suppress
from threading import Thread


@contextmanager
def cutting(host: str, after: int, times: int) -> Generator[str]:
    """A way to the registry on which connections break after so many bytes have been sent, the first so many times."""
    left, threads, ends = [times], list[Thread](), list[socket.socket]()
    address, _, port = host.partition(":")

    def forward(source: socket.socket, target: socket.socket, *, cut: bool) -> None:
        passed = 0
        with suppress(OSError):
            while data := source.recv(8192):
                passed += len(data)
                if cut and passed > after and left[0] > 0:
                    left[0] -= 1
                    break
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve(client: socket.socket) -> None:
        with client, socket.create_connection((address, int(port))) as upstream:
            ends.extend((client, upstream))
            back = Thread(target=forward, args=(upstream, client), kwargs={"cut": False})
            back.start()
            forward(client, upstream, cut=True)
            back.join()

    def accept(listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threads.append(Thread(target=serve, args=(client,)))
            threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = Thread(target=accept, args=(listener,))
        accepting.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for end in ends:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
    assert left[0] == 0, "nothing was cut"
