"""Backups of replicas: where copies go while links are down ("MulticastGroupEntry"), on both targets."""

# ruff: noqa: E501  a row of a table is one line

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from finsy.proto import p4r
from google.protobuf import text_format

from tests.conformance.client import Client, RpcRefusedError
from tests.conformance.conftest import TARGETS
from tests.conformance.kernel import config_of, topology
from tests.conformance.killing import Killable
from tests.conformance.test_replication import (
    ALL,
    CLONED,
    EXHAUSTED,
    FLOODED,
    INVALID,
    TO_GROUP,
    TO_PORT,
    frame,
    group,
    mirrored,
    replica,
    sent,
    session,
)
from tests.conformance.wired import SILENCE_S, KernelWire, WiredDevice, wired
from tests.pipelines.replicating import replicating

PREFIX, PATIENCE_S = "cbr", 60
PORTS = {1, 16, 17}


def backup(port: int, instance: int = 0) -> str:
    return f"backup_{replica(port, instance)}"


@dataclass
class Backed:
    """A device, its primary, and the ports whose links are down."""

    device: WiredDevice
    client: Client
    down: set[int] = field(default_factory=lambda: set[int]())

    def set_link(self, port: int, *, up: bool) -> None:
        self.device.wire.set_link(port, is_up=up)
        (self.down.discard if up else self.down.add)(port)

    def ways(self, dst: str = TO_GROUP, silence_s: float = SILENCE_S) -> set[int]:
        """The ports that a copy of one packet comes out of."""
        self.device.wire.send(16, frame(dst, CLONED))
        found: set[int] = set()
        for port in PORTS - self.down:
            while self.device.wire.receive(port, silence_s) is not None:
                found.add(port)
        return found

    def wait_for(self, *wanted: int, dst: str = TO_GROUP) -> None:
        """Copies leave by these ports and by no others, as soon as the device has heard of the links."""
        end, silence_s = time.monotonic() + PATIENCE_S, 0.01
        while not (ways := self.ways(dst, silence_s)) == self.ways(dst, max(silence_s, 0.1)) == set(wanted):
            assert time.monotonic() < end, ways
            silence_s = min(2 * silence_s, SILENCE_S)


