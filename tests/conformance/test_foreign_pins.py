"""A kernel device whose BPF file system holds what it has not left there: it is told, refused or passed over.

What is the device's own (ports, dispatcher) is refused, since packets pass it: nothing is changed then. What is a
pipeline's is passed over, since the journal has all of it but what was learned.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest

from runtime.bpf.bpffs import remove_tree
from runtime.bpf.constants import MapType
from runtime.bpf.maps import Map, MapShape
from runtime.device.kernel.dispatcher import DISPATCH_SHAPE, load_dispatcher
from tests.conformance.client import Client
from tests.conformance.kernel import Topology, topology
from tests.conformance.killing import Killable
from tests.conformance.serving import serving
from tests.conformance.talking import Talk
from tests.conformance.test_failing import CONTINUE, request_for
from tests.conformance.test_takeover import new_connection_goes_on, state, talk
from tests.conformance.writing import State

pytestmark = [pytest.mark.root, pytest.mark.slow]
NOBODY = 65534


@pytest.fixture
def ports() -> Generator[Topology]:
    with topology("cfp") as made:
        yield made


@pytest.fixture
def device(ports: Topology, tmp_path: Path) -> Generator[Killable]:
    """Running, with a service and a backend that echoes."""
    with serving(tmp_path, ports) as made:
        yield made


@pytest.fixture
def passing(device: Killable, ports: Topology) -> Generator[Talk]:
    """A connection through it."""
    del device
    made = talk(ports)
    yield made
    made.end()


Put = Callable[[Path], None]


def a_map(path: Path) -> None:
    """Of a shape that no map of ours has."""
    shape = MapShape(name="other", type=MapType.HASH, key_size=3, value_size=5, max_entries=7)
    with Map.create(shape) as made:
        made.pin(path)


def a_map_of_the_same_sizes(path: Path) -> None:
    """In the place of one; of another type."""
    with Map.pinned(path) as old:
        was = old.details
    path.unlink()
    kind = MapType.HASH if was.type == MapType.ARRAY else MapType.LRU_HASH
    shape = MapShape(
        name="other", type=kind, key_size=was.key_size, value_size=was.value_size, max_entries=was.max_entries
    )
    with Map.create(shape) as made:
        made.pin(path)


def a_program(path: Path) -> None:
    with Map.create(DISPATCH_SHAPE) as array, closing(load_dispatcher(array)) as program:
        program.pin(path)


def nothing(path: Path) -> None:
    del path


def in_place_of(path: Path, put: Put) -> None:
    if put is not a_map_of_the_same_sizes:
        path.unlink()
    put(path)


def pipeline_pins(device: Killable) -> Path:
    (found,) = (device.state / "bpf").glob("pipeline_*")
    return found


@pytest.mark.parametrize(
    ("name", "put"),
    [
        *product(
            ("arp", "connections_ipv4", "tables_side", "backends_ipv4_ring"),
            (a_map, a_map_of_the_same_sizes, a_program, nothing),
        ),
        *product(("connections_ipv4_counts", "connections_ipv4_tags", "backends_ipv4_member"), (a_map, nothing)),
    ],
)
def test_in_the_place_of_a_map_of_a_pipeline(device: Killable, ports: Topology, name: str, put: Put) -> None:
    """All that the journal has is there again, and new connections."""
    client = device.primary(100)
    entries: State = {("arp", number): (number,) for number in range(3)}
    client.write_request(request_for(entries, {}, CONTINUE))
    before = state(client)
    client.close()
    device.kill()
    in_place_of(next(pipeline_pins(device).glob(name)), put)
    device.start()
    assert "Traceback" not in device.said
    assert "the maps of pipeline turnout are not all there as they were: all entries are written anew" in device.said
    if put is not nothing:
        assert f"the pin {name} of pipeline_1 is passed over: it is " in device.said
    client = device.primary(101)
    assert state(client) == before
    client.close()
    new_connection_goes_on(ports)


def refused(device: Killable, *words: str) -> None:
    """The device does not start, with one line; all its pins are as they were."""
    pins = device.state / "bpf"
    before = sorted((str(path), path.stat().st_ino) for path in pins.rglob("*"))
    with pytest.raises(AssertionError):
        device.start()
    last = device.said.splitlines()[-1]
    begin = f"turnout device: error: {pins} holds what no device of Turnout leaves: "
    end = "; nothing is changed, packets pass as they did; --clean removes all of it"
    assert (last[: len(begin)], last[-len(end) :]) == (begin, end), device.said
    assert last[len(begin) : -len(end)] == "; ".join(words)
    assert "Traceback" not in device.said
    assert sorted((str(path), path.stat().st_ino) for path in pins.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("dispatch_tc", "a map of type prog_array with keys of 4 and values of 4 bytes, 1 at most"),
        ("dispatch_whole", "a map of type prog_array with keys of 4 and values of 4 bytes, 1 at most"),
        ("egress", "a map of type array with keys of 4 and values of 8 bytes, 512 at most"),
        ("port_of_ifindex", "a map of type array with keys of 4 and values of 8 bytes, 65536 at most"),
        ("port_of_other_ifindex", "a map of type hash with keys of 4 and values of 4 bytes, 1024 at most"),
        ("port_16", "a link"),
    ],
)
def test_in_the_place_of_a_pin_of_the_device(device: Killable, ports: Topology, name: str, wanted: str) -> None:
    device.kill()
    pins = device.state / "bpf"
    for put, found in (
        (a_map, "a map of type hash with keys of 3 and values of 5 bytes, 7 at most"),
        (a_program, "a program"),
    ):
        in_place_of(pins / name, put)
        refused(device, f"{name} is {found}, not {wanted}")
    device.start("--clean")
    assert "an earlier run left" in device.said
    client = Client(device.address)
    assert not client.get_config().HasField("config")
    client.close()


def test_names_that_are_nobodys(device: Killable, ports: Topology, passing: Talk) -> None:
    device.kill()
    pins = device.state / "bpf"
    for name in ("notes", "port_16x", "away_x", "pipeline_x"):
        a_map(pins / name)
    (pins / "mine").mkdir()
    a_map(pins / "mine" / "arp")
    (pins / "pipeline_1" / "mine").mkdir()
    device.start()
    assert "what is no pin of this device is left as it is: away_x, mine, notes, pipeline_x, port_16x" in device.said
    assert "goes on with it" in device.said
    assert passing.goes_on()
    assert (pins / "mine" / "arp").exists()


def test_of_another_user(device: Killable, ports: Topology, passing: Talk) -> None:
    """Who may write to what a device takes over decides where its packets go."""
    device.kill()
    pins = device.state / "bpf"
    for path in (pins / "dispatch_tc", pins / "pipeline_1" / "arp", pins / "pipeline_1"):
        os.chown(path, NOBODY, -1)
        refused(device, f"{path.relative_to(pins)} belongs to user nobody")
        os.chown(path, 0, -1)
    assert passing.goes_on()
    device.start()
    assert "goes on with it" in device.said
    assert passing.goes_on()


def test_a_folder_of_another_user(device: Killable, ports: Topology, passing: Talk) -> None:
    device.kill()
    for path in (device.state, device.state / "journal", next((device.state / "journal").glob("*.log"))):
        os.chown(path, NOBODY, -1)
        with pytest.raises(AssertionError):
            device.start()
        words = f"{path} belongs to user nobody, who could change what the device goes on with (chown it)"
        assert device.said.splitlines()[-1] == f"turnout device: error: state directory {device.state}: {words}"
        os.chown(path, 0, -1)
    assert passing.goes_on()
    device.start()
    assert passing.goes_on()


def test_a_place_that_was_emptied(device: Killable, ports: Topology) -> None:
    device.kill()
    remove_tree(pipeline_pins(device))
    device.start()
    assert "Traceback" not in device.said
    new_connection_goes_on(ports)
