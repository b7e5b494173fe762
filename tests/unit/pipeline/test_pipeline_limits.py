"""Limits of a MeshRedirect in the pipeline: how many new connections of a workload the proxy gets, at what cost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from compiler.entries.desired import compile_entries
from compiler.ir.interpreter import Interpreter, Model, VerdictKind, trace
from compiler.ir.interpreter.matching import NS_PER_MS
from compiler.pipeline.assembly import pipeline
from compiler.policy.loading import load_text
from runtime.verification.shop import Clock
from runtime.verification.vector import in_order

MESH = (Path(__file__).parents[3] / "examples" / "mesh.yaml").read_text()
CLIENT, PLAIN, ENVOY, BLUE_CLIENT, ENVOY_BLUE = 16, 17, 30, 20, 31
WEB_1 = 18
NAMES = {"clients": "  failure: closed\n", "servers": "  failure: open\n"}


class Device:
    """dpu-a of examples/mesh.yaml with limits in the policies of these names; `gone` are tables left empty."""

    def __init__(self, *gone: str, **limits: str) -> None:
        text = MESH
        for name, limit in limits.items():
            text = text.replace(NAMES[name], f"{NAMES[name]}  limit: {limit}\n")
        loaded = load_text(text, "mesh.yaml")
        assert not loaded.diagnostics, loaded.render()
        entries = compile_entries(loaded.policies, loaded.policies.devices[0]).entries
        self.model = Model(pipeline(), hash_seed=7)
        self.clock = Clock()
        for change in in_order(entries):
            if getattr(change, "table", "") not in gone:
                self.model.insert(change, now_ns=self.clock.now_ms * NS_PER_MS)
        self.interpreter = Interpreter(
            self.model, clock=self.clock, random=lambda _: 0, clock_ns=lambda: self.clock.now_ms * NS_PER_MS
        )
        self.metered = 0

    def send(self, port: int, src: str, dst: str, dport: int, sport: int, flags: str = "S") -> str:
        """The port that it leaves by, or why it is dropped."""
        ip = IPv6(src=src, dst=dst) if ":" in src else IP(src=src, dst=dst)
        frame = (
            Ether(src="02:00:00:00:00:99", dst="02:00:00:00:00:98") / ip / TCP(sport=sport, dport=dport, flags=flags)
        )
        outcome = self.interpreter.process(port, bytes(frame))
        self.metered += any(isinstance(step, trace.Metered) for step in outcome.trace)
        return str(outcome.egress_port) if outcome.verdict is VerdictKind.FORWARD else outcome.drop_reason or ""

    def open(self, count: int, first: int = 1024, version: int = 4) -> Counter[str]:
        """The client opens so many connections at once."""
        src, dst = ("10.1.0.10", "10.1.0.13") if version == 4 else ("fd00:10:1::10", "fd00:10:1::13")
        return Counter(self.send(CLIENT, src, dst, 8080, first + at) for at in range(count))


def test_a_burst_then_the_rate() -> None:
    device = Device(clients="{connectionsPerSecond: 10, burst: 4}")
    assert device.open(9) == {"30": 4, "mesh_limit": 5}
    device.clock.now_ms += 99
    assert device.open(3, 2000) == {"mesh_limit": 3}
    device.clock.now_ms += 1
    assert device.open(3, 3000) == {"30": 1, "mesh_limit": 2}
    device.clock.now_ms += 60_000
    assert device.open(9, 4000) == {"30": 4, "mesh_limit": 5}


@pytest.mark.slow
def test_the_rate_is_held_over_time() -> None:
    device = Device(clients="{connectionsPerSecond: 100, burst: 10}")
    went = Counter[str]()
    for at in range(20_000):
        device.clock.now_ms += 1
        went += device.open(1, at)
    assert went["30"] == pytest.approx(10 + 2_000, abs=2)


def test_each_family_has_the_limit() -> None:
    device = Device(clients="{connectionsPerSecond: 4}")
    assert device.open(5) == device.open(5, version=6) == {"30": 4, "mesh_limit": 1}


def test_known_connections_pay_nothing() -> None:
    device = Device(clients="{connectionsPerSecond: 1}")
    assert device.open(3) == {"30": 1, "mesh_limit": 2}
    metered = device.metered
    for flags in ("S", "A", "PA"):
        assert device.send(CLIENT, "10.1.0.10", "10.1.0.13", 8080, 1024, flags) == "30"
    assert device.metered == metered


def test_others_are_not_concerned() -> None:
    """Neither another workload of the network, nor the same address in another network."""
    device = Device(clients="{connectionsPerSecond: 1}")
    assert device.open(5)["mesh_limit"] == 4
    for sport in range(1024, 1034):
        assert device.send(PLAIN, "10.1.0.11", "10.1.0.12", 8080, sport) == "30"
        assert device.send(BLUE_CLIENT, "10.1.0.10", "10.1.0.12", 8080, sport) == "31"


def test_what_does_not_go_to_the_proxy_costs_nothing() -> None:
    device = Device(clients="{connectionsPerSecond: 1}")
    assert device.send(CLIENT, "10.1.0.10", "10.1.0.11", 22, 1000) == "17"
    assert device.send(CLIENT, "10.1.0.10", "10.1.0.13", 7000, 1001) == "mesh_denied"
    assert device.metered == 0
    gone = Device("proxy_ipv4", "proxy_ipv6", clients="{connectionsPerSecond: 1}")
    assert gone.open(3) == {"no_proxy": 3}
    assert gone.metered == 0


def test_beyond_the_limit_a_policy_that_is_open_lets_nothing_past_the_proxy() -> None:
    device = Device(servers="{connectionsPerSecond: 1}")
    went = [device.send(PLAIN, "10.1.0.11", "10.1.0.12", 8080, sport) for sport in (1024, 1025)]
    assert went == ["30", "mesh_limit"]


def test_who_opens_a_connection_pays_for_it() -> None:
    """Who has no limit opens at the cost of whom it is opened to."""
    device = Device(clients="{connectionsPerSecond: 3}", servers="{connectionsPerSecond: 1}")
    opened = [device.send(CLIENT, "10.1.0.10", "10.1.0.12", 8080, sport) for sport in range(1024, 1028)]
    assert opened == ["30", "30", "30", "mesh_limit"]
    assert device.send(PLAIN, "10.1.0.11", "10.1.0.12", 8080, 1024) == "30"
    assert device.send(PLAIN, "10.1.0.11", "10.1.0.12", 8080, 1025) == "mesh_limit"


def test_who_opens_it_by_a_policy_without_a_limit_pays_with_the_other_end() -> None:
    device = Device(servers="{connectionsPerSecond: 1}")
    opened = [device.send(CLIENT, "10.1.0.10", "10.1.0.12", 8080, sport) for sport in (1024, 1025)]
    assert opened == ["30", "mesh_limit"]
