"""SRC and DST:PORT: what they stand for, and what is said when they stand for nothing or for several things."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from compiler.policy.loading import load_texts
from compiler.policy.policyset import PolicySet, Protocol
from runtime.explanation.question import A_SOURCE_PORT, Packet, Question, QuestionError, question_of
from runtime.verification import wire

ROOT = Path(__file__).resolve().parents[3]
TWO_WEBS = """
---
apiVersion: turnout.dev/v1alpha1
kind: Workload
metadata: {name: web-1, namespace: other}
spec: {type: Pod, network: shop, node: node-b, addresses: [10.1.0.77]}
---
apiVersion: turnout.dev/v1alpha1
kind: DpuService
metadata: {name: web, namespace: other}
spec:
  network: shop
  addresses: [10.96.0.77]
  ports: [{name: dns, protocol: UDP, port: 53, targetPort: 5353}]
  selector: {app: none}
---
apiVersion: turnout.dev/v1alpha1
kind: DpuService
metadata: {name: single, namespace: other}
spec:
  network: shop
  addresses: [10.96.0.78]
  ports: [{name: dns, protocol: UDP, port: 53, targetPort: 5353}]
  selector: {app: none}
"""


@cache
def policies(more: str = "") -> PolicySet:
    loaded = load_texts({"shop.yaml": (ROOT / "examples" / "shop.yaml").read_text() + more})
    assert not loaded.is_refused, loaded.render()
    return loaded.policies


def asked(source: str, destination: str, more: str = "", **options: Any) -> Question:
    packet = replace(Packet(source=source, destination=destination), **options)
    return question_of(packet, dict.fromkeys(("dpu-a", "dpu-b"), policies(more)))


@pytest.mark.parametrize(
    ("source", "destination", "options", "found"),
    [
        ("shop/client", "10.96.0.10:80", {}, "TCP 10.1.0.10 port 49152 to 10.96.0.10 port 80"),
        ("client", "shop/web:80", {}, "TCP 10.1.0.10 port 49152 to 10.96.0.10 port 80"),
        ("client", "web:http", {"source_port": 7}, "TCP 10.1.0.10 port 7 to 10.96.0.10 port 80"),
        ("client", "web:echo", {}, "UDP 10.1.0.10 port 49152 to 10.96.0.10 port 5300"),
        ("client", "web:5300", {}, "UDP 10.1.0.10 port 49152 to 10.96.0.10 port 5300"),
        ("client", "web:5300", {"protocol": Protocol.TCP}, "TCP 10.1.0.10 port 49152 to 10.96.0.10 port 5300"),
        ("client", "web:80", {"wants_ipv6": True}, "TCP fd00:10:1::10 port 49152 to fd00:10:96::10 port 80"),
        ("fd00:10:1::10", "web:80", {}, "TCP fd00:10:1::10 port 49152 to fd00:10:96::10 port 80"),
        ("client", "[fd00:10:96::10]:80", {}, "TCP fd00:10:1::10 port 49152 to fd00:10:96::10 port 80"),
        ("client", "web-3:22", {}, "TCP 10.1.0.10 port 49152 to 10.1.0.13 port 22"),
        ("web-3", "192.0.2.1:1", {"protocol": Protocol.UDP}, "UDP 10.1.0.13 port 49152 to 192.0.2.1 port 1"),
        ("blue/blue-client", "web:80", {}, "TCP 10.1.0.10 port 49152 to 10.96.0.10 port 80"),
    ],
)
def test_what_is_asked(source: str, destination: str, options: dict[str, Any], found: str) -> None:
    question = asked(source, destination, **options)
    assert str(question.ends) == found
    assert question.is_open == ("source_port" not in options)


def test_the_frame_is_the_speakers() -> None:
    question = asked("client", "web:80")
    assert (question.speaker.device, question.speaker.port.id) == ("dpu-a", 16)
    src, dst = ip_address("10.1.0.10"), ip_address("10.96.0.10")
    segment = wire.tcp(src, dst, A_SOURCE_PORT, 80, wire.SYN)
    assert question.frame[14:] == wire.ip(src, dst, wire.TCP, segment)


def test_the_policies_of_the_device_behind_which_the_source_is_count() -> None:
    views = {"dpu-a": policies(), "dpu-b": policies(TWO_WEBS)}
    with pytest.raises(QuestionError) as unknown:
        question_of(Packet(source="client", destination="single:53"), views)
    assert str(unknown.value) == (
        "no service and no workload 'single' in network shop; "
        "known: shop/client, shop/web, shop/web-1, shop/web-2, shop/web-3"
    )
    assert question_of(Packet(source="web-3", destination="single:53"), views).ends.dst == ip_address("10.96.0.78")


@pytest.mark.parametrize(
    ("source", "destination", "options", "text"),
    [
        (
            "cleint",
            "web:80",
            {},
            "no workload 'cleint' is behind a port of dpu-a, dpu-b; known: blue/blue-client, blue/blue-web, "
            "shop/client, shop/web-1, shop/web-2, shop/web-3",
        ),
        (
            "shop/cleint",
            "web:80",
            {},
            "no workload 'shop/cleint' is behind a port of dpu-a, dpu-b; did you mean 'shop/client'?",
        ),
        (
            "10.1.0.10",
            "web:80",
            {},
            "source '10.1.0.10' is several workloads: shop/client in network shop, blue/blue-client in network blue; "
            "name one as namespace/name",
        ),
        (
            "other/web-1",
            "web:80",
            {},
            "workload 'other/web-1' is behind no port of dpu-a, dpu-b: it sends nothing there",
        ),
        ("10.1.0.77", "web:80", {}, "workload 'other/web-1' is behind no port of dpu-a, dpu-b: it sends nothing there"),
        ("client", "10.96.0.10", {}, "'10.96.0.10' has no port: write ADDRESS:PORT, [IPV6]:PORT, or NAME:PORT"),
        ("client", "10.96.0.10:", {}, "'10.96.0.10:' has no port: write ADDRESS:PORT, [IPV6]:PORT, or NAME:PORT"),
        ("client", ":80", {}, "':80' has no port: write ADDRESS:PORT, [IPV6]:PORT, or NAME:PORT"),
        (
            "client",
            "fd00:10:96::10",
            {},
            "'fd00:10:96::10' is not clear: an IPv6 address stands in brackets, as in [fd00::10]:80",
        ),
        (
            "client",
            "fd00:10:96::10:80",
            {},
            "'fd00:10:96::10:80' is not clear: an IPv6 address stands in brackets, as in [fd00::10]:80",
        ),
        ("client", "10.96.0.10:0", {}, "0 is no port: ports are 1 to 65535"),
        ("client", "10.96.0.10:65536", {}, "65536 is no port: ports are 1 to 65535"),
        ("client", "10.96.0.9:http", {}, "'http' is no port number, and only ports of services have names"),
        (
            "client",
            "shop/web:htpt",
            {},
            "service 'shop/web' has no port 'htpt'; it has: http (TCP 80), echo (UDP 5300)",
        ),
        (
            "client",
            "shop/web:http",
            {"protocol": Protocol.UDP},
            "service 'shop/web' has no port 'http'; it has: http (TCP 80), echo (UDP 5300)",
        ),
        ("client", "web:80", {}, "destination 'web' is several services: other/web, shop/web"),
        ("client", "web-1:80", {}, "destination 'web-1' is several workloads: other/web-1, shop/web-1"),
        (
            "client",
            "blue/web:80",
            {},
            "'blue/web' is not in network shop, where shop/client is: there is blue/web in network blue; "
            "networks do not reach each other",
        ),
        (
            "client",
            "shop/wbe:80",
            {},
            "no service and no workload 'shop/wbe' in network shop; did you mean 'shop/web'?",
        ),
        ("blue-client", "web:80", {"wants_ipv6": True}, "'blue/web' has no IPv6 address"),
        ("blue-client", "[fd00::1]:80", {}, "workload 'blue/blue-client' has no IPv6 address"),
        (
            "fd00:10:1::10",
            "10.96.0.10:80",
            {},
            "fd00:10:1::10 is no address to send from to 10.96.0.10: they are of different families",
        ),
    ],
)
def test_what_is_said_of_a_question_that_makes_no_sense(
    source: str, destination: str, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(QuestionError) as refused:
        asked(source, destination, TWO_WEBS, **options)
    assert str(refused.value) == text


EIP = (ROOT / "examples" / "eip.yaml").read_text()


def from_outside(source: str, destination: str) -> Question:
    found = load_texts({"eip.yaml": EIP}).policies
    return question_of(Packet(source=source, destination=destination), dict.fromkeys(("dpu-a", "dpu-b"), found))


@pytest.mark.parametrize(
    ("source", "destination", "found", "network"),
    [
        ("198.51.100.9", "203.0.113.10:80", "TCP 198.51.100.9 port 49152 to 203.0.113.10 port 80", "shop"),
        ("198.51.100.9", "203.0.113.20:80", "TCP 198.51.100.9 port 49152 to 203.0.113.20 port 80", "blue"),
        ("198.51.100.9", "shop/web:echo", "UDP 198.51.100.9 port 49152 to 203.0.113.10 port 5300", "shop"),
        ("2001:db8::9", "shop/web:80", "TCP 2001:db8::9 port 49152 to 2001:db8:113::10 port 80", "shop"),
    ],
)
def test_clients_outside_send_to_the_uplink_that_answers(
    source: str, destination: str, found: str, network: str
) -> None:
    question = from_outside(source, destination)
    assert str(question.ends) == found
    assert (question.speaker.network, question.speaker.port.name) == (network, "p0")


def test_clients_outside_call_nothing_else() -> None:
    with pytest.raises(QuestionError, match=r"no workload '198\.51\.100\.9' is behind a port"):
        from_outside("198.51.100.9", "10.96.0.10:80")
