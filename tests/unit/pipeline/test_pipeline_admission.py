"""Source ranges: which clients outside a service lets in, and that nobody else is asked."""

from __future__ import annotations

import pytest

from compiler.ir.interpreter import Interpreter, Outcome, VerdictKind
from compiler.ir.interpreter.trace import Hit
from compiler.pipeline.offload import offload_pipeline
from runtime.verification.frames import frame, tcp
from runtime.verification.shop import ADDRESSES, CLIENT_PORT, VIP, WEB_1_PORT, Node
from tests.unit.pipeline.test_pipeline_outside import call, entrance

BOTH = pytest.mark.parametrize("version", [4, 6])
ALL = {4: ("0.0.0.0", 0), 6: ("::", 0)}
WIDE = {4: ("203.0.0.0", 16), 6: ("2001:db8::", 32)}
NARROW = {4: ("203.0.113.8", 31), 6: ("2001:db8::8", 127)}
ELSEWHERE = {4: ("198.51.100.0", 24), 6: ("2001:db9::", 32)}
SERVED_PORT = 81


def number_of(node: Node, version: int) -> int:
    """Of the service that clients outside call at port 81."""
    outcome = call(entrance(node), version, SERVED_PORT)
    (hit,) = (step for step in outcome.trace if isinstance(step, Hit) and step.table == f"service_ipv{version}")
    return int(dict(hit.arguments)["service_id"])


def bounded(version: int, *ranges: tuple[tuple[str, int], bool], node: Node | None = None) -> Interpreter:
    """A device that lets in, of these alone, those that are allowed; whoever is in none of them as well."""
    number = number_of(Node(), version)
    node = node or Node()
    book, family = node.book, f"ipv{version}"
    device = entrance(node)
    for (address, length), is_allowed in ranges:
        action = book.call(f"{'admit' if is_allowed else 'deny'}_source_{family}")
        table = f"source_range_{family}"
        node.model.insert(book.entry(table, action, service_id=number, source=f"{address}/{length}"))
    return device


def fate(outcome: Outcome) -> str:
    if outcome.verdict is VerdictKind.DROP:
        return outcome.drop_reason or ""
    assert (outcome.verdict, outcome.egress_port) == (VerdictKind.FORWARD, WEB_1_PORT)
    return "admitted"


@BOTH
@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([], "admitted"),
        ([(ELSEWHERE, True)], "admitted"),
        ([(ELSEWHERE, True), (ALL, False)], "source_denied"),
        ([(WIDE, True), (ALL, False)], "admitted"),
        ([(WIDE, True), (NARROW, False), (ALL, False)], "source_denied"),
        ([(NARROW, True), (WIDE, False)], "admitted"),
        ([(WIDE, False)], "source_denied"),
        ([(ALL, True)], "admitted"),
    ],
)
def test_the_longest_range_decides_in_whichever_order(
    version: int, ranges: list[tuple[dict[int, tuple[str, int]], bool]], expected: str
) -> None:
    given = [(prefix[version], is_allowed) for prefix, is_allowed in ranges]
    assert fate(call(bounded(version, *given), version, SERVED_PORT)) == expected
    assert fate(call(bounded(version, *reversed(given)), version, SERVED_PORT)) == expected


@BOTH
def test_a_known_connection_is_not_asked_again(version: int) -> None:
    node = Node()
    device = bounded(version, node=node)
    assert fate(call(device, version, SERVED_PORT)) == "admitted"
    number, book = number_of(Node(), version), node.book
    denied = book.call(f"deny_source_ipv{version}")
    address, length = ALL[version]
    entry = book.entry(f"source_range_ipv{version}", denied, service_id=number, source=f"{address}/{length}")
    node.model.insert(entry)
    assert fate(call(device, version, SERVED_PORT, "A")) == "admitted"
    assert fate(call(device, version, SERVED_PORT, src_port=40001)) == "source_denied"


@BOTH
def test_workloads_of_the_network_are_not_asked(version: int) -> None:
    device = bounded(version, (ALL[version], False))
    inside = device.process(CLIENT_PORT, bytes(frame(ADDRESSES[version]["client"], VIP[version], tcp(40000, 81, "S"))))
    assert fate(inside) == "admitted"


@BOTH
def test_clients_that_are_not_let_in_are_not_told_that_nobody_serves(version: int) -> None:
    """Neither is anything learned, nor counted as a packet to the service."""
    device = bounded(version, (ALL[version], False))
    outcome = call(device, version, SERVED_PORT)
    assert [type(step).__name__ for step in outcome.trace if type(step).__name__ in ("Learned", "Refused")] == []
    assert outcome.packet == b""


@BOTH
def test_hardware_leaves_them_to_the_kernel_whose_pipeline_drops_them(version: int) -> None:
    """And goes on with those that it knows, as the kernel does."""
    node = Node(source=offload_pipeline())
    assert (
        call(bounded(version, (ALL[version], False), node=node), version, SERVED_PORT).verdict is VerdictKind.TO_KERNEL
    )
