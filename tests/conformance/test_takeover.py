"""A kernel device that is killed: packets pass while it is down, and what it finds when it starts again is its own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest
from finsy.proto import p4r

from compiler.ir.entries import Exact, Range, Ternary
from compiler.pipeline.assembly import pipeline
from compiler.printers.layout import layout
from runtime.bpf.maps import Map
from runtime.client.devicestatus import read_status
from runtime.device.failpoints import Point
from runtime.device.kernel.sides import SIDE_MAP
from tests.conformance.client import Client
from tests.conformance.kernel import Topology, config_of, topology
from tests.conformance.killing import Killable
from tests.conformance.serving import serving
from tests.conformance.talking import Talk
from tests.conformance.test_failing import request_for
from tests.conformance.test_masks import entry
from tests.conformance.test_surviving import state
from tests.conformance.test_traffic import BACKEND, CLIENT, FLOW, SERVICE, VIP, VIP_PORT
from tests.conformance.writing import FIRST_ADDRESS, NETWORK, State
from tests.pipelines.acl import acl_pipeline

pytestmark = [pytest.mark.root, pytest.mark.slow]


@pytest.fixture
def ports() -> Generator[Topology]:
    with topology("cft") as made:
        yield made


@pytest.fixture
def device(ports: Topology, tmp_path: Path) -> Generator[Killable]:
    """Running, with a service and a backend that echoes."""
    with serving(tmp_path, ports) as made:
        yield made


def talk(ports: Topology) -> Talk:
    return Talk(ports.behind(CLIENT), VIP, VIP_PORT)


def new_connection_goes_on(ports: Topology) -> None:
    one = talk(ports)
    assert one.goes_on()
    one.end()


def counted(client: Client) -> int:
    """Packets that opened connections to the service."""
    (found,) = client.read(f"table_entry {{ table_id: {SERVICE} counter_data {{ }} }}")
    return found.table_entry.counter_data.packet_count


def test_connections_go_on_while_it_is_down_and_after(device: Killable, ports: Topology) -> None:
    first = talk(ports)
    assert first.goes_on()
    client = device.primary(100)
    before = state(client)
    client.close()
    device.kill()
    assert first.goes_on(50)
    while_down = talk(ports)
    assert while_down.goes_on()
    device.start()
    assert first.goes_on(50)
    assert while_down.goes_on(50)
    client = device.primary(101)
    assert state(client) == before
    assert counted(client) == 2
    learned = client.read(f"table_entry {{ table_id: {FLOW} }}")
    assert len(learned) == 2
    last = talk(ports)
    assert last.goes_on()
    assert counted(client) == 3
    for one in (first, while_down, last):
        assert one.longest_s < 1.0
        one.end()
        assert one.failed is None
    client.close()


def test_a_service_of_before_can_be_changed_after(device: Killable, ports: Topology) -> None:
    device.kill()
    device.start()
    client = device.primary(100)
    (entry,) = client.read(f"table_entry {{ table_id: {SERVICE} }}")
    request = p4r.WriteRequest(device_id=1, updates=[p4r.Update(type=p4r.Update.DELETE, entity=entry)])
    client.write_request(request)
    with pytest.raises(OSError):
        talk(ports)
    request.updates[0].type = p4r.Update.INSERT
    client.write_request(request)
    again = talk(ports)
    assert again.goes_on()
    again.end()
    client.close()


def test_pins_that_are_gone(device: Killable, ports: Topology) -> None:
    client = device.primary(100)
    before = state(client)
    client.close()
    device.kill()
    subprocess.run(["umount", "-l", str(device.state / "bpf")], check=True)
    time.sleep(0.5)
    device.start()
    words = (
        "the maps of pipeline turnout are gone, though the machine has not been started anew (is the BPF file system "
        "unmounted?): they are filled from the journal; connections and counters begin anew"
    )
    assert words in device.said
    client = device.primary(101)
    assert state(client) == before
    client.close()
    new_connection_goes_on(ports)


def test_a_journal_that_is_gone(device: Killable, ports: Topology) -> None:
    device.kill()
    for path in (device.state / "journal").glob("*.log"):
        path.unlink()
    device.start()
    assert "an earlier run left" in device.said
    client = device.primary(100)
    assert not client.get_config().HasField("config")
    client.close()


def test_ports_that_changed_their_numbers(device: Killable, ports: Topology) -> None:
    device.kill()
    device.start(ports=["16=rep17", "17=rep16", "1=up1"])
    assert "interface rep16 was port 16, it is port 17 now" in device.said
    assert "interface rep17 was port 17, it is port 16 now" in device.said
    device.kill()
    device.start()
    new_connection_goes_on(ports)


def test_ports_that_are_none_any_more(device: Killable, ports: Topology) -> None:
    device.kill()
    device.start(ports=["16=rep16", "17=rep17"])
    assert "port 1 is none any more" in device.said
    new_connection_goes_on(ports)


def test_an_interface_that_is_made_anew(device: Killable, ports: Topology) -> None:
    device.kill()
    subprocess.run(["ip", "-n", ports.namespace, "link", "del", "rep17"], check=True)
    device.start()
    assert "port 17: interface rep17 is not there, or down; its packets are dropped until it is back" in device.said
    far = ports.behind(BACKEND)
    make = ["ip", "link", "add", "rep17", "netns", ports.namespace, "type", "veth", "peer", "name", "eth0"]
    subprocess.run([*make, "netns", far], check=True)
    subprocess.run(["ip", "-n", far, "link", "set", "eth0", "address", "02:00:00:00:00:11", "up"], check=True)
    subprocess.run(["ip", "-n", far, "address", "add", "10.0.0.17/24", "dev", "eth0"], check=True)
    subprocess.run(["ip", "-n", far, "route", "add", "default", "via", "10.0.0.254"], check=True)
    subprocess.run(["ip", "-n", ports.namespace, "link", "set", "rep17", "up"], check=True)
    device.kill()
    device.start()
    new_connection_goes_on(ports)


def test_saved_and_then_committed_after_a_kill(device: Killable, ports: Topology) -> None:
    client = device.primary(100)
    config = client.get_config().config
    config.cookie.cookie = 9
    client.set_config("VERIFY_AND_SAVE", config)
    client.close()
    one = talk(ports)
    device.kill()
    device.start()
    assert one.goes_on()
    client = device.primary(101)
    assert client.read("table_entry { }") == []
    client.set_config("COMMIT")
    assert client.get_config().config.cookie.cookie == 9
    client.close()
    one.end()
    assert sorted(path.name for path in (device.state / "bpf").glob("pipeline_*")) != []


def test_a_connection_goes_on_in_another_pipeline(device: Killable, ports: Topology) -> None:
    one = talk(ports)
    assert one.goes_on()
    whole = pipeline()
    tables = tuple(replace(table, size=2 * table.size) if table.name == "arp" else table for table in whole.tables)
    changed = replace(whole, tables=tables, version="2")
    config = config_of(changed, "kernel")
    client = device.primary(100)
    before = state(client)
    client.set_config("RECONCILE_AND_COMMIT", config)
    assert one.goes_on(50)
    assert state(client) == before
    assert counted(client) == 1
    assert client.get_config().config == config
    client.close()
    device.kill()
    device.start()
    assert one.goes_on(50)
    one.end()
    assert one.failed is None
    assert one.longest_s < 1.0


def test_counters_of_entries_with_masks(device: Killable) -> None:
    """Also where one entry has several places; one that is hidden wherever it is has none, and begins anew."""
    client = device.primary(100)
    client.set_config("VERIFY_AND_COMMIT", config_of(acl_pipeline(), "kernel"))
    entries = [
        entry(wide=Ternary(value=3, mask=7), priority=5),
        entry(wide=Ternary(value=3, mask=7), priority=4),
        entry(number=Range(low=3, high=900), priority=7),
        entry(priority=1),
    ]
    request = p4r.WriteRequest(device_id=1)
    for at, one in enumerate(entries):
        request.updates.add(type=p4r.Update.INSERT).entity.table_entry.CopyFrom(one)
        changed = request.updates.add(type=p4r.Update.MODIFY).entity.direct_counter_entry
        changed.table_entry.CopyFrom(one)
        changed.table_entry.ClearField("action")
        changed.data.packet_count = at + 10
    client.write_request(request)
    for election in (101, 102):
        device.kill()
        client.close()
        device.start()
        client = device.primary(election)
        found = client.read("table_entry { counter_data { } }")
        counted = {one.table_entry.priority: one.table_entry.counter_data.packet_count for one in found}
        assert counted == {5: 10, 4: 11, 7: 12, 1: 13}
    client.close()


def pinned(device: Killable, name: str) -> Map:
    """A map of the one pipeline that is there."""
    (folder,) = (device.state / "bpf").glob("pipeline_*")
    return Map.pinned(folder / name)


def test_nothing_is_written_that_is_right(device: Killable, ports: Topology) -> None:
    """The same maps go on, with the same entries on both sides."""
    one = talk(ports)
    assert one.goes_on()
    device.kill()
    before = held(device)
    for _ in range(2):
        device.start()
        assert "found otherwise" not in device.said
        assert one.goes_on()
        device.kill()
        assert held(device) == before
    device.start()
    one.end()
    assert one.failed is None


def held(device: Killable) -> dict[str, object]:
    """The tables' maps: which they are, and what is in them."""
    plan = layout(pipeline())
    names = [SIDE_MAP, *(part.name for table in plan.tables for part in table.maps)]
    found: dict[str, object] = {}
    for name in names:
        with pinned(device, name) as one:
            found[name] = one.details.id, sorted(one.items())
    return found


