"""A service gateway with real sockets: examples/gateway.yaml, called from the underlay, beside its router.

Three backends, two of which have one address in two networks; one is behind the gateway itself.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256

import pytest

from runtime.bpf.namespaces import entered
from runtime.lab.links import OUTSIDE
from tests.root.end_to_end.narrow import FLAGS, NARROW, narrow_link
from tests.root.end_to_end.shop import SINK_PORT, Policies, Shop, an_object, find, turnout
from tests.root.end_to_end.test_outside import FAMILIES, PATIENCE_S, flooded_example, in_underlay
from tests.root.end_to_end.traffic import ask, download, echo, family_of, path_mtu, provoke, sink

pytestmark = [pytest.mark.root, pytest.mark.slow]
DEVICES = ("dpu-a", "dpu-b", "edge")
API, GATEWAY = ("203.0.113.9", "2001:db8:113::9"), ("100.64.0.3", "fd00:64::3")
BACKENDS = {"red-1", "blue-1", "blue-2"}
WEB, ECHO = 80, 53
CLOSED = 9_999
FIRST = 9_000
"""Of source ports that nobody else here binds."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with flooded_example("g", tmp_path_factory.mktemp("gateway"), "gateway.yaml") as built:
        yield built


@pytest.fixture
def changing(lab: Shop) -> Iterator[Shop]:
    yield lab
    lab.applied()


def backed_by(lab: Shop, *workloads: str) -> Policies:
    policies = lab.changed()
    find(policies, "DpuService", "api", "default")["spec"]["backends"] = [{"workload": name} for name in workloads]
    return policies


def read(client: socket.socket) -> bytes:
    """All that comes until the other side is done."""
    return b"".join(iter(lambda: client.recv(4096), b""))


