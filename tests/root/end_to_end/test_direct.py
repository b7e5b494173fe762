"""Direct server return with real sockets: examples/direct.yaml. Servers have the external addresses on their loopback,
and what they answer to clients outside leaves by the uplink of their own device."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from hashlib import sha256

import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet
from typer.testing import CliRunner

from cli.main import app
from runtime.bpf.namespaces import entered
from runtime.lab.links import OUTSIDE
from tests.root.end_to_end import test_outside
from tests.root.end_to_end.narrow import BEYOND, FLAGS, NARROW, narrow_link
from tests.root.end_to_end.shop import DEVICES, SINK_PORT, Policies, Shop, find
from tests.root.end_to_end.test_outside import FAMILIES, PATIENCE_S, UPLINK, flooded_example, in_underlay, routed
from tests.root.end_to_end.traffic import ask, capture, download, echo, path_mtu, sink, upload

pytestmark = [pytest.mark.root, pytest.mark.slow]
WEB = ("203.0.113.30", "2001:db8:113::30")
CLIENT, WEB_1, WEB_2 = "shop.client", "shop.web-1", "shop.web-2"
HOMES = {WEB_1: "dpu-a", WEB_2: "dpu-b"}
ECHO = 5300


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with flooded_example("d", tmp_path_factory.mktemp("direct"), "direct.yaml") as built:
        yield built


@pytest.fixture
def changing(lab: Shop) -> Iterator[Shop]:
    yield lab
    lab.applied()


def backed_by(lab: Shop, *workloads: str) -> Policies:
    """Service shop/web with these backends alone, and a port besides."""
    policies = test_outside.backed_by(lab, *workloads)
    find(policies, "DpuService", "web")["spec"]["ports"].append({"name": "sink", "port": SINK_PORT})
    return policies


def mac_of(lab: Shop, device: str) -> str:
    return find(lab.policies, "Device", device)["spec"]["underlay"]["mac"]


@FAMILIES
def test_clients_outside_reach_backends_on_both_nodes_and_are_seen_by_them(lab: Shop, family: int) -> None:
    answers = [ask(lab.underlay, WEB[family], timeout_s=PATIENCE_S) for _ in range(30)]
    assert {answer.server for answer in answers} == {"web-1", "web-2"}
    assert {answer.seen for answer in answers} == {OUTSIDE[family]}
    for number in range(10):
        assert echo(lab.underlay, WEB[family], ECHO, b"datagram %d" % number) == WEB[family]


def outermost(packet: Packet) -> tuple[str, str]:
    """From and to; empty for what is no IP packet."""
    network = packet.getlayer(IP) or packet.getlayer(IPv6)
    return ("", "") if network is None else (network.src, network.dst)


@FAMILIES
def test_answers_leave_at_the_backends_own_device_and_no_other(changing: Shop, family: int) -> None:
    """Whichever device the router sends a connection to. What the other one sends on is the client's alone."""
    for backend in (WEB_1, WEB_2):
        changing.applied(backed_by(changing, backend))
        own, entrance = HOMES[backend], next(name for name in DEVICES if name != HOMES[backend])
        mac, others = mac_of(changing, own), mac_of(changing, entrance)
        with (
            routed(changing, WEB[family], others),
            capture(changing.device_namespace(own), UPLINK) as there,
            capture(changing.device_namespace(entrance), UPLINK) as here,
        ):
            assert ask(changing.underlay, WEB[family], timeout_s=PATIENCE_S).server == backend.partition(".")[2]
            assert echo(changing.underlay, WEB[family], ECHO, b"hello") == WEB[family]
        answers = [p for p in there.packets() if outermost(p) == (WEB[family], OUTSIDE[family])]
        assert len(answers) > 3
        assert {packet.src for packet in answers} == {mac}
        assert [p for p in there.packets() if (p.src, p.dst) == (mac, others)] == [], "nothing goes back by a tunnel"
        sent = [p for p in here.packets() if p.src == others]
        assert sent
        assert WEB[family] not in {outermost(packet)[0] for packet in sent}


@FAMILIES
@pytest.mark.parametrize("backend", [WEB_1, WEB_2])
def test_much_data_in_both_directions(changing: Shop, family: int, backend: str) -> None:
    changing.applied(backed_by(changing, backend))
    data = os.urandom(4 << 20)
    digest = sha256(data).hexdigest()
    with routed(changing, WEB[family], mac_of(changing, "dpu-a")):
        with sink(changing.namespace(backend), SINK_PORT, data):
            assert download(changing.underlay, WEB[family], SINK_PORT) == digest
        with sink(changing.namespace(backend), SINK_PORT) as server:
            upload(changing.underlay, WEB[family], SINK_PORT, data)
            server.wait()
    assert (server.digest, server.peer) == (digest, OUTSIDE[family])