def meddle(device: Killable) -> tuple[dict[bytes, bytes], list[str]]:
    """With the arp entries 0 to 2 of `client_entries`: one is gone, one has changed, one is there that nobody wrote.

    Returns what the map held before, and what is to be said.
    """
    arp_layout = layout(pipeline()).table("arp")
    with pinned(device, "arp") as arp, pinned(device, SIDE_MAP) as word:
        side = int.from_bytes(word.lookup(bytes(4)) or b"", sys.byteorder)
        before = dict(arp.items())

        def key_of(address: int) -> bytes:
            matches = (Exact(value=NETWORK), Exact(value=address))
            return arp_layout.map.on_side(arp_layout.encode_key(matches), side)

        gone, changed, other = (key_of(FIRST_ADDRESS + number) for number in range(3))
        arp.delete(gone)
        arp.update(changed, before[other])
        arp.update(key_of(0x01020304), before[other])
    return before, [
        "found otherwise, and mended: table arp: 1 that the journal has and the kernel had not: "
        "network=0xfa0, address=0xaff0000\n",
        "found otherwise, and mended: table arp: 1 that were not as the journal has them: "
        "network=0xfa0, address=0xaff0001\n",
        "found otherwise, and mended: table arp: 1 that the kernel had and the journal has not: "
        "network=0xfa0, address=0x1020304\n",
    ]


