"""When rules are in the kernel: what nf_tables tells of each transaction, without asking for anything.

iptables (Debian's is that of nf_tables) and nft commit whole transactions. The kernel tells listeners of every rule,
set and element of one, and then that there is a new generation (`NFT_MSG_NEWGEN`, linux/netfilter/nf_tables.h). An
endpoint's address stands in these messages as four bytes.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterable
from types import TracebackType

from bench.lab.programs import TrafficError
from runtime.bpf.namespaces import entered

NETLINK_NETFILTER, NFNLGRP_NFTABLES, SO_RCVBUFFORCE = 12, 7, 33
NEWGEN = 10 << 8 | 15
"""NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWGEN."""
BUFFER = 512 << 20
LARGEST = 1 << 20
LOOK_S = 0.5
_HEADER = struct.Struct("=IHHII")


def is_new_generation(data: bytes) -> bool:
    """Whether one of these netlink messages ends a transaction."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind = _HEADER.unpack_from(data, at)[:2]
        if kind == NEWGEN:
            return True
        if length < _HEADER.size:
            return False
        at += length + 3 & ~3
    return False


class Commits:
    """Listens in a namespace while it is entered."""

    def __init__(self, space: str) -> None:
        with entered(space):
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
        self._socket.bind((0, 1 << NFNLGRP_NFTABLES - 1))
        self._socket.settimeout(LOOK_S)
        self._changed = threading.Condition()
        self._wanted: set[bytes] = set()
        self._seen: set[bytes] = set()
        self._committed: dict[bytes, float] = {}
        self._problem: OSError | None = None
        self._ends = False
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Commits:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._ends = True
        self._thread.join()
        self._socket.close()

    def expect(self, needles: Iterable[bytes]) -> None:
        """From now on look for these alone; before they are written."""
        with self._changed:
            self._wanted, self._seen, self._committed = set(needles), set(), {}

    def await_all(self, timeout_s: float) -> float:
        """When (`time.perf_counter`) the last of them was committed. Raises `TrafficError`."""
        with self._changed:
            there = self._changed.wait_for(lambda: self._problem is not None or not self._wanted, timeout_s)
            if self._problem is not None:
                raise TrafficError(f"listening to nf_tables: {self._problem}") from self._problem
            if not there:
                raise TrafficError(f"{len(self._wanted)} endpoints are in no rule after {timeout_s:g} s")
            return max(self._committed.values())

    def _listen(self) -> None:
        while not self._ends:
            try:
                data = self._socket.recv(LARGEST)
            except TimeoutError:
                continue
            except OSError as problem:
                with self._changed:
                    self._problem = problem
                    self._changed.notify_all()
                return
            self._take(data, time.perf_counter())

    def _take(self, data: bytes, at: float) -> None:
        with self._changed:
            self._seen.update(one for one in self._wanted if one in data)
            if not self._seen or not is_new_generation(data):
                return
            self._committed.update(dict.fromkeys(self._seen, at))
            self._wanted -= self._seen
            self._seen = set()
            self._changed.notify_all()