def told(lab: Shop, *words: str) -> str:
    """What a command says of all three devices."""
    options = [word for name in DEVICES for word in ("--device", f"{name}={lab.address(name)}")]
    done = turnout(*words, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@FAMILIES
def test_clients_outside_reach_backends_of_both_networks(lab: Shop, family: int) -> None:
    answers = [ask(lab.underlay, API[family], WEB, timeout_s=PATIENCE_S) for _ in range(40)]
    assert {answer.server for answer in answers} == BACKENDS
    assert {answer.seen for answer in answers} == {GATEWAY[family]}
    for number in range(20):
        assert echo(lab.underlay, API[family], ECHO, b"datagram %d" % number) == API[family]


@FAMILIES
@pytest.mark.parametrize(("number", "backend"), list(enumerate(sorted(BACKENDS))))
def test_two_clients_with_one_source_port(changing: Shop, number: int, backend: str, family: int) -> None:
    """Two addresses of theirs; the backend has to tell both connections apart, which are open at once."""
    changing.applied(backed_by(changing, backend))
    extra = ("198.51.100.77/32", "2001:db8:51::77/128")[family]
    in_underlay(changing, "address", "replace", extra, "dev", "underlay0", "nodad")
    sources = (OUTSIDE[family], extra.partition("/")[0])
    clients: list[socket.socket] = []
    try:
        for source in sources:
            with entered(changing.underlay):
                clients.append(socket.create_connection((API[family], WEB), PATIENCE_S, (source, FIRST + number)))
        for client in reversed(clients):
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert read(client).rpartition(b"\r\n")[2].decode().split() == [backend, GATEWAY[family]]
    finally:
        for client in clients:
            client.close()
        in_underlay(changing, "address", "del", extra, "dev", "underlay0")


@FAMILIES
def test_many_connections_at_once(lab: Shop, family: int) -> None:
    """More than one client's ports to each backend, all open; each gets what it asks for."""
    clients: list[socket.socket] = []
    try:
        for _ in range(300):
            with entered(lab.underlay):
                clients.append(socket.create_connection((API[family], WEB), PATIENCE_S))
        for number, client in enumerate(clients):
            client.sendall(b"GET /%d HTTP/1.0\r\n\r\n" % number)
        assert {read(client).split()[-2].decode() for client in clients} == BACKENDS
    finally:
        for client in clients:
            client.close()


@FAMILIES
def test_a_client_that_is_remembered_stays_with_its_backend(changing: Shop, family: int) -> None:
    """Two backends have one address; each is remembered as its network's."""
    policies = changing.changed()
    spec = find(policies, "DpuService", "api", "default")["spec"]
    spec |= {"algorithm": "RoundRobin", "sessionAffinity": "ClientIP"}
    changing.applied(policies)
    others = [f"198.51.100.{host}" if family == 0 else f"2001:db8:51::{host}" for host in range(80, 86)]
    length = (32, 128)[family]
    kept: dict[str, set[str]] = {}
    try:
        for other in others:
            in_underlay(changing, "address", "replace", f"{other}/{length}", "dev", "underlay0", "nodad")
        for number, other in enumerate(5 * others):
            with entered(changing.underlay):
                client = socket.create_connection((API[family], WEB), PATIENCE_S, (other, FIRST + 200 + number))
            with client:
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                backend, seen = read(client).rpartition(b"\r\n")[2].decode().split()
            assert seen == GATEWAY[family]
            kept.setdefault(other, set()).add(backend)
        host = API[0] if family == 0 else f"[{API[1]}]"
        explained = told(changing, "explain", others[0], f"{host}:{WEB}")
        (backend,) = kept[others[0]]
        said = re.search(r"the client's last new connection, [0-9.]+ s ago, went to backend (.*)", explained)
        assert said, explained
        assert f"({backend}) of network {backend.partition('-')[0]}" in said.group(1).replace("default/", "")
    finally:
        for other in others:
            in_underlay(changing, "address", "del", f"{other}/{length}", "dev", "underlay0")
    assert all(len(backends) == 1 for backends in kept.values()), kept
    assert set[str]().union(*kept.values()) == BACKENDS


@FAMILIES
def test_a_local_policy_keeps_clients_behind_the_gateway(changing: Shop, family: int) -> None:
    policies = changing.changed()
    find(policies, "DpuService", "api", "default")["spec"]["externalTrafficPolicy"] = "Local"
    changing.applied(policies)
    answers = [ask(changing.underlay, API[family], WEB, timeout_s=PATIENCE_S) for _ in range(10)]
    assert {(answer.server, answer.seen) for answer in answers} == {("blue-2", GATEWAY[family])}
    find(policies, "DpuService", "api", "default")["spec"]["backends"] = [{"workload": "red-1"}]
    changing.applied(policies)
    with entered(changing.underlay), pytest.raises(ConnectionRefusedError):
        socket.create_connection((API[family], WEB), PATIENCE_S)


def test_node_ports_at_a_gateway(changing: Shop) -> None:
    """Backends of both networks answer at the gateway's own address; any other port of it is its host's."""
    policies = changing.changed()
    ports = find(policies, "DpuService", "api", "default")["spec"]["ports"]
    ports[0]["nodePort"], ports[1]["nodePort"] = 30_080, 30_053
    changing.applied(policies)
    node = "192.168.50.3"
    answers = [ask(changing.underlay, node, 30_080, timeout_s=PATIENCE_S) for _ in range(40)]
    assert {answer.server for answer in answers} == BACKENDS
    assert {answer.seen for answer in answers} == {GATEWAY[0]}
    assert echo(changing.underlay, node, 30_053, b"datagram") == node
    assert "node port of default/api:http" in told(changing, "explain", f"{OUTSIDE[0]}", f"{node}:30080")


@FAMILIES
def test_clients_are_told_by_the_gateway_what_is_too_large(changing: Shop, family: int) -> None:
    changing.applied(backed_by(changing, "red-1"))
    told = provoke(changing.underlay, API[family], ECHO, size=1440)
    assert (told.info, told.sender) == (1450, GATEWAY[family])


@FAMILIES
def test_without_a_backend_it_is_refused(changing: Shop, family: int) -> None:
    changing.applied(backed_by(changing))
    with entered(changing.underlay), pytest.raises(ConnectionRefusedError):
        socket.create_connection((API[family], WEB), PATIENCE_S)
    with entered(changing.underlay), socket.socket(family_of(API[family]), socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE_S)
        client.connect((API[family], ECHO))
        client.send(b"anybody there?")
        with pytest.raises(ConnectionRefusedError):
            client.recv(1)


def test_a_backend_that_goes_takes_its_connections_and_no_others(changing: Shop) -> None:
    """Two have one address: a dry run counts one of each, and tells them apart by their networks."""
    changing.applied(backed_by(changing, "red-1", "blue-1"))
    clients: dict[str, list[socket.socket]] = {"red-1": [], "blue-1": []}
    port = FIRST + 100
    with ExitStack() as opened:
        while not all(clients.values()):
            port += 1
            with entered(changing.underlay):
                client = opened.enter_context(socket.create_connection((API[0], WEB), PATIENCE_S, ("", port)))
            shown = [row for row in changing.show("flows") if row["source"] == f"{GATEWAY[0]}:{port}"]
            (there,) = {row["device"] for row in shown}
            clients[{"dpu-a": "red-1", "dpu-b": "blue-1"}[there]].append(client)
        fewer = backed_by(changing, "blue-1")
        done = changing.apply(fewer, "--dry-run", "--removed-backends", "reset")
        assert done.returncode == 0, done.stderr
        count = len(clients["red-1"])
        words = "(ends|is decided anew)" if count == 1 else "(end|are decided anew)"
        assert re.search(rf"^edge: known connections: .*\b{count} {words}", done.stdout, re.MULTILINE), done.stdout
        changing.applied(fewer)
        for client in clients["blue-1"]:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert read(client).rpartition(b"\r\n")[2].split()[0] == b"blue-1"


def test_connections_are_shown_with_the_source_that_backends_see(lab: Shop) -> None:
    """A port below 1024 is not kept."""
    with entered(lab.underlay), socket.create_connection((API[0], WEB), PATIENCE_S, ("", 999)):
        (shown,) = (
            row for row in json.loads(told(lab, "show", "flows", "-o", "json")) if row["source"].endswith(":999")
        )
    address, _, port = shown["seen_as"].partition(":")
    assert (shown["device"], shown["network"], address) == ("edge", "(outside)", GATEWAY[0])
    assert int(port) >= 1024


def test_explain_says_what_packets_do(lab: Shop) -> None:
    said, third = told(lab, "explain", "api"), "live, 1/3 of new connections"
    assert f"10.1.0.11:8080 (default/red-1) of network red    {third}, through the tunnel to dpu-a" in said
    assert f"10.1.0.12:8080 (default/blue-2) of network blue  {third}, to default/blue-2" in said
    walked = told(lab, "explain", OUTSIDE[0], f"{API[0]}:80")
    for name in BACKENDS:
        assert f"to backend 10.1.0.{12 if name == 'blue-2' else 11}:8080 (default/{name}) of network" in walked
        assert f"=> delivered to default/{name} " in walked
    assert ": free, 1 tried" in walked


def test_it_is_a_service_like_any_other(changing: Shop) -> None:
    """Source ranges, algorithms and weights; and one more service, of an address of its own."""
    policies = changing.changed()
    spec = find(policies, "DpuService", "api", "default")["spec"]
    spec |= {"algorithm": "RoundRobin", "sourceRanges": {"deny": [f"{OUTSIDE[0]}/32"]}}
    ports = [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}]
    other = {"type": "LoadBalancer", "externalAddresses": ["203.0.113.19"], "ports": ports}
    other |= {"algorithm": "LeastConnections", "backends": [{"address": "10.1.0.11", "network": "red"}]}
    changing.applied([*policies, an_object("DpuService", "other", other)])
    servers = [ask(changing.underlay, API[1], WEB, timeout_s=PATIENCE_S).server for _ in range(6)]
    assert servers[:3] == servers[3:]
    assert set(servers) == BACKENDS
    with entered(changing.underlay), pytest.raises(TimeoutError):
        socket.create_connection((API[0], WEB), 1, (OUTSIDE[0], 0))
    assert ask(changing.underlay, "203.0.113.19", WEB, timeout_s=PATIENCE_S).server == "red-1"


