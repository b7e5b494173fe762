"""What the processes of a node take: CPU time, memory; and when they listen."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Final

from runtime.lab.netns import inside

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
_DUMP: Final = 0x301
"""NLM_F_REQUEST and NLM_F_DUMP (netlink(7))."""
_DONE: Final = 3
_LISTENING: Final = 1 << 10
"""Of TCP_LISTEN (include/net/tcp_states.h)."""
_HEADER, _REQUEST, _FOUND = struct.Struct("=IHHII"), struct.Struct("=BBBxI48x"), struct.Struct("!4xH")
"""nlmsghdr; inet_diag_req_v2, and of inet_diag_msg the port (sock_diag(7))."""
_LOOK_S: Final = 0.005


def cpu_s(pids: Iterable[int]) -> float:
    """User and system time of these processes, with children of theirs that have ended."""
    return sum(sum(map(int, text.rpartition(")")[2].split()[11:15])) for text in _texts(pids, "stat")) / _TICKS


def memory_mb(pids: Iterable[int]) -> float:
    """What these processes hold: pages that several have mapped are divided among them (PSS), so each counts once. Of
    files what is mapped."""
    rows = (line.split() for text in _texts(pids, "smaps_rollup") for line in text.splitlines())
    return sum(int(row[1]) for row in rows if row[0] == "Pss:") / 1024


def _texts(pids: Iterable[int], name: str) -> Iterator[str]:
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):  # ended meanwhile
            yield Path(f"/proc/{pid}/{name}").read_text()


@contextmanager
def listened(namespace: str, ports: Sequence[int]) -> Generator[Mapping[int, Event]]:
    """For each port what is set when somebody there listens at it, or when this ends. One thread looks for all of them:
    fifty that try to connect take a whole CPU from those that are to answer."""
    events = {port: Event() for port in ports}
    ended = Event()

    def look() -> None:
        pending = set(ports)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as asking:
            while pending and not ended.wait(_LOOK_S):
                there = pending & {*_listening(asking, socket.AF_INET), *_listening(asking, socket.AF_INET6)}
                pending -= there
                for port in there:
                    events[port].set()

    with ThreadPoolExecutor(1) as thread:
        looking = thread.submit(inside, namespace, look)
        try:
            yield events
        finally:
            ended.set()
            looking.result()
            for event in events.values():  # nobody waits for what will not be told
                event.set()


def _listening(asking: socket.socket, family: int) -> Iterator[int]:
    """In the namespace of the socket. The kernel looks at those that listen alone, in 0.03 ms; for /proc/net/tcp it
    goes through its table of connections, in 9."""
    request = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, _LISTENING)
    asking.send(_HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _DUMP, 0, 0) + request)
    while True:
        answer, place = asking.recv(1 << 16), 0
        while place < len(answer):
            length, kind, *_ = _HEADER.unpack_from(answer, place)
            if kind != _SOCK_DIAG_BY_FAMILY:
                if kind != _DONE:
                    raise OSError(f"the kernel does not say who listens: netlink message {kind}")
                return
            yield _FOUND.unpack_from(answer, place + _HEADER.size)[0]
            place += (length + 3) & ~3
