"""A limit of new connections a second, with real sockets: one workload floods, the proxy serves the other as before."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from compiler.pipeline.assembly import pipeline
from runtime.bpf.namespaces import entered
from runtime.client.inventory import Inventory, Record
from tests.root.end_to_end.shop import Shop, find
from tests.root.mesh.test_envoy import ADDRESSES, CLIENT, PLAIN, WEB_1, connected, echoed, log_of, until

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.peer, pytest.mark.alone]
PER_SECOND, BURST = 100, 20
FLOOD_PER_S, MOST_OPEN = 600, 400
MEASURED_S = 8.0
OTHERS = 60
"""Connections of the workload that does not flood."""


@pytest.fixture
def limited(mesh: Shop) -> Iterator[Shop]:
    """The client has a limit, the policy of the servers has none."""
    policies = mesh.changed()
    spec = find(policies, "MeshRedirect", "clients")["spec"]
    spec["limit"] = {"connectionsPerSecond": PER_SECOND, "burst": BURST}
    mesh.applied(policies)
    yield mesh
    mesh.applied()


def limit_of(mesh: Shop) -> Record:
    """Of the client, in IPv4."""
    with mesh.session("dpu-a") as session:
        return next(
            r for r in Inventory("dpu-a", session, pipeline()).limits() if r["workload"] == ADDRESSES[4][CLIENT]
        )


def redirected(mesh: Shop) -> int:
    return int(str(limit_of(mesh)["redirected"]))


@dataclass(slots=True)
class Flood:
    """`unused` is what the limit would have let through, but nobody asked for: while the machine did other things."""

    unused: float = 0.0

    def paused(self, pause_s: float) -> None:
        self.unused += max(0.0, PER_SECOND * pause_s - BURST)


@contextmanager
def flooded(mesh: Shop) -> Generator[Flood]:
    """The client opens connections as if nobody answered, and keeps the last of them."""
    stop, made = threading.Event(), Flood()

    def flood() -> None:
        held: deque[socket.socket] = deque()
        last_s = time.monotonic()
        with entered(mesh.namespace(CLIENT)):
            while not stop.wait(10 / FLOOD_PER_S):
                for _ in range(10):
                    made.paused(time.monotonic() - last_s)
                    last_s = time.monotonic()
                    held.append(begun())
                while len(held) > MOST_OPEN:
                    held.popleft().close()
        for left in held:
            left.close()

    thread = threading.Thread(target=flood)
    thread.start()
    try:
        yield made
    finally:
        stop.set()
        thread.join()


def begun() -> socket.socket:
    opened = socket.socket()
    opened.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        opened.connect((ADDRESSES[4][WEB_1], 9000))
    return opened


def test_who_floods_is_held_to_the_limit_and_the_other_is_served(limited: Shop) -> None:
    own = ADDRESSES[4]
    with flooded(limited) as flood:
        until(lambda: int(str(limit_of(limited)["dropped"])) > PER_SECOND, "the burst is spent")
        asked_s, before, began_s = time.monotonic(), redirected(limited), time.monotonic()
        unused = flood.unused
        for number in range(OTHERS):
            with connected(limited.namespace(PLAIN), own[WEB_1], 9000) as connection:
                assert echoed(connection, f"connection {number}".encode())
        time.sleep(max(0.0, began_s + MEASURED_S - time.monotonic()))
        unused = flood.unused - unused
        ended_s, taken, told_s = time.monotonic(), redirected(limited) - before, time.monotonic()
    # Reading takes a while on a busy machine, and both readings are of some instant within theirs.
    assert taken <= 1.05 * PER_SECOND * (told_s - asked_s)
    assert taken >= 0.95 * (PER_SECOND * (ended_s - began_s) - unused)
    through = [e for e in log_of(limited, "shop.envoy-a") if e["client"].startswith(f"{own[PLAIN]}:")]
    assert len(through) >= OTHERS // 2, "by the same proxy"
    assert {(d["device"], d["reason"]) for d in limited.show("drops")} >= {("dpu-a", "mesh_limit")}


def test_a_connection_that_is_open_keeps_its_speed(limited: Shop) -> None:
    with connected(limited.namespace(CLIENT), ADDRESSES[4][WEB_1], 9000) as connection, flooded(limited):
        until(lambda: int(str(limit_of(limited)["dropped"])) > PER_SECOND, "the burst is spent")
        assert echoed(connection, b"turnout" * 200_000)


def test_limits_are_shown(limited: Shop) -> None:
    shown = [r for r in limited.show("limits") if r["workload"] == ADDRESSES[6][CLIENT]]
    assert shown == [
        {
            "device": "dpu-a",
            "network": "shop",
            "policy": "shop/clients",
            "workload": ADDRESSES[6][CLIENT],
            "per_second": PER_SECOND,
            "burst": BURST,
            "redirected": 0,
            "dropped": 0,
        }
    ]


def test_without_the_limit_nothing_is_dropped_again(mesh: Shop) -> None:
    """The policy has gone back, and so has its meter."""
    assert mesh.show("limits") == []
    for _ in range(2 * BURST):
        with connected(mesh.namespace(CLIENT), ADDRESSES[4][WEB_1], 9000) as connection:
            assert echoed(connection, b"turnout")