@FAMILIES
def test_without_a_backend_clients_are_refused_at_once(changing: Shop, family: int) -> None:
    changing.applied(backed_by(changing))
    with entered(changing.underlay), pytest.raises(ConnectionRefusedError):
        socket.create_connection((WEB[family], 80), PATIENCE_S)


@FAMILIES
@pytest.mark.parametrize("backend", [WEB_1, WEB_2])
def test_a_port_that_no_backend_listens_at(changing: Shop, family: int, backend: str) -> None:
    """The backend's own kernel says so, from the address that was called."""
    changing.applied(backed_by(changing, backend))
    device = mac_of(changing, "dpu-a")
    with routed(changing, WEB[family], device), entered(changing.underlay), pytest.raises(ConnectionRefusedError):
        socket.create_connection((WEB[family], SINK_PORT), PATIENCE_S)


@FAMILIES
@pytest.mark.parametrize("backend", [WEB_1, WEB_2])
def test_a_workload_of_the_network_calls_the_same_address(changing: Shop, family: int, backend: str) -> None:
    changing.applied(backed_by(changing, backend))
    assert ask(changing.namespace(CLIENT), WEB[family], timeout_s=PATIENCE_S).server == backend.partition(".")[2]
    assert echo(changing.namespace(CLIENT), WEB[family], ECHO, b"hello") == WEB[family]


@FAMILIES
def test_a_removed_backend_keeps_its_connection_until_that_ends(changing: Shop, family: int) -> None:
    changing.applied(backed_by(changing, WEB_2))
    with routed(changing, WEB[family], mac_of(changing, "dpu-a")):
        with entered(changing.underlay):
            client = socket.create_connection((WEB[family], 80), PATIENCE_S)
        client.sendall(b"GET / HTTP/1.0\r\n")
        done = changing.applied(backed_by(changing, WEB_1))
        assert " drain" in done.stdout, done.stdout
        assert ask(changing.underlay, WEB[family], timeout_s=PATIENCE_S).server == "web-1"
        client.sendall(b"\r\n")
        text = b"".join(iter(lambda: client.recv(4096), b""))
        client.close()
        assert text.rpartition(b"\r\n")[2].split()[0] == b"web-2"


@pytest.fixture(scope="module")
def narrow(lab: Shop) -> Iterator[str]:
    with narrow_link(lab.underlay) as name:
        yield name


@FAMILIES
@pytest.mark.parametrize("backend", [WEB_1, WEB_2])
def test_a_backend_learns_how_narrow_the_way_to_a_client_is(
    changing: Shop, narrow: str, backend: str, family: int
) -> None:
    """The router tells the address that answered, and so the device that lets its clients in, which knows whose they
    are. Unheard, the download would not get on."""
    changing.applied(backed_by(changing, backend))
    data = bytes(range(256)) * 2048
    server = changing.namespace(backend)
    with sink(server, SINK_PORT, data) as sending, routed(changing, WEB[family], mac_of(changing, "dpu-a")):
        assert download(narrow, WEB[family], SINK_PORT) == sha256(data).hexdigest()
        sending.wait()
    assert path_mtu(server, BEYOND[1][family].partition("/")[0]) == NARROW
    subprocess.run(["ip", "netns", "exec", server, "ip", FLAGS[family], "route", "flush", "cache"], check=True)


@FAMILIES
def test_explain_says_where_answers_leave(lab: Shop, family: int) -> None:
    target = f"[{WEB[family]}]:80" if family else f"{WEB[family]}:80"
    done = CliRunner().invoke(app, ["explain", OUTSIDE[family], target, "-o", "json", *lab.device_options()])
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    ways = json.loads(done.stdout)["ways"]
    assert {(way["fate"], way["answers_itself"]) for way in ways} == {("delivered", True)}
    assert sorted(way["device"] for way in ways) == ["dpu-a", "dpu-b"]


@FAMILIES
def test_no_device_asks_servers_for_the_address(lab: Shop, family: int) -> None:
    """What resolves it on the underlay is one of the devices, never a server."""
    ask(lab.underlay, WEB[family], timeout_s=PATIENCE_S)
    entries = json.loads(in_underlay(lab, "-6" if family else "-4", "-json", "neighbor", "show"))
    shown = {entry["dst"]: entry.get("lladdr") for entry in entries}
    assert shown[WEB[family]] in {mac_of(lab, name) for name in DEVICES}