def write_some(device: Killable) -> list[bytes]:
    """Three arp entries; what the device holds then."""
    client = device.primary(100)
    entries: State = {("arp", number): (number,) for number in range(3)}
    client.write_request(request_for(entries, {}, p4r.WriteRequest.CONTINUE_ON_ERROR))
    before = state(client)
    client.close()
    return before


def test_what_somebody_has_changed_by_hand(device: Killable, ports: Topology) -> None:
    """Each kind of difference is found on the side that packets read, told in the words of P4, and mended."""
    written = write_some(device)
    device.kill()
    before, told = meddle(device)
    device.start()
    for line in told:
        assert line in device.said
    (placed,) = read_status(device.address).start.placed
    prefix = "found otherwise, and mended: "
    assert [f"{prefix}{one.text}\n" for one in placed.findings] == told
    assert [(one.part, one.kind, one.count) for one in placed.findings] == [
        ("table arp", kind, 1) for kind in ("missing", "different", "extra")
    ]
    assert placed.goes_on
    client = device.primary(101)
    assert state(client) == written
    client.close()
    device.kill()
    with pinned(device, "arp") as arp:
        assert dict(arp.items()) == before
    device.start()
    assert "pipeline turnout: the kernel holds what the journal says, and goes on with it" in device.said
    assert "found otherwise" not in device.said
    new_connection_goes_on(ports)


def test_killed_while_it_mends(device: Killable, ports: Topology) -> None:
    """The next one mends what is left."""
    one = talk(ports)
    written = write_some(device)
    points = (Point.TAKEN_OVER, Point.ADOPTED, Point.STAGED, Point.TURNED, Point.LEFT, Point.ALIKE, Point.STARTED)
    for at, point in enumerate(points):
        device.kill()
        before, _ = meddle(device)
        device.die_at(point)
        try:
            device.start()
        except AssertionError:
            device.forget_point()
        else:
            device.dies()
        assert one.goes_on(), f"while it is down, after {point}"
        device.start()
        client = device.primary(101 + at)
        assert state(client) == written, f"after {point}"
        client.close()
        device.kill()
        with pinned(device, "arp") as arp:
            assert dict(arp.items()) == before, f"after {point}"
        device.start()
    assert one.goes_on()
    one.end()
    assert one.failed is None
