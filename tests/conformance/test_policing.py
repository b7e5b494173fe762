"""A workload that sends too much over real veths: it gets its rate, and its neighbour loses nothing."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from compiler.ir.nodes import Pipeline
from compiler.ir.text import from_text
from compiler.ir.verifier import check
from runtime.bpf.namespaces import entered
from tests.conformance.client import Client
from tests.conformance.conftest import Device
from tests.conformance.kernel import config_of

TEXT = """
/// What a workload sends goes out of its port, but for what is over its rate.
pipeline "policing" version "1" main ingress drops dropped
header_type ethernet { dst: 48  src: 48  type: 16 }
header ethernet: ethernet
metadata { ingress_port: 16  port: 16  color: 2 }
state start { extract ethernet  default -> accept }
action 0x01000001 police(1 port: 16) { meta.port = param.port  execute_direct into meta.color }
action 0x01000002 miss() { }
table 0x02000001 workload {
  key 1 source: exact(ethernet.src) as mac
  action police in_entries
  action miss as_default
  default miss
  size 64
  meter 0x15000001 bytes
}
counter 0x12000001 dropped size 3
drop_reason 1 unknown
drop_reason 2 over
control ingress {
  apply workload { miss { drop unknown } }
  if meta.color == 2 { drop over }
  forward meta.port
}
"""
ENTRY = r'table_entry { table_id: 0x02000001 match { field_id: 1 exact { value: "\002\000\000\000\000\%03o" } } %s }'
POLICE = r'action { action { action_id: 0x01000001 params { param_id: 1 value: "\%03o" } } }'
FLOODER, NEIGHBOUR, SINK = 16, 17, 1
RATE, BURST = 4_000_000, 400_000
PAYLOAD, HEADERS = 1_000, 42


@dataclass(frozen=True)
class Received:
    """Bytes that an interface received in a time, with their Ethernet headers."""

    bytes: int
    seconds: float

    @property
    def rate(self) -> float:
        return self.bytes / self.seconds


def policing() -> Pipeline:
    return check(from_text(TEXT))


@pytest.fixture
def client(primary: Client, device: Device) -> Client:
    primary.set_config("VERIFY_AND_COMMIT", config_of(policing(), device.target))
    return primary


def received(namespace: str) -> int:
    shown = subprocess.run(
        ["ip", "-n", namespace, "-s", "-j", "link", "show", "eth0"], check=True, capture_output=True, text=True
    )
    return json.loads(shown.stdout)[0]["stats64"]["rx"]["bytes"]


@contextmanager
def sending(namespace: str, to_port: int, pause_s: float) -> Generator[list[int]]:
    """UDP to the far end of a port, by a thread; the list gets how many packets were sent."""
    with entered(namespace):
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        wire.bind(("eth0", 0))
        source = wire.getsockname()[4]
    over, sent = threading.Event(), [0]
    frame = bytes((2, 0, 0, 0, 0, to_port)) + source + b"\x08\x00" + _udp()

    def send() -> None:
        while not over.is_set():
            wire.send(frame)
            sent[0] += 1
            if pause_s:
                time.sleep(pause_s)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield sent
    finally:
        over.set()
        thread.join()
        wire.close()


def _udp() -> bytes:
    """An IPv4 and a UDP header to nobody, and a payload: nothing here looks at them."""
    total = PAYLOAD + HEADERS - 14
    return bytes((0x45, 0, total >> 8, total & 255)) + bytes(5) + b"\x11" + bytes(total - 10)


def measured(namespace: str, during: Callable[[], None]) -> Received:
    before, began = received(namespace), time.monotonic()
    during()
    return Received(received(namespace) - before, time.monotonic() - began)


@pytest.mark.alone
def test_a_flood_gets_its_rate_and_its_neighbour_loses_nothing(client: Client, device: Device) -> None:
    if device.ports is None:
        return  # the model has no wire; what its meters say is in tests/differential/test_meters.py
    config = f"meter_config {{ cir: {RATE} cburst: {BURST} pir: {RATE} pburst: {BURST} }}"
    client.write(
        f"INSERT {ENTRY % (FLOODER, POLICE % SINK + config)}", f"INSERT {ENTRY % (NEIGHBOUR, POLICE % FLOODER)}"
    )
    far = device.ports.behind
    with ExitStack() as stack:
        flood = stack.enter_context(sending(far(FLOODER), SINK, 0))
        time.sleep(0.5)  # until the burst is used up
        before = received(far(FLOODER))
        quiet = stack.enter_context(sending(far(NEIGHBOUR), FLOODER, 0.002))
        sent_before = flood[0]
        flooded = measured(far(SINK), lambda: time.sleep(4))
        offered = (flood[0] - sent_before) * (PAYLOAD + HEADERS) / flooded.seconds
    time.sleep(0.2)
    assert offered > 1.5 * RATE, "the flood was too slow to say anything"
    assert abs(flooded.rate - RATE) <= 0.05 * RATE
    # The kernel itself sends a little, such as router solicitations: less than a packet of these a second.
    assert 0 <= received(far(FLOODER)) - before - quiet[0] * (PAYLOAD + HEADERS) < 4 * PAYLOAD


@pytest.mark.alone
def test_another_rate_holds_from_then_on(client: Client, device: Device) -> None:
    if device.ports is None:
        return
    config = "meter_config { cir: %d cburst: %d pir: %d pburst: %d }"
    entry = ENTRY % (FLOODER, POLICE % SINK)
    client.write(f"INSERT {ENTRY % (FLOODER, POLICE % SINK + config % (RATE, BURST, RATE, BURST))}")
    far = device.ports.behind
    with sending(far(FLOODER), SINK, 0):
        time.sleep(0.3)
        half = config % (RATE // 2, BURST, RATE // 2, BURST)
        client.write(f"MODIFY {ENTRY % (FLOODER, POLICE % SINK + half)}")
        slow = measured(far(SINK), lambda: time.sleep(2))
        client.write(f"MODIFY {entry}")
        free = measured(far(SINK), lambda: time.sleep(1))
    assert abs(slow.rate - RATE / 2) <= 0.05 * RATE / 2
    assert free.rate > 1.5 * RATE
