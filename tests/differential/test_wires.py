"""Veth pairs for comparisons: whatever is sent by one that was just made comes out of it, whatever else is made."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager

import pytest

from runtime.verification.offloads import VnetHeader
from runtime.verification.wires import Wires

pytestmark = [pytest.mark.root, pytest.mark.slow]
PAIRS = 100
"""One of some forty lost its first frame when nobody waited for its queues."""
FRAME = b"\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01\x88\xb5" + bytes(46)


@contextmanager
def others_at_work() -> Generator[None]:
    """Somebody else makes and removes interfaces, so the kernel's lock for them is often held."""
    stop = threading.Event()

    def work() -> None:
        with closing(Wires()) as wires, wires.near():
            while not stop.is_set():
                for command in ("add other type veth peer name end", "set other up", "set end up", "del other"):
                    subprocess.run(["ip", "link", *command.split()], check=True)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        stop.set()
        for worker in workers:
            worker.join()


def test_a_pair_that_was_just_made_loses_nothing() -> None:
    with others_at_work(), closing(Wires()) as wires:
        for number in range(PAIRS):
            name = f"port{number}"
            wires.add(name)
            with wires.near(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as near:
                near.bind((name, 3))
                near.send(FRAME)
                received = wires.receive(name, 1.0)
                assert received is not None, name
                assert received.frame == FRAME
                near.settimeout(1.0)
                wires.send(name, VnetHeader(), FRAME)
                assert near.recv(2000)
