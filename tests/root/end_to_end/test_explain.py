"""What `turnout explain` says becomes of packets: of the same bytes in the live program, and of real sockets."""

from __future__ import annotations

import json
import socket
from itertools import count, islice
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from compiler.ir.interpreter import VerdictKind
from runtime.bpf.namespaces import entered
from runtime.bpf.program import Program
from runtime.bpf.queries import Hook, query_tcx
from runtime.bpf.testrun import SkbContext, run_skb
from tests.root.end_to_end.shop import CLIENT, DEVICES, SINGLE, SINK_PORT, WEB, WEB_1, Shop, find
from tests.root.end_to_end.traffic import family_of, sink

pytestmark = [pytest.mark.root, pytest.mark.slow]
PATIENCE_S = 60
PORTS = count(32_100)
"""Source ports: of one port, two services with one backend would clash."""
INTERFACES = {"dpu-a": {1: "p0", 16: "client", 17: "web-1"}, "dpu-b": {1: "p0", 16: "web-3"}}
CODES = {
    VerdictKind.TO_KERNEL.value: -1,
    VerdictKind.FORWARD.value: 7,
    VerdictKind.REPLY.value: 7,
    VerdictKind.DROP.value: 2,
}
"""TCX_NEXT, TC_ACT_REDIRECT, TC_ACT_SHOT."""


def explained(*words: str) -> dict[str, Any]:
    """In this process, which has the imports already."""
    done = CliRunner().invoke(app, ["explain", *words, "-o", "json"])
    assert (done.exit_code, done.stderr) == (0, ""), done.output
    return json.loads(done.stdout)


def only_way(source: str, destination: str, port: int, *words: str) -> dict[str, Any]:
    (way,) = explained(source, destination, "--source-port", str(port), *words)["ways"]
    return way


def ran(shop: Shop, hop: dict[str, Any]) -> tuple[int, str]:
    """Verdict and frame of the program that is on the port of the live device, for the frame that comes in there."""
    with entered(shop.device_namespace(hop["device"])):
        ifindex = socket.if_nametoindex(INTERFACES[hop["device"]][hop["port"]])
        (attached,) = query_tcx(ifindex, Hook.INGRESS)
        context = SkbContext(ingress_ifindex=ifindex, ifindex=ifindex)
        with Program.by_id(attached.program_id) as program:
            left = run_skb(program.fd, bytes.fromhex(hop["frame"]), context)
    return left.verdict, left.frame.hex()


def said(hop: dict[str, Any]) -> tuple[int, str]:
    """The same of what was explained."""
    return CODES[hop["verdict"]], hop["packet"]


@pytest.mark.parametrize(
    ("destination", "words", "fate", "learns"),
    [
        (f"{WEB[0]}:80", (), "delivered", True),
        (f"[{WEB[1]}]:80", (), "delivered", True),
        (f"{WEB[0]}:5300", ("--protocol", "udp"), "delivered", True),
        (f"[{WEB[1]}]:5300", ("--protocol", "udp"), "delivered", True),
        (f"{SINGLE['near'][0]}:90", (), "delivered", True),
        (f"[{SINGLE['far'][1]}]:53", ("--protocol", "udp"), "delivered", True),
        ("shop/web-3:22", ("-6",), "delivered", True),  # services have them as backends
        ("shop/web-1:22", (), "delivered", True),
        (f"{WEB[0]}:81", (), "left to the kernel", False),
        ("10.99.0.1:80", (), "left to the kernel", False),
    ],
)
def test_the_live_program_does_what_is_said(
    shop: Shop, destination: str, words: tuple[str, ...], fate: str, learns: bool
) -> None:
    for port in islice(PORTS, 1 + learns):
        way = only_way("shop/client", destination, port, *words)
        assert way["fate"] == fate
        assert [ran(shop, hop) for hop in way["hops"]] == [said(hop) for hop in way["hops"]]
        # The program has learned of these packets, or not; what it knows is read.
        again = only_way("shop/client", destination, port, *words)
        assert is_known(again["hops"][0]) == learns
        assert not is_known(way["hops"][0])
        assert [said(hop) for hop in again["hops"]] == [said(hop) for hop in way["hops"]]


