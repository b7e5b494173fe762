"""Source ranges with real sockets: examples/eip.yaml, whose clients outside are let in, are not, and are any more."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from runtime.bpf.namespaces import entered
from runtime.lab.links import OUTSIDE
from tests.root.end_to_end.shop import DEVICES, Policies, Shop, find, standing_example
from tests.root.end_to_end.test_fixup import counted, ended
from tests.root.end_to_end.test_outside import routed
from tests.root.end_to_end.traffic import ask, echo

pytestmark = [pytest.mark.root, pytest.mark.slow]
SHOP = ("203.0.113.10", "2001:db8:113::10")
CLIENT = "shop.client"
PATIENCE_S = 60
SILENCE_S = 1.5
"""A segment is sent again in this time, and the second one is dropped as the first is."""
FAMILIES = pytest.mark.parametrize("family", [0, 1], ids=["ipv4", "ipv6"])
OWN = [f"{OUTSIDE[0]}/32", f"{OUTSIDE[1]}/128"]
OTHERS = ["192.0.2.0/24", "2001:db8:9::/48"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with standing_example("r", tmp_path_factory.mktemp("sources"), "eip.yaml") as built:
        yield built


@pytest.fixture
def changing(lab: Shop) -> Iterator[Shop]:
    yield lab
    lab.applied()


def with_ranges(lab: Shop, **ranges: list[str]) -> Policies:
    policies = lab.changed()
    find(policies, "DpuService", "web")["spec"]["sourceRanges"] = ranges
    return policies


def is_silent(lab: Shop, address: str) -> bool:
    with entered(lab.underlay):
        try:
            socket.create_connection((address, 80), SILENCE_S).close()
        except TimeoutError:
            return True
    return False


def denied(lab: Shop) -> int:
    """Packets, of all devices."""
    return sum(row["packets"] for row in lab.show("drops") if row["reason"] == "source_denied")


@FAMILIES
def test_clients_in_no_range_that_is_allowed_hear_nothing_and_count(changing: Shop, family: int) -> None:
    changing.applied(with_ranges(changing, allow=OTHERS))
    before = denied(changing)
    assert is_silent(changing, SHOP[family])
    assert denied(changing) >= before + 2
    # Workloads of the network call the address as before.
    assert ask(changing.namespace(CLIENT), SHOP[family], timeout_s=PATIENCE_S).server in ("web-1", "web-2")


@FAMILIES
def test_the_longest_range_lets_in(changing: Shop, family: int) -> None:
    changing.applied(with_ranges(changing, allow=OWN, deny=["0.0.0.0/0", "::/0"]))
    answers = [ask(changing.underlay, SHOP[family], timeout_s=PATIENCE_S) for _ in range(20)]
    assert {answer.server for answer in answers} == {"web-1", "web-2"}
    assert {answer.seen for answer in answers} == {OUTSIDE[family]}
    assert echo(changing.underlay, SHOP[family], 5300, b"hello") == SHOP[family]
    rows = [r for r in changing.show("ranges") if r["range"] == OWN[family] and r["port"] == 80]
    assert len(rows) == len(DEVICES)
    assert {(row["decision"], row["address"]) for row in rows} == {("admit", SHOP[family])}
    assert sum(row["connections"] for row in rows) >= len(answers)


@FAMILIES
def test_connections_of_clients_that_are_let_in_no_longer_drain_or_end(changing: Shop, family: int) -> None:
    changed = with_ranges(changing, deny=OWN)
    mac = find(changing.policies, "Device", "dpu-a")["spec"]["underlay"]["mac"]
    with routed(changing, SHOP[family], mac), entered(changing.underlay):
        client = socket.create_connection((SHOP[family], 80), PATIENCE_S)
    with routed(changing, SHOP[family], mac), client:
        client.sendall(b"GET / HTTP/1.0\r\n")
        options = ("--removed-backends", "reset")
        drained, reset = counted(changing, changed), counted(changing, changed, *options)
        assert drained["drain"] >= 1
        assert reset["end"] >= 1
        assert "drain" not in reset
        changing.applied(changed)
        assert ended(client) in ("web-1", "web-2"), "what drains goes on"
    assert is_silent(changing, SHOP[family])