@pytest.fixture(scope="module", params=TARGETS)
def device(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[WiredDevice]:
    with wired(request.param, replicating(), tmp_path_factory.mktemp("backups"), PREFIX) as made:
        yield made


@pytest.fixture
def backed(device: WiredDevice, next_id: int) -> Generator[Backed]:
    client = Client(device.address)
    client.become_primary(next_id)
    client.set_config("VERIFY_AND_COMMIT", device.config)
    entries = (sent(TO_GROUP, 0x01000003, 5), sent(FLOODED, 0x01000004, 5), sent(TO_PORT, 0x01000002, 300))
    client.write(*entries)
    made = Backed(device, client)
    yield made
    for port in tuple(made.down):
        made.set_link(port, up=True)
    client.close()


def test_the_first_port_that_is_up_gets_the_copy(backed: Backed) -> None:
    written = group(5, replica(17, 1, backup(1, 5) + backup(16, 6)))
    backed.client.write(f"INSERT {written}")
    backed.wait_for(17)
    backed.set_link(17, up=False)
    backed.wait_for(1)
    backed.set_link(1, up=False)
    backed.wait_for(16)
    backed.set_link(1, up=True)
    backed.wait_for(1)
    assert backed.client.read(ALL) == [text_format.Parse(written, p4r.Entity())]
    backed.set_link(17, up=True)
    backed.wait_for(17)


def test_with_all_ports_down_there_is_no_copy(backed: Backed) -> None:
    """And the group has replicas all the same: the packet is not dropped as one to an empty group."""
    backed.client.write(f"INSERT {group(5, replica(17, 1, backup(1)))}")
    for port in (17, 1):
        backed.set_link(port, up=False)
    backed.wait_for()
    (cell,) = backed.client.read("counter_entry { counter_id: 0x12000001 index { index: 2 } }")
    assert cell.counter_entry.data.packet_count == 0
    backed.set_link(1, up=True)
    backed.wait_for(1)


def test_a_backup_does_not_lead_back(backed: Backed) -> None:
    """A flooded packet leaves by no port that it came in by, whichever replica's it is at that time."""
    backed.client.write(f"INSERT {group(5, replica(17, 1, backup(16)), replica(1))}")
    backed.wait_for(1, 17, dst=FLOODED)
    backed.set_link(17, up=False)
    backed.wait_for(1, 16)
    backed.wait_for(1, dst=FLOODED)


def test_clones_follow_links_too(backed: Backed) -> None:
    backed.client.write(
        mirrored(CLONED, 5), f"INSERT {session(5, replica(17, 0, backup(1)), 'packet_length_bytes: 64')}"
    )
    backed.wait_for(17, dst=TO_PORT)
    backed.set_link(17, up=False)
    backed.wait_for(1, dst=TO_PORT)


def test_groups_are_made_by_the_links_as_they_are(backed: Backed) -> None:
    """Whoever comes after a link went down: a new group, a changed one, a deleted one, the pipeline again."""
    backed.set_link(17, up=False)
    written = group(5, replica(17, 1, backup(1)))
    backed.client.write(f"INSERT {written}")
    backed.wait_for(1)
    backed.client.write(f"MODIFY {group(5, replica(17, 1, backup(16)))}")
    backed.wait_for(16)
    backed.client.write(f"MODIFY {group(5, replica(16))}")
    assert backed.ways() == {16}
    backed.set_link(17, up=True)
    backed.client.write(f"MODIFY {written}")
    backed.wait_for(17)
    backed.set_link(17, up=False)
    backed.client.set_config("RECONCILE_AND_COMMIT", backed.device.config)
    backed.wait_for(1)
    backed.client.write(f"DELETE {group(5)}")
    backed.set_link(17, up=True)
    assert backed.ways() == set()
    assert backed.client.read(ALL) == []


@pytest.mark.parametrize("atomicity", ["ROLLBACK_ON_ERROR", "DATAPLANE_ATOMIC"])
def test_a_batch_that_fails_leaves_backups_as_they_were(backed: Backed, atomicity: str) -> None:
    written = group(5, replica(17, 1, backup(1)))
    backed.client.write(f"INSERT {written}", f"INSERT {session(4, replica(17))}")
    updates = (f"MODIFY {group(5, replica(17, 1, backup(16)))}", f"DELETE {session(4)}", f"DELETE {group(5)}")
    with pytest.raises(RpcRefusedError):
        backed.client.write(*updates, f"DELETE {group(77)}", atomicity=atomicity)
    backed.set_link(17, up=False)
    backed.wait_for(1)
    backed.client.write(f"MODIFY {group(5, replica(17, 1, backup(16)))}", atomicity=atomicity)
    backed.wait_for(16)


def test_a_port_that_there_is_none_of_is_down(backed: Backed) -> None:
    """The model has every port from the start; the kernel those that it was given."""
    backed.client.write(f"INSERT {group(5, replica(300, 1, backup(1)))}")
    assert backed.ways() == (set() if backed.device.target == "model" else {1})
    backed.client.write(f"MODIFY {group(5, replica(17, 1, backup(300) + backup(1)))}")
    backed.set_link(17, up=False)
    if backed.device.target == "model":
        backed.set_link(300, up=False)
    backed.wait_for(1)


MANY = " ".join(backup(100 + at) for at in range(17))
REFUSED = [
    (replica(17, 1, backup(16) + backup(17, 2)), INVALID, "replica 1, backup 2: port 17 is that of the replica itself"),
    (replica(17, 1, backup(16, 3) + backup(16, 3)), INVALID, "replica 1, backup 2: port 16 has instance 3 already"),
    (replica(17, 1, backup(16, 3)) + replica(16, 3), INVALID, "replica 2: port 16 has instance 3 already"),
    (replica(16, 3) + replica(17, 1, backup(16, 3)), INVALID, "replica 2, backup 1: port 16 has instance 3 already"),
    (replica(17, 1, "backup_replicas { instance: 1 }"), INVALID, "replica 1, backup 1: port 0 is not within 1 to 511"),
    (replica(17, 1, r'backup_replicas { port: "\x02\x00" }'), INVALID, "replica 1, backup 1: port 512 is not within 1 to 511"),
    (replica(17, 1, backup(16, 65536)), INVALID, "replica 1, backup 1: instance 65536 is above 65535"),
    (replica(17, 1, MANY), EXHAUSTED, "replica 1: 17 backup_replicas, at most 16 are possible"),
]  # fmt: skip


def test_backups_that_cannot_be(backed: Backed) -> None:
    for replicas, code, text in REFUSED:
        for update, named in (
            (f"INSERT {group(3, replicas)}", "multicast group"),
            (f"INSERT {session(3, replicas)}", "clone session"),
        ):
            with pytest.raises(RpcRefusedError) as refused:
                backed.client.write(update)
            assert refused.value.errors == [(code, f"{named} 3, {text}")]
    assert backed.client.read(ALL) == []


def test_what_may_be(backed: Backed) -> None:
    """Backups of one port that differ in their instance, of two replicas each other's, the controller's port, and spellings."""
    written = (
        group(1, replica(17, 1, backup(16, 1) + backup(16, 2)), replica(16, 3, backup(17, 2))),
        session(1, replica(509, 1, backup(17)), replica(17, 3, r'backup_replicas { port: "\x01\xfd" instance: 4 }')),
        session(2, f"replicas {{ egress_port: 17 {backup(16)} }}"),
    )
    backed.client.write(*(f"INSERT {one}" for one in written))
    assert backed.client.read(ALL) == [text_format.Parse(one, p4r.Entity()) for one in written]
    backed.client.write(f"MODIFY {written[2]}".replace(r"\x10", r"\x00\x00\x10"))
    assert backed.client.read(ALL)[2] == text_format.Parse(written[2], p4r.Entity())


@pytest.mark.root
@pytest.mark.slow
def test_a_device_that_starts_again(tmp_path: Path) -> None:
    """Copies go by the links as they are then, whatever they were before; nobody has to write the group again."""
    with topology("cbs") as ports, Killable(tmp_path, ports) as killable, ExitStack() as held:
        killable.start()
        config = config_of(replicating(), "kernel")
        wire = KernelWire(ports, held)
        device = WiredDevice(target="kernel", address=killable.address, config=config, wire=wire, log=killable.log)
        backed = Backed(device, killable.primary())
        backed.client.set_config("VERIFY_AND_COMMIT", config)
        backed.client.write(sent(TO_GROUP, 0x01000003, 5), f"INSERT {group(5, replica(17, 1, backup(1)))}")
        backed.wait_for(17)
        written = backed.client.read(ALL)
        backed.client.close()

        killable.kill()
        backed.set_link(17, up=False)
        assert backed.ways() == set()
        killable.start()
        backed.client = killable.primary()
        backed.wait_for(1)
        assert backed.client.read(ALL) == written
        backed.client.close()

        killable.kill()
        backed.set_link(17, up=True)
        killable.start()
        backed.client = killable.primary()
        backed.wait_for(17)
        backed.client.close()
