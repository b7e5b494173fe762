"""Clients outside with real sockets: examples/eip.yaml, called from the namespace of the underlay, beside its router.

The client's own kernel resolves the external addresses, by ARP and neighbour discovery that the pipeline answers.
"""

from __future__ import annotations

import hashlib
import json
import os
import selectors
import socket
import subprocess
import threading
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet
from typer.testing import CliRunner

from cli.main import app
from runtime.bpf.namespaces import entered
from runtime.lab.links import OUTSIDE
from tests.root.end_to_end.shop import DEVICES, Policies, Shop, find, standing_example
from tests.root.end_to_end.traffic import ask, capture, download, echo, family_of, provoke, sink, upload

pytestmark = [pytest.mark.root, pytest.mark.slow]
SHOP, BLUE = ("203.0.113.10", "2001:db8:113::10"), ("203.0.113.20", "2001:db8:113::20")
CLIENT, WEB_1, WEB_2 = "shop.client", "shop.web-1", "shop.web-2"
BLUE_WEBS = {"dpu-a": "blue.web-1", "dpu-b": "blue.web-2"}
UPLINK = "p0"
PATIENCE_S = 60
FAMILIES = pytest.mark.parametrize("family", [0, 1], ids=["ipv4", "ipv6"])


@contextmanager
def flooded_example(name: str, folder: Path, example: str) -> Generator[Shop]:
    """An example whose switch learns no places: all devices get every frame, as those whose place it does not know."""
    with standing_example(name, folder, example) as built:
        in_underlay(built, "link", "set", "underlay0", "type", "bridge", "ageing_time", "0")
        yield built


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with flooded_example("o", tmp_path_factory.mktemp("eip"), "eip.yaml") as built:
        yield built


@pytest.fixture
def changing(lab: Shop) -> Iterator[Shop]:
    yield lab
    lab.applied()


def backed_by(lab: Shop, *workloads: str) -> Policies:
    """Service shop/web with these backends alone."""
    policies = lab.changed()
    spec = find(policies, "DpuService", "web")["spec"]
    spec["selector"] = {"app": "none"}
    spec["backends"] = [{"workload": name.partition(".")[2]} for name in workloads]
    return policies


@FAMILIES
def test_clients_outside_reach_backends_on_both_nodes_and_are_seen_by_them(lab: Shop, family: int) -> None:
    answers = [ask(lab.underlay, SHOP[family], timeout_s=PATIENCE_S) for _ in range(30)]
    assert {answer.server for answer in answers} == {"web-1", "web-2"}
    assert {answer.seen for answer in answers} == {OUTSIDE[family]}
    for number in range(10):
        assert echo(lab.underlay, SHOP[family], 5300, b"datagram %d" % number) == SHOP[family]


@FAMILIES
def test_the_clients_kernel_has_resolved_the_address_to_one_device(lab: Shop, family: int) -> None:
    ask(lab.underlay, SHOP[family], timeout_s=PATIENCE_S)
    entries = json.loads(in_underlay(lab, "-6" if family else "-4", "-json", "neighbor", "show"))
    shown = {entry["dst"]: entry.get("lladdr") for entry in entries}
    assert shown[SHOP[family]] in {find(lab.policies, "Device", n)["spec"]["underlay"]["mac"] for n in DEVICES}


def in_underlay(lab: Shop, *words: str) -> str:
    """What `ip` says there."""
    command = ["ip", "-netns", lab.underlay, *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S).stdout


def addresses(packet: Packet) -> tuple[str, ...]:
    """Of the outermost packet, from and to."""
    network = packet.getlayer(IP) or packet.getlayer(IPv6)
    return () if network is None else (network.src, network.dst)


@FAMILIES
def test_answers_leave_where_the_connection_came_in(changing: Shop, family: int) -> None:
    """Whichever device the router sends it to, and with the only backend behind the other one as well."""
    for backend, entrance, other in ((WEB_2, "dpu-a", "dpu-b"), (WEB_1, "dpu-b", "dpu-a"), (WEB_1, "dpu-a", "dpu-b")):
        changing.applied(backed_by(changing, backend))
        mac, silent = (find(changing.policies, "Device", name)["spec"]["underlay"]["mac"] for name in (entrance, other))
        with routed(changing, SHOP[family], mac), capture(changing.device_namespace(other), UPLINK) as seen:
            assert ask(changing.underlay, SHOP[family], timeout_s=PATIENCE_S).server == backend.partition(".")[2]
        assert [packet for packet in seen.packets() if SHOP[family] in addresses(packet) and packet.src == silent] == []


@contextmanager
def routed(lab: Shop, address: str, mac: str) -> Generator[None]:
    """The client's kernel is told where an address is, as a router with several ways would have it."""
    bridge = json.loads(in_underlay(lab, "-json", "route", "get", address))[0]["dev"]
    in_underlay(lab, "neighbor", "replace", address, "lladdr", mac, "nud", "permanent", "dev", bridge)
    try:
        yield
    finally:
        in_underlay(lab, "neighbor", "del", address, "dev", bridge)


