"""NetworkPolicies with real sockets on two nodes: examples/netpol.yaml, as it is and changed under connections."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from runtime.bpf.namespaces import entered
from tests.root.end_to_end.shop import Document, Shop, find, standing_example
from tests.root.end_to_end.test_fixup import counted, ended
from tests.root.end_to_end.traffic import ask, echo, family_of, ping

pytestmark = [pytest.mark.root, pytest.mark.slow]
CLIENT, WEB_1, WEB_2, DATABASE, SCRAPER = "shop.client", "shop.web-1", "shop.web-2", "shop.database", "watch.scraper"
ADDRESSES = {
    CLIENT: ("10.1.0.10", "fd00:10:1::10"),
    WEB_1: ("10.1.0.11", "fd00:10:1::11"),
    WEB_2: ("10.1.0.12", "fd00:10:1::12"),
    DATABASE: ("10.1.0.20", "fd00:10:1::20"),
    SCRAPER: ("10.1.0.30", "fd00:10:1::30"),
}
SERVICE = ("10.96.0.10", "fd00:10:96::10")
HTTP, SQL, ECHO = 8080, 5432, 5300
PATIENCE_S, SILENCE_S = 60, 1.5
FAMILIES = pytest.mark.parametrize("family", [0, 1], ids=["ipv4", "ipv6"])


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with standing_example("np", tmp_path_factory.mktemp("netpol"), "netpol.yaml") as built:
        yield built


@pytest.fixture
def changing(lab: Shop) -> Iterator[Shop]:
    yield lab
    lab.applied()


def is_silent(lab: Shop, client: str, address: str, port: int) -> bool:
    with entered(lab.namespace(client)):
        try:
            socket.create_connection((address, port), SILENCE_S).close()
        except TimeoutError:
            return True
    return False


def dropped(lab: Shop, reason: str) -> int:
    """Packets, of all devices."""
    return sum(row["packets"] for row in lab.show("drops") if row["reason"] == reason)


def policy(name: str, spec: Document) -> Document:
    metadata = {"name": name, "namespace": "shop"}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


@FAMILIES
def test_peers_and_ports_that_are_allowed_connect(lab: Shop, family: int) -> None:
    for client, server, port in (
        (CLIENT, WEB_1, HTTP),
        (CLIENT, WEB_2, HTTP),
        (SCRAPER, WEB_1, HTTP),
        (SCRAPER, WEB_2, HTTP),
        (WEB_1, DATABASE, SQL),
        (WEB_2, DATABASE, SQL),
    ):
        answer = ask(lab.namespace(client), ADDRESSES[server][family], port, timeout_s=PATIENCE_S)
        assert answer.server == server.partition(".")[2]
        assert answer.seen == ADDRESSES[client][family]


@FAMILIES
def test_rules_are_held_against_backends_not_services(lab: Shop, family: int) -> None:
    found = {ask(lab.namespace(CLIENT), SERVICE[family], timeout_s=PATIENCE_S).server for _ in range(20)}
    assert found == {"web-1", "web-2"}


@FAMILIES
def test_what_no_rule_allows_is_dropped_and_counted(lab: Shop, family: int) -> None:
    for client, server, port, reason in (
        (CLIENT, DATABASE, SQL, "ingress_denied"),  # another node, no such peer
        (SCRAPER, DATABASE, HTTP, "ingress_denied"),  # no such port
        (WEB_1, CLIENT, HTTP, "egress_denied"),
        (WEB_2, WEB_1, HTTP, "egress_denied"),
        (SCRAPER, CLIENT, HTTP, "ingress_denied"),  # the same node, nobody at all
    ):
        before = dropped(lab, reason)
        assert is_silent(lab, client, ADDRESSES[server][family], port), (client, server, port)
        assert dropped(lab, reason) >= before + 2


def test_a_block_allows_all_but_what_it_leaves_out(lab: Shop) -> None:
    # 10.1.0.30 is in 10.1.0.0/27, which the block leaves out: only a changed address of the scraper gets in.
    assert is_silent(lab, SCRAPER, ADDRESSES[DATABASE][0], SQL)
    policies = lab.changed()
    block = find(policies, "NetworkPolicy", "database")["spec"]["ingress"][0]["from"][1]["ipBlock"]
    block["except"] = ["10.1.0.0/28", "10.1.0.16/29"]
    lab.applied(policies)
    try:
        assert ask(lab.namespace(SCRAPER), ADDRESSES[DATABASE][0], SQL, timeout_s=PATIENCE_S).server == "database"
        assert is_silent(lab, CLIENT, ADDRESSES[DATABASE][0], SQL)
    finally:
        lab.applied()


@FAMILIES
def test_datagrams_and_pings_need_rules_of_their_own(changing: Shop, family: int) -> None:
    with pytest.raises(TimeoutError):
        echo(changing.namespace(CLIENT), ADDRESSES[WEB_2][family], ECHO, b"hello")
    assert not ping(changing.namespace(CLIENT), ADDRESSES[WEB_2][family], timeout_s=SILENCE_S)
    policies = changing.changed()
    from_client = [{"podSelector": {"matchLabels": {"app": "client"}}}]
    datagrams = {"from": from_client, "ports": [{"protocol": "UDP", "port": 5000, "endPort": 5400}]}
    policies.append(policy("echo", {"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [datagrams]}))
    changing.applied(policies)
    # The client lets nobody in: what it hears is an answer.
    assert echo(changing.namespace(CLIENT), ADDRESSES[WEB_2][family], ECHO, b"hello") == ADDRESSES[WEB_2][family]
    assert echo(changing.namespace(CLIENT), SERVICE[family], ECHO, b"hello") == SERVICE[family]
    assert not ping(changing.namespace(CLIENT), ADDRESSES[WEB_2][family], timeout_s=SILENCE_S)
    everything = {"from": from_client}, {"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}
    policies.append(policy("in", {"podSelector": {}, "ingress": list(everything)}))
    policies.append(policy("out", {"podSelector": {"matchLabels": {"app": "web"}}, "egress": [{}]}))
    find(policies, "NetworkPolicy", "out")["spec"]["policyTypes"] = ["Egress"]
    changing.applied(policies)
    assert ping(changing.namespace(CLIENT), ADDRESSES[WEB_2][family])


@FAMILIES
def test_connections_that_policies_no_longer_allow_drain_or_end(changing: Shop, family: int) -> None:
    changed = changing.changed()
    find(changed, "NetworkPolicy", "web")["spec"]["ingress"] = []
    address = ADDRESSES[WEB_1][family]
    with entered(changing.namespace(CLIENT)):
        client = socket.socket(family_of(address))
        client.settimeout(PATIENCE_S)
        client.connect((address, HTTP))
    with client:
        client.sendall(b"GET / HTTP/1.0\r\n")
        drained, reset = counted(changing, changed), counted(changing, changed, "--removed-backends", "reset")
        assert drained["drain"] >= 1
        assert reset["end"] >= 1
        changing.applied(changed)
        assert ended(client) == "web-1", "what drains goes on"
    assert is_silent(changing, CLIENT, address, HTTP)
