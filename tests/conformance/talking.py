"""TCP connections through the ports of a device, which notice when a byte is lost, late or wrong."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from runtime.bpf.namespaces import entered

PAUSE_S = 0.005
PATIENCE_S = 5.0


class Talk:
    """One connection that asks all the time, and gets each question back as its answer."""

    def __init__(self, namespace: str, address: str, port: int) -> None:
        with entered(namespace):
            self._socket = socket.socket()
        self._socket.settimeout(PATIENCE_S)
        try:
            self._socket.connect((address, port))
        except OSError:
            self._socket.close()
            raise
        self.answers = 0
        self.longest_s = 0.0
        """The longest wait for an answer."""
        self.failed: OSError | ValueError | None = None
        self._ending = False
        self._thread = threading.Thread(target=self._talk, daemon=True)
        self._thread.start()

    def goes_on(self, answers: int = 10) -> bool:
        """Whether it gets so many more answers, within its patience. Raises what it failed by."""
        wanted, deadline = self.answers + answers, time.monotonic() + PATIENCE_S
        while self.answers < wanted and self.failed is None and time.monotonic() < deadline:
            time.sleep(PAUSE_S)
        if self.failed is not None:
            raise self.failed
        return self.answers >= wanted

    def end(self) -> None:
        self._ending = True
        self._thread.join()
        self._socket.close()

    def _talk(self) -> None:
        try:
            while not self._ending:
                begun = time.monotonic()
                self._ask(b"%16d" % self.answers)
                self.longest_s = max(self.longest_s, time.monotonic() - begun)
                self.answers += 1
                time.sleep(PAUSE_S)
        except (OSError, ValueError) as problem:
            self.failed = problem

    def _ask(self, question: bytes) -> None:
        self._socket.sendall(question)
        answer = b""
        while len(answer) < len(question):
            piece = self._socket.recv(len(question) - len(answer))
            if not piece:
                raise ConnectionResetError("the other end has closed")
            answer += piece
        if answer != question:
            raise ValueError(f"asked {question!r}, got {answer!r}")


Reply = Callable[[socket.socket, bytes], bytes]


def _echo(connection: socket.socket, data: bytes) -> bytes:
    del connection
    return data


@contextmanager
def echoing(namespace: str, port: int, reply: Reply = _echo) -> Generator[None]:
    """A server that gives everything back, or what `reply` makes of it, to any number of connections."""
    with entered(namespace):
        listener = socket.create_server(("0.0.0.0", port))
    ended = threading.Event()

    def echo(connection: socket.socket) -> None:
        with connection:
            connection.settimeout(0.2)
            while not ended.is_set():
                try:
                    data = connection.recv(1 << 16)
                    if not data:
                        return
                    connection.sendall(reply(connection, data))
                except TimeoutError:
                    continue
                except OSError:
                    return

    def accept() -> None:
        listener.settimeout(0.2)
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            threading.Thread(target=echo, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        listener.close()