@FAMILIES
def test_much_data_in_both_directions(changing: Shop, family: int) -> None:
    policies = backed_by(changing, WEB_2)
    find(policies, "DpuService", "web")["spec"]["ports"].append({"name": "sink", "port": 90, "targetPort": 9000})
    changing.applied(policies)
    data = os.urandom(4 << 20)
    digest = hashlib.sha256(data).hexdigest()
    with sink(changing.namespace(WEB_2), 9000, data):
        assert download(changing.underlay, SHOP[family], 90) == digest
    with sink(changing.namespace(WEB_2), 9000) as server:
        upload(changing.underlay, SHOP[family], 90, data)
        server.wait()
    assert (server.digest, server.peer) == (digest, OUTSIDE[family])


@FAMILIES
def test_what_is_too_large_for_the_network_is_told(lab: Shop, family: int) -> None:
    error = provoke(lab.underlay, SHOP[family], 5300, size=1430)
    assert ((error.type, error.code), error.info) == ((2, 0) if family else (3, 4), 1450)


@FAMILIES
def test_without_a_backend_clients_are_refused_at_once(changing: Shop, family: int) -> None:
    changing.applied(backed_by(changing))
    with entered(changing.underlay), pytest.raises(ConnectionRefusedError):
        socket.create_connection((SHOP[family], 80), PATIENCE_S)
    with entered(changing.underlay), socket.socket(family_of(SHOP[family]), socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE_S)
        client.connect((SHOP[family], 5300))
        client.send(b"anybody there?")
        with pytest.raises(ConnectionRefusedError):
            client.recv(1)


@FAMILIES
def test_networks_with_equal_addresses_and_local_backends(lab: Shop, family: int) -> None:
    """Service blue/web wants clients to stay on the node that they come to; its backends have those of shop/web."""
    for device, backend in BLUE_WEBS.items():
        mac = find(lab.policies, "Device", device)["spec"]["underlay"]["mac"]
        with routed(lab, BLUE[family], mac), capture(lab.namespace(backend)) as seen:
            answers = [ask(lab.underlay, BLUE[family], timeout_s=PATIENCE_S) for _ in range(10)]
        assert {answer.server for answer in answers} == {backend.partition(".")[2]}
        assert OUTSIDE[family] in {address for packet in seen.packets() for address in addresses(packet)}


@FAMILIES
def test_workloads_of_the_network_may_call_it_too(lab: Shop, family: int) -> None:
    servers = {ask(lab.namespace(CLIENT), SHOP[family], timeout_s=PATIENCE_S).server for _ in range(30)}
    assert servers == {"web-1", "web-2"}


@FAMILIES
def test_explain_walks_what_a_client_outside_sends(lab: Shop, family: int) -> None:
    target = f"[{SHOP[family]}]:80" if family else f"{SHOP[family]}:80"
    done = CliRunner().invoke(app, ["explain", OUTSIDE[family], target, "-o", "json", *lab.device_options()])
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    ways = json.loads(done.stdout)["ways"]
    assert {way["fate"] for way in ways} == {"delivered"}
    assert sorted(len(way["hops"]) for way in ways) == [1, 2]


RANGE, TARGETS = range(30_000, 30_004), range(6000, 6004)


@FAMILIES
def test_each_port_of_a_range_leads_to_its_own_port_of_the_backends(changing: Shop, family: int) -> None:
    policies = backed_by(changing, WEB_1, WEB_2)
    media = {"name": "media", "protocol": "UDP", "port": RANGE[0], "endPort": RANGE[-1], "targetPort": TARGETS[0]}
    find(policies, "DpuService", "web")["spec"]["ports"] = [media]
    changing.applied(policies)
    with ExitStack() as stack:
        for name in (WEB_1, WEB_2):
            stack.enter_context(naming(changing.namespace(name), TARGETS, name))
        for port, target in zip(RANGE, TARGETS, strict=True):
            told = {asked(changing.underlay, SHOP[family], port) for _ in range(12)}
            assert told == {f"{WEB_1} {target}", f"{WEB_2} {target}"}
        for port in (RANGE[0] - 1, RANGE[-1] + 1):
            with pytest.raises(OSError):
                asked(changing.underlay, SHOP[family], port, patience_s=0.5)


@contextmanager
def naming(namespace: str, ports: range, name: str) -> Generator[None]:
    """Answers each datagram with the name and the port that it came to."""
    ending = threading.Event()
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for port in ports:
            with entered(namespace):
                server = stack.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            server.bind(("::", port))
            selector.register(server, selectors.EVENT_READ, f"{name} {port}".encode())
        thread = threading.Thread(target=answer, args=(selector, ending))
        thread.start()
        yield
        ending.set()
        thread.join()


def answer(selector: selectors.BaseSelector, ending: threading.Event) -> None:
    while not ending.is_set():
        for key, _ in selector.select(0.1):
            server = key.fileobj
            assert isinstance(server, socket.socket)
            _, client = server.recvfrom(100)
            server.sendto(key.data, client)


def asked(namespace: str, address: str, port: int, patience_s: float = PATIENCE_S) -> str:
    """What a service says to a datagram, each from another port. Raises OSError when nobody answers."""
    with entered(namespace), socket.socket(family_of(address), socket.SOCK_DGRAM) as client:
        client.settimeout(patience_s)
        client.connect((address, port))
        client.send(b"who?")
        return client.recv(100).decode()
