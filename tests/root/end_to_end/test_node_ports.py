"""Node ports with real sockets: examples/nodeport.yaml, three nodes, called from outside and from nodes.

Service `web` gives everybody all backends, which are on the first two nodes; `local` gives each node its own.
"""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator

import pytest

from runtime.bpf.namespaces import entered
from runtime.lab.links import OUTSIDE
from tests.root.end_to_end.shop import Shop, find, turnout
from tests.root.end_to_end.test_outside import FAMILIES, PATIENCE_S, flooded_example
from tests.root.end_to_end.traffic import ask, echo, family_of, ping

pytestmark = [pytest.mark.root, pytest.mark.slow]
NODES = {
    "dpu-a": ("192.168.50.11", "2001:db8:50::11"),
    "dpu-b": ("192.168.50.12", "2001:db8:50::12"),
    "dpu-c": ("192.168.50.13", "2001:db8:50::13"),
}
UNDERLAY = {"dpu-a": "192.168.50.1", "dpu-b": "192.168.50.2", "dpu-c": "192.168.50.3"}
WEB, ECHO, LOCAL, LOCAL_ECHO = 30080, 30053, 30081, 30054
BACKENDS = {"dpu-a": "web-1", "dpu-b": "web-2"}
CLIENT = "default.client"
SEEN = ("192.168.50.254", OUTSIDE[1])
"""What the client's own kernel takes to call a node: its address in the subnet, where it has one."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with flooded_example("n", tmp_path_factory.mktemp("nodeport"), "nodeport.yaml") as built:
        yield built


@pytest.fixture
def changing(lab: Shop) -> Iterator[Shop]:
    yield lab
    lab.applied()


def turn(lab: Shop, *words: str) -> subprocess.CompletedProcess[str]:
    """The command, about all three devices."""
    options = [word for name in NODES for word in ("--device", f"{name}={lab.address(name)}")]
    return turnout(*words, *options)


@FAMILIES
@pytest.mark.parametrize("node", NODES)
def test_every_node_brings_clients_outside_to_all_backends(lab: Shop, node: str, family: int) -> None:
    address = NODES[node][family]
    answers = [ask(lab.underlay, address, WEB, timeout_s=PATIENCE_S) for _ in range(30)]
    assert {answer.server for answer in answers} == {"web-1", "web-2"}
    assert {answer.seen for answer in answers} == {SEEN[family]}
    for number in range(10):
        assert echo(lab.underlay, address, ECHO, b"datagram %d" % number) == address


@pytest.mark.parametrize("node", NODES)
def test_the_address_in_the_underlay_is_one_of_the_nodes(lab: Shop, node: str) -> None:
    assert ask(lab.underlay, UNDERLAY[node], WEB, timeout_s=PATIENCE_S).server in BACKENDS.values()
    assert echo(lab.underlay, UNDERLAY[node], ECHO, b"datagram") == UNDERLAY[node]


def test_curl_says_what_a_person_sees(lab: Shop) -> None:
    for url in ("http://192.168.50.13:30080/", "http://[2001:db8:50::13]:30080/"):
        command = ["ip", "netns", "exec", lab.underlay, "curl", "-sS", "--max-time", str(PATIENCE_S), url]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=2 * PATIENCE_S)
        assert done.stdout.split()[0] in BACKENDS.values()


@FAMILIES
@pytest.mark.parametrize(("node", "to"), [("dpu-c", "dpu-a"), ("dpu-a", "dpu-b"), ("dpu-b", "dpu-c")])
def test_a_node_calls_another_one(lab: Shop, node: str, to: str, family: int) -> None:
    """With the backend on its own node as well, to which its packets then come through two others."""
    address, caller = NODES[to][family], lab.device_namespace(node)
    answers = [ask(caller, address, WEB, timeout_s=PATIENCE_S) for _ in range(20)]
    assert {answer.server for answer in answers} == {"web-1", "web-2"}
    assert {answer.seen for answer in answers} <= {UNDERLAY[node], NODES[node][family]}
    assert echo(caller, address, ECHO, b"datagram") == address


@FAMILIES
@pytest.mark.parametrize("node", BACKENDS)
def test_with_local_a_node_gives_its_own_backends(lab: Shop, node: str, family: int) -> None:
    answers = [ask(lab.underlay, NODES[node][family], LOCAL, timeout_s=PATIENCE_S) for _ in range(10)]
    assert {answer.server for answer in answers} == {BACKENDS[node]}
    assert {answer.seen for answer in answers} == {SEEN[family]}
    assert echo(lab.underlay, NODES[node][family], LOCAL_ECHO, b"datagram") == NODES[node][family]


@FAMILIES
def test_with_local_a_node_without_a_backend_refuses(lab: Shop, family: int) -> None:
    address = NODES["dpu-c"][family]
    with entered(lab.underlay), pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, LOCAL), PATIENCE_S)
    with entered(lab.underlay), socket.socket(family_of(address), socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE_S)
        client.connect((address, LOCAL_ECHO))
        client.send(b"anybody there?")
        with pytest.raises(ConnectionRefusedError):
            client.recv(1)


@FAMILIES
def test_what_is_no_node_port_is_the_hosts(lab: Shop, family: int) -> None:
    """Its own servers, its pings, and connections that it opens itself, whose answers come to its address."""
    address, namespace = NODES["dpu-a"][family], lab.device_namespace("dpu-a")
    with entered(namespace), socket.create_server((address, 8022), family=family_of(address)) as server:
        server.settimeout(PATIENCE_S)
        with entered(lab.underlay), socket.create_connection((address, 8022), PATIENCE_S) as client:
            accepted, _ = server.accept()
            with accepted:
                accepted.sendall(b"the host")
            assert client.recv(64) == b"the host"
    assert ping(lab.underlay, address)
    with entered(lab.underlay), socket.create_server((OUTSIDE[family], 8022), family=family_of(address)) as server:
        server.settimeout(PATIENCE_S)
        source = (address, 0)
        with entered(namespace), socket.create_connection((OUTSIDE[family], 8022), PATIENCE_S, source) as client:
            accepted, peer = server.accept()
            with accepted:
                accepted.sendall(b"outside")
            assert client.recv(64) == b"outside"
    assert peer[0] == address


@FAMILIES
def test_workloads_call_the_node_that_they_are_on(lab: Shop, family: int) -> None:
    servers = {ask(lab.namespace(CLIENT), NODES["dpu-c"][family], WEB, timeout_s=PATIENCE_S).server for _ in range(20)}
    assert servers == {"web-1", "web-2"}


def test_a_client_stays_with_its_backend(changing: Shop) -> None:
    policies = changing.changed()
    find(policies, "Service", "web", "default")["spec"]["sessionAffinity"] = "ClientIP"
    changing.applied(policies)
    for address in NODES["dpu-c"]:
        assert len({ask(changing.underlay, address, WEB, timeout_s=PATIENCE_S).server for _ in range(20)}) == 1


def test_another_number_and_two_nodes(changing: Shop) -> None:
    """The port moves, and one of the nodes goes; what is asked at the old number is the host's, who refuses."""
    policies = [one for one in changing.changed() if not one["metadata"]["name"].endswith("-c")]
    policies = [one for one in policies if one["metadata"]["name"] != "client"]
    find(policies, "Service", "web", "default")["spec"]["ports"][0]["nodePort"] = 31080
    changing.applied(policies)
    for address in (*NODES["dpu-a"], *NODES["dpu-b"]):
        servers = {ask(changing.underlay, address, 31080, timeout_s=PATIENCE_S).server for _ in range(20)}
        assert servers == {"web-1", "web-2"}
        with entered(changing.underlay), pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, WEB), PATIENCE_S)


@FAMILIES
def test_explain_walks_what_comes_to_a_node(lab: Shop, family: int) -> None:
    address = NODES["dpu-c"][family]
    target = f"[{address}]:{WEB}" if family else f"{address}:{WEB}"
    done = turn(lab, "explain", OUTSIDE[family], target, "-o", "json")
    assert done.returncode == 0, done.stderr
    ways = json.loads(done.stdout)["ways"]
    assert {way["fate"] for way in ways} == {"delivered"}
    assert [len(way["hops"]) for way in ways] == [2, 2]
    named = turn(lab, "explain", OUTSIDE[family], f"node-c:{WEB}", "-o", "json")
    assert json.loads(named.stdout)["ways"] != []
