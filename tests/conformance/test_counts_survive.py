"""Connections count for their backend across a kill of the device, and across a pipeline that is loaded anew."""

from __future__ import annotations

import struct
import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from compiler.ir.nodes import Pipeline
from compiler.ir.text import from_text, to_text
from compiler.pipeline.assembly import pipeline
from runtime.bpf.maps import Map
from tests.conformance.kernel import Topology, config_of, topology
from tests.conformance.killing import Killable
from tests.conformance.serving import serving
from tests.conformance.talking import Talk
from tests.conformance.test_traffic import CLIENT, VIP, VIP_PORT
from tests.pipelines.relaid import relaid_pipeline

pytestmark = [pytest.mark.root, pytest.mark.slow]
PATIENCE_S = 5.0


@pytest.fixture
def ports() -> Generator[Topology]:
    with topology("ccs") as made:
        yield made


@pytest.fixture
def device(ports: Topology, tmp_path: Path) -> Generator[Killable]:
    """Running, with a service and a backend that echoes."""
    with serving(tmp_path, ports) as made:
        yield made


def talk(ports: Topology) -> Talk:
    one = Talk(ports.behind(CLIENT), VIP, VIP_PORT)
    assert one.goes_on()
    return one


def counts(device: Killable) -> dict[int, int]:
    """By number of a member, of the one pipeline that is there."""
    (folder,) = (device.state / "bpf").glob("pipeline_*")
    with Map.pinned(folder / "connections_ipv4_counts") as held, held.memory() as memory:
        words = struct.iter_unpack("=Q", bytes(memory)[: 8 * held.details.max_entries])
        return {number: count for number, (count,) in enumerate(words) if count}


def becomes(device: Killable, wanted: dict[int, int]) -> bool:
    """The last packets of a connection may be on their way."""
    end = time.monotonic() + PATIENCE_S
    while counts(device) != wanted and time.monotonic() < end:
        time.sleep(0.01)
    return counts(device) == wanted


def test_a_device_that_was_killed_goes_on_counting(device: Killable, ports: Topology) -> None:
    first, second = talk(ports), talk(ports)
    ((number, count),) = counts(device).items()
    assert count == 2
    device.kill()
    while_down = talk(ports)
    second.end()
    assert becomes(device, {number: 2})
    device.start()
    assert "found otherwise" not in device.said
    assert becomes(device, {number: 2})
    after = talk(ports)
    assert becomes(device, {number: 3})
    for left, one in zip((2, 1, 0), (first, while_down, after), strict=True):
        one.end()
        assert becomes(device, {number: left} if left else {})


@pytest.mark.parametrize("has_another_layout", [False, True], ids=["the same slots", "other slots"])
def test_a_pipeline_that_takes_over_goes_on_counting(
    device: Killable, ports: Topology, *, has_another_layout: bool
) -> None:
    kept = talk(ports)
    before = counts(device)
    assert list(before.values()) == [1]
    client = device.primary(100)
    new = relaid_pipeline() if has_another_layout else replace(pipeline(), version="of another day")
    client.set_config("RECONCILE_AND_COMMIT", config_of(new, "kernel"))
    assert becomes(device, before)
    more = talk(ports)
    (number,) = before
    assert becomes(device, {number: 2})
    device.kill()
    device.start()
    assert becomes(device, {number: 2})
    kept.end()
    assert becomes(device, {number: 1})
    more.end()
    assert becomes(device, {})
    client.close()


def uncounted() -> Pipeline:
    """One in which no connection counts, as before pipelines did."""
    text = to_text(pipeline())
    for old, new in (("    fewest connections_ipv4 if meta.by_count\n", ""), (" counted full {", " full {")):
        assert old in text
        text = text.replace(old, new).replace(old.replace("ipv4", "ipv6"), new)
    return from_text(text)


def test_connections_of_a_pipeline_that_counted_none_go_on_without_counting(device: Killable, ports: Topology) -> None:
    """And those that counted go on in one that does not."""
    client = device.primary(100)
    client.set_config("RECONCILE_AND_COMMIT", config_of(uncounted(), "kernel"))
    kept = talk(ports)
    client.set_config("RECONCILE_AND_COMMIT", config_of(pipeline(), "kernel"))
    assert kept.goes_on()
    assert becomes(device, {})
    more = talk(ports)
    ((number, count),) = counts(device).items()
    assert count == 1
    kept.end()
    assert becomes(device, {number: 1})
    client.set_config("RECONCILE_AND_COMMIT", config_of(uncounted(), "kernel"))
    assert more.goes_on()
    more.end()
    assert more.failed is None
    client.close()
