"""Members of groups and actions of sets that watch a port: who gets packets while a link is down, on both targets."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.conformance.client import Client, RpcRefusedError, entity
from tests.conformance.conftest import TARGETS
from tests.conformance.kernel import PORTS, Topology, add_port, config_of, topology
from tests.conformance.killing import Killable
from tests.conformance.wired import SILENCE_S, KernelWire, WiredDevice, wired
from tests.pipelines.spreading import spreading

MEMBER = r'action_profile_member { action_profile_id: 0x11000001 member_id: %d action { action_id: 0x01000002 params { param_id: 1 value: "\%03o" } } }'  # noqa: E501
GROUP = "action_profile_group { action_profile_id: 0x11000001 group_id: 1 max_size: 9 %s }"
ENTRY = r'table_entry { table_id: 0x02000001 match { field_id: 1 exact { value: "\210\265" } } action { %s } }'
TO_GROUP = ENTRY % "action_profile_group_id: 1"
SOURCES = range(1, 61)
INVALID, UNIMPLEMENTED = 3, 12
PREFIX = "cfw"


def group(*members: str) -> str:
    return GROUP % " ".join(f"members {{ {one} }}" for one in members)


def action(port: int, weight: int, watch: str) -> str:
    call = rf'action {{ action_id: 0x01000002 params {{ param_id: 1 value: "\{port:03o}" }} }}'
    return f"action_profile_actions {{ {call} weight: {weight} {watch} }}"


def action_set(*actions: str) -> str:
    return ENTRY % f"action_profile_action_set {{ {' '.join(actions)} }}"


WATCHING = (
    r'member_id: 1 weight: 1 watch_port: "\001"',
    r'member_id: 16 weight: 2 watch_port: "\020"',
    "member_id: 17 weight: 1 watch: 17",
)
MEMBERS = [MEMBER % (port, port) for port in (1, 16, 17)]


def frame(source: int) -> bytes:
    return bytes.fromhex("020000000001") + source.to_bytes(6, "big") + b"\x88\xb5" + bytes(46)


@dataclass
class Spread:
    """A device with the pipeline, its primary, and its ports."""

    device: WiredDevice
    client: Client
    down: set[int] = field(default_factory=lambda: set[int]())

    def set_link(self, port: int, *, up: bool) -> None:
        self.device.wire.set_link(port, is_up=up)
        (self.down.discard if up else self.down.add)(port)

    def ways(self) -> dict[int, int]:
        """By source, the port that its packets go out of. Packets come in by the first port that is up."""
        into = next(port for port in (1, 16, 17) if port not in self.down)
        found: dict[int, int] = {}
        for source in SOURCES:
            self.device.wire.send(into, frame(source))
        for port in {1, 16, 17} - self.down:
            while len(found) < len(SOURCES) and (came := self.device.wire.receive(port, SILENCE_S)) is not None:
                source = int.from_bytes(came[6:12], "big")
                assert came == frame(source)
                found[source] = port
        return found

    def remove_interface(self, ports: Topology, port: int) -> None:
        subprocess.run(["ip", "-n", ports.namespace, "link", "del", PORTS[port]], check=True)
        self.down.add(port)

    @property
    def dropped(self) -> int:
        """Packets that nobody was there for."""
        (found,) = self.client.read("counter_entry { counter_id: 0x12000001 index { index: 1 } }")
        return found.counter_entry.data.packet_count

    def wait_for(self, wanted: set[int]) -> dict[int, int]:
        """The ways, once they lead to no other ports than these."""
        end = time.monotonic() + 5
        while set((ways := self.ways()).values()) != wanted:
            assert time.monotonic() < end, ways
        return self.ways()  # the change came between two packets of the last round, maybe


@pytest.fixture(params=TARGETS)
def spread(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Spread]:
    with wired(request.param, spreading(), tmp_path, PREFIX) as device:
        client = Client(device.address)
        client.become_primary(1)
        client.set_config("VERIFY_AND_COMMIT", device.config)
        yield Spread(device, client)
        client.close()


PROGRAMS = [
    pytest.param([*MEMBERS, group(*WATCHING), TO_GROUP], id="group"),
    pytest.param(
        [
            action_set(
                action(1, 1, r'watch_port: "\001"'), action(16, 2, "watch: 16"), action(17, 1, r'watch_port: "\021"')
            )
        ],
        id="set",
    ),
]


@pytest.mark.parametrize("entities", PROGRAMS)
def test_only_packets_of_a_member_whose_port_is_down_go_elsewhere(spread: Spread, entities: list[str]) -> None:
    for text in entities:
        spread.client.write(f"INSERT {text}")
    everything = ("table_entry { }", "action_profile_member { }", "action_profile_group { }")
    written = spread.client.read(*everything)
    before = spread.wait_for({1, 16, 17})
    spread.set_link(17, up=False)
    without = spread.wait_for({1, 16})
    assert {source: way for source, way in before.items() if way != 17}.items() <= without.items()
    spread.set_link(16, up=False)
    assert spread.wait_for({1}) == dict.fromkeys(SOURCES, 1)
    assert spread.client.read(*everything) == written
    spread.set_link(17, up=True)
    spread.wait_for({1, 17})
    spread.set_link(16, up=True)
    assert spread.wait_for({1, 16, 17}) == before


def test_a_group_whose_ports_are_all_down_is_empty(spread: Spread) -> None:
    for text in (*MEMBERS, group(WATCHING[1], WATCHING[2]), TO_GROUP):
        spread.client.write(f"INSERT {text}")
    before = spread.wait_for({16, 17})
    spread.set_link(16, up=False)
    spread.set_link(17, up=False)
    end = time.monotonic() + 5
    while spread.dropped < len(SOURCES):  # by the pipeline; before that, by the links
        assert spread.ways() == {}
        assert time.monotonic() < end
    spread.client.write(f"MODIFY {group(*WATCHING[1:], 'member_id: 1 weight: 1')}")
    assert spread.wait_for({1}) == dict.fromkeys(SOURCES, 1)
    spread.client.write(f"MODIFY {group(WATCHING[1], WATCHING[2])}")
    for port in (16, 17):
        spread.set_link(port, up=True)
    assert spread.wait_for({16, 17}) == before


def test_a_group_is_made_by_the_links_as_they_are(spread: Spread) -> None:
    """Whoever comes after the link went down: a new group, a changed member, a new pipeline, the same one again."""
    spread.set_link(16, up=False)
    for text in (*MEMBERS, group(*WATCHING), TO_GROUP):
        spread.client.write(f"INSERT {text}")
    ways = spread.wait_for({1, 17})
    spread.client.write(f"MODIFY {MEMBER % (1, 17)}")
    assert spread.wait_for({17}) == dict.fromkeys(SOURCES, 17)
    spread.client.write(f"MODIFY {MEMBERS[0]}")
    spread.client.set_config("RECONCILE_AND_COMMIT", spread.device.config)
    assert spread.wait_for({1, 17}) == ways
    spread.client.set_config("VERIFY_AND_SAVE", spread.device.config)
    for text in (*MEMBERS, group(*WATCHING), TO_GROUP):
        spread.client.write(f"INSERT {text}")
    spread.client.set_config("COMMIT")
    assert spread.wait_for({1, 17}) == ways
    spread.set_link(16, up=True)
    spread.wait_for({1, 16, 17})


def test_what_is_written_is_read(spread: Spread) -> None:
    for text in MEMBERS:
        spread.client.write(f"INSERT {text}")
    odd = (r'member_id: 16 weight: 2 watch_port: "\000\000\020"', 'member_id: 1 weight: 1 watch_port: ""')
    spread.client.write(f"INSERT {group(*odd, 'member_id: 17 weight: 1 watch: 0')}")
    told = group(r'member_id: 16 weight: 2 watch_port: "\020"', odd[1], "member_id: 17 weight: 1 watch: 0")
    assert spread.client.read("action_profile_group { }") == [entity(told)]


WRONG = [
    (r'watch_port: "\002"', INVALID, "watch_port 2: this device has no such port", "kernel"),
    (r'watch_port: "\002\000"', INVALID, "watch_port 512: this device has no such port", "both"),
    ("watch: 512", INVALID, "watch 512: this device has no such port", "both"),
    ("watch: -1", INVALID, "watch -1: a port is not negative", "both"),
    (r'watch_port: "\000"', INVALID, "watch_port: 0 is no port; empty bytes say that none is watched", "both"),
    (r'watch_port: "\001\000\000\000\000"', INVALID, "watch_port: value 0x0100000000 does not fit in 32 bits", "both"),
    (
        r'watch_port: "\001\375"',
        UNIMPLEMENTED,
        "watch_port 509: the controller's port has no link that could be watched",
        "both",
    ),
]


def test_ports_that_cannot_be_watched(spread: Spread) -> None:
    spread.client.write(f"INSERT {MEMBERS[0]}")
    for watch, code, text, target in WRONG:
        if target not in ("both", spread.device.target):
            continue
        with pytest.raises(RpcRefusedError) as refused:
            spread.client.write(f"INSERT {group(f'member_id: 1 weight: 1 {watch}')}")
        joint = ", " if text.startswith("watch_port:") else ": "
        assert refused.value.errors == [(code, f"action profile ways, group 1, member 1{joint}{text}")]
    spread.client.write(f"DELETE {MEMBERS[0]}")
    for watch, code, text, target in WRONG:
        if target not in ("both", spread.device.target):
            continue
        with pytest.raises(RpcRefusedError) as refused:
            spread.client.write(f"INSERT {action_set(action(1, 1, watch))}")
        joint = ", " if text.startswith("watch_port:") else ": "
        assert refused.value.errors == [(code, f"table way, action set{joint}{text}")]


@pytest.mark.root
@pytest.mark.slow
def test_a_device_that_starts_again_and_interfaces_that_go(tmp_path: Path) -> None:
    """Groups are made by the links as they are then, whatever they were before; nobody has to write them again."""
    with topology(PREFIX) as ports, Killable(tmp_path, ports) as killable, ExitStack() as held:
        killable.start()
        wire = KernelWire(ports, held)
        config = config_of(spreading(), "kernel")
        device = WiredDevice(target="kernel", address=killable.address, config=config, wire=wire, log=killable.log)
        spread = Spread(device, killable.primary())
        spread.client.set_config("VERIFY_AND_COMMIT", config)
        for text in (*MEMBERS, group(*WATCHING), TO_GROUP):
            spread.client.write(f"INSERT {text}")
        before = spread.wait_for({1, 16, 17})
        written = spread.client.read("action_profile_group { }")
        spread.client.close()

        killable.kill()
        spread.set_link(17, up=False)
        killable.start()
        spread.client = killable.primary()
        spread.wait_for({1, 16})
        assert spread.client.read("action_profile_group { }") == written

        spread.remove_interface(ports, 16)
        assert spread.wait_for({1}) == dict.fromkeys(SOURCES, 1)
        spread.client.close()
        killable.kill()
        spread.set_link(17, up=True)
        killable.start()
        spread.client = killable.primary()
        spread.wait_for({1, 17})

        add_port(ports, 16)
        spread.down.remove(16)
        device = replace(device, wire=KernelWire(ports, held))
        spread.device = device
        assert spread.wait_for({1, 16, 17}) == before
        assert spread.client.read("action_profile_group { }") == written

        spread.client.close()
        killable.end()
        killable.start(ports=["1=up1", "16=rep16"])  # 17 is no port any more: who watches it has no part
        spread.client = killable.primary()
        spread.wait_for({1, 16})
        assert spread.client.read("action_profile_group { }") == written
        spread.client.close()