@FAMILIES
def test_clients_are_told_by_the_service_that_nobody_listens(changing: Shop, family: int) -> None:
    """The backend's own error, through the tunnel: it comes from the address that was called, and quotes it."""
    policies = backed_by(changing, "red-1")
    for port in find(policies, "DpuService", "api", "default")["spec"]["ports"]:
        port["targetPort"] = CLOSED
    changing.applied(policies)
    found = provoke(changing.underlay, API[family], ECHO)
    assert (found.type, found.code, found.sender) == (*((3, 3), (1, 4))[family], API[family])


@pytest.fixture(scope="module")
def narrow(lab: Shop) -> Iterator[str]:
    with narrow_link(lab.underlay) as name:
        yield name


@FAMILIES
@pytest.mark.parametrize("backend", sorted(BACKENDS))
def test_a_backend_learns_how_narrow_the_way_to_a_client_is(
    changing: Shop, narrow: str, backend: str, family: int
) -> None:
    """The router beyond the gateway says so to the address that was called (RFC 1191, RFC 8201): the one who has to
    hear it is behind the gateway, for some of them behind a tunnel. Unheard, the download would not get on."""
    policies = backed_by(changing, backend)
    for port in find(policies, "DpuService", "api", "default")["spec"]["ports"]:
        port["targetPort"] = SINK_PORT
    changing.applied(policies)
    data = bytes(range(256)) * 2048
    server = changing.namespace(f"default.{backend}")
    with sink(server, SINK_PORT, data) as sending:
        assert download(narrow, API[family], WEB) == sha256(data).hexdigest()
        sending.wait()
    assert path_mtu(server, GATEWAY[family]) == NARROW
    subprocess.run(["ip", "netns", "exec", server, "ip", FLAGS[family], "route", "flush", "cache"], check=True)