def is_known(hop: dict[str, Any]) -> bool:
    return any(step["kind"] == "hit" and step["found_in"].startswith("flow_") for step in hop["steps"])


@pytest.mark.parametrize("address", WEB, ids=["ipv4", "ipv6"])
def test_a_request_reaches_who_is_said(shop: Shop, address: str) -> None:
    """On this node and on the other one."""
    host = f"[{address}]" if ":" in address else address
    reached: set[str] = set()
    ports = iter(range(32_200, 32_299))
    while reached != {"dpu-a", "dpu-b"}:
        port = next(ports)
        way = only_way("shop/client", f"{host}:80", port)
        assert way["backend"].endswith(f"(shop/{server_of(shop, address, port)})")
        reached.add(way["device"])


def server_of(shop: Shop, address: str, source_port: int) -> str:
    """Who answers a request from a port."""
    with entered(shop.namespace(CLIENT)):
        client = socket.create_connection((address, 80), PATIENCE_S, ("", source_port))
    text = b""
    with client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        while part := client.recv(4096):
            text += part
    return text.rpartition(b"\r\n")[2].split()[0].decode()


def test_an_answer_belongs_to_its_connection(shop: Shop) -> None:
    with sink(shop.namespace(WEB_1), SINK_PORT) as server, entered(shop.namespace(CLIENT)):
        client = socket.create_connection((SINGLE["near"][0], 90), PATIENCE_S, ("", 32_310))
        with client:
            way = only_way("shop/web-1", "10.1.0.10:32310", SINK_PORT, "--flags", "A")
            assert (way["fate"], way["device"], way["port"]) == ("delivered", "dpu-a", 16)
            (hit,) = (step for step in way["hops"][0]["steps"] if step.get("found_in") == "flow_reverse_ipv4")
            assert hit["policy"] == "DpuService shop/near:sink"
            assert ran(shop, way["hops"][0]) == said(way["hops"][0])
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""
        server.wait()


def test_a_service_without_backend_refuses_as_is_said(restored: Shop) -> None:
    less = restored.changed()
    find(less, "Workload", "web-1")["metadata"]["labels"].pop("single")
    restored.applied(less)
    for address in SINGLE["near"]:
        host = f"[{address}]" if ":" in address else address
        way = only_way("shop/client", f"{host}:90", 32_400)
        assert (way["fate"], way["hops"][0]["verdict"]) == ("refused", "reply")
        assert ran(restored, way["hops"][0]) == said(way["hops"][0])
        with entered(restored.namespace(CLIENT)), pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, 90), PATIENCE_S, ("", 32_400))
        assert only_way("shop/client", f"{host}:53", 32_401, "--protocol", "udp")["fate"] == "refused"
        with entered(restored.namespace(CLIENT)), socket.socket(family_of(address), socket.SOCK_DGRAM) as client:
            client.bind(("", 32_401))
            client.settimeout(PATIENCE_S)
            client.connect((address, 53))
            client.send(b"anybody there?")
            with pytest.raises(ConnectionRefusedError):
                client.recv(1)


@pytest.mark.parametrize("destination", [(WEB[0], 81), ("10.99.0.1", 80)], ids=["no such port", "unknown address"])
def test_what_is_left_to_the_kernel_gets_no_answer_of_a_backend(shop: Shop, destination: tuple[str, int]) -> None:
    address, port = destination
    assert only_way("shop/client", f"{address}:{port}", 32_500)["fate"] == "left to the kernel"
    with entered(shop.namespace(CLIENT)), pytest.raises(OSError):
        socket.create_connection(destination, 0.5, ("", 32_500))


def test_a_service_is_told_as_it_is(shop: Shop) -> None:
    found = explained("shop/far")
    fronts = {on["device"]: on["fronts"] for on in found["devices"] if on["device"] in DEVICES}
    assert fronts.keys() == {"dpu-a", "dpu-b"}
    assert {front["state"] for each in fronts.values() for front in each} == {"live"}
    (here,), (there,) = (fronts[name][0]["backends"] for name in ("dpu-a", "dpu-b"))
    assert (here["workload"], here["state"], here["share"]) == ("shop/web-3", "live", "1")
    assert (here["way"], there["way"]) == (
        "through the tunnel to dpu-b (192.168.50.2)",
        "to shop/web-3 (port 16 of dpu-b)",
    )
