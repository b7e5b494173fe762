"""finsy and p4runtime-shell with what controllers call things: ports, references and restrictions; and with backups."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import finsy as fy
import pytest
from finsy.p4entity import P4BackupReplica, P4Replica

from compiler.ir.nodes import Pipeline
from tests.conformance.naming import BEHIND, named_pipeline
from tests.conformance.referring import referring_pipeline
from tests.conformance.test_replication import TO_GROUP, TO_PORT
from tests.conformance.test_replication import frame as copied_frame
from tests.conformance.test_translation import frame
from tests.conformance.wired import SILENCE_S, WiredDevice
from tests.peers.driving import shell_on, started
from tests.peers.finsyclient import options, read_all
from tests.pipelines.replicating import naming, replicating

pytestmark = [pytest.mark.peer, pytest.mark.slow]
SCRIPT = Path(__file__).with_name("values_session.py")
Session = Callable[[fy.Switch, WiredDevice], Coroutine[Any, Any, None]]
INVALID, IN_USE = 3, 9
PORTS_BY_NUMBER = "the ports are 1, 17, 4294967293, 65552"
NEXT_HOP = "table next_hop, entry id=0x5"
NEIGHBOR = "table neighbor, entry interface=0x1, address=0xa"
INTERFACE = "table interface, entry id=0x1"
TO_INTERFACE = "it refers to table interface, id=0x1, and there is none"
EARLY = "table route, entry dst=0x4d/32: it refers to table next_hop, id=0x5, and there is none"
IN_THE_WAY = [
    f"{INTERFACE}: it is in use (2 references)",
    f"{NEIGHBOR}: it is in use (1 references)",
    f"{NEXT_HOP}: it is in use (1 references)",
]
ARGUMENT = (
    "table interface: violates the @action_restriction of action leave_by: 'port < 509', where port::value = 0x1fd"
)
RESTRICTION = (
    "table filter, entry interface=*, mark=0x0&0x0 priority 1: violates the table's @entry_restriction: "
    "'interface::mask == 0 -> mark::mask != 0', where interface::mask = 0x0, mark::mask = 0x0"
)
NO_GROUP = "table route, entry dst=0x4e/32: it refers to multicast group 9, and there is none"


def with_finsy(folder: Path, pipeline: Pipeline, session: Session) -> None:
    with started(pipeline, folder, BEHIND) as (device, files):

        async def play() -> None:
            async with fy.Switch("device", device.address, options(files, 5)) as switch:
                await session(switch, device)

        asyncio.run(play())


def entry(table: str, match: dict[str, Any], action: str, **arguments: Any) -> fy.P4TableEntry:
    return fy.P4TableEntry(table, match=fy.P4TableMatch(match), action=fy.P4TableAction(action, **arguments))


async def refused(change: Coroutine[Any, Any, None]) -> list[tuple[int, str]]:
    with pytest.raises(fy.P4ClientError) as found:
        await change
    return [(int(one.canonical_code), one.message) for one in found.value.details.values()]


def comes_out(device: WiredDevice, sent: bytes, wanted: bytes, *ports: int) -> None:
    """By these ports and by no others."""
    device.wire.send(1, sent)
    assert [device.wire.receive(port) for port in ports] == [wanted] * len(ports)
    assert [device.wire.receive(port, SILENCE_S) for port in (1, 16, 17)] == [None] * 3


def moves(device: WiredDevice, sent: bytes, wanted: bytes, to: int) -> None:
    """Copies leave by this port, as soon as the device has heard of the links."""
    end = time.monotonic() + 60
    device.wire.send(16, sent)
    while (came := device.wire.receive(to, SILENCE_S)) != wanted:
        assert came is None
        assert time.monotonic() < end
        device.wire.send(16, sent)


# values


def test_finsy_ports_by_name(tmp_path: Path) -> None:
    """And strings that the device finds numbers for, and numbers larger than those of packets."""

    async def session(switch: fy.Switch, device: WiredDevice) -> None:
        written = [
            entry("vrf", {"vrf": "red"}, "miss"),
            entry("port", {"port": "up1"}, "set_vrf", vrf="red"),
            entry("route", {"vrf": "red", "dst": "0.0.0.5"}, "leave_by", port="web", **{"class": 0x10000001}),
        ]
        await switch.insert(written)
        found = [one for table in ("vrf", "port", "route") for one in await read_all(switch, fy.P4TableEntry(table))]
        assert [dict(one.match) | one.action.args for one in found] == [
            {"vrf": "red"},
            {"port": "up1", "vrf": "red"},
            {"vrf": "red", "dst": IPv4Address("0.0.0.5"), "port": "web", "class": 0x10000001},
        ]
        comes_out(device, frame(5), frame(5), 16)
        unknown = entry("port", {"port": "rep16"}, "set_vrf", vrf="red")
        words = "there is no port 'rep16'; the ports are 'cache', 'cpu', 'up1', 'web'"
        assert await refused(switch.insert([unknown])) == [(INVALID, f"table port, match field port: {words}")]

    with_finsy(tmp_path, named_pipeline(), session)


def test_finsy_ports_by_number(tmp_path: Path) -> None:
    async def session(switch: fy.Switch, device: WiredDevice) -> None:
        group = fy.P4MulticastGroupEntry(5, replicas=[P4Replica(0x10010, instance=1), 17])
        clone = fy.P4CloneSessionEntry(6, replicas=[(0xFFFFFFFD, 7)])
        to_port = entry("destination", {"address": TO_PORT}, "to_port", port=0x10010)
        await switch.insert([to_port, entry("destination", {"address": TO_GROUP}, "to_group", group=5), group, clone])
        found = await read_all(switch, fy.P4MulticastGroupEntry(), fy.P4CloneSessionEntry())
        assert [one.replicas for one in found] == [
            (P4Replica(0x10010, instance=1), 17),
            (P4Replica(0xFFFFFFFD, instance=7),),
        ]
        comes_out(device, copied_frame(TO_PORT), copied_frame(TO_PORT, ttl=63), 16)
        comes_out(device, copied_frame(TO_GROUP), copied_frame(TO_GROUP, ttl=63), 16, 17)
        strange = fy.P4MulticastGroupEntry(7, replicas=[16])
        words = f"multicast group 7, replica 1: there is no port 16; {PORTS_BY_NUMBER}"
        assert await refused(switch.insert([strange])) == [(INVALID, words)]

    with_finsy(tmp_path, naming("32"), session)


def test_shell_ports_by_number(tmp_path: Path, python_of_shell: Path) -> None:
    """It makes a number of every value, so that it has no word for ports by name."""
    with (
        started(naming("32"), tmp_path, BEHIND) as (device, files),
        shell_on(python_of_shell, SCRIPT, device, files, "by_number") as found,
    ):
        comes_out(device, copied_frame(TO_PORT), copied_frame(TO_PORT, ttl=63), 16)
        assert found == {
            "entries": [[["020000000003"], ["010010"]]],
            "groups": [[0x10010, 1], [17, 2]],
            "sessions": [[0xFFFFFFFD, 7]],
            "refused": [
                [
                    INVALID,
                    f"table destination: action to_port, parameter port: there is no port 16; {PORTS_BY_NUMBER}",
                ],
                [INVALID, f"multicast group 7, replica 1: there is no port 16; {PORTS_BY_NUMBER}"],
            ],
        }


# backups


def test_finsy_backup_replicas(tmp_path: Path) -> None:
    async def session(switch: fy.Switch, device: WiredDevice) -> None:
        backed = P4Replica(17, instance=1, backup_replicas=[P4BackupReplica(1, instance=5), P4BackupReplica(16)])
        group = fy.P4MulticastGroupEntry(5, replicas=[backed])
        clone = fy.P4CloneSessionEntry(6, replicas=[backed])
        await switch.insert([entry("destination", {"address": TO_GROUP}, "to_group", group=5), group, clone])
        found = await read_all(switch, fy.P4MulticastGroupEntry(), fy.P4CloneSessionEntry())
        assert [one.replicas for one in found] == [(backed,), (backed,)]
        came, left = copied_frame(TO_GROUP), copied_frame(TO_GROUP, ttl=63)
        for to, port, is_up in ((17, 17, True), (1, 17, False), (16, 1, False), (17, 17, True)):
            device.wire.set_link(port, is_up=is_up)
            await asyncio.to_thread(moves, device, came, left, to)

    with_finsy(tmp_path, replicating(), session)


def test_shell_backup_replicas(tmp_path: Path, python_of_shell: Path) -> None:
    """Beneath: its messages are of P4Runtime 1.4."""
    with (
        started(replicating(), tmp_path, BEHIND) as (device, files),
        shell_on(python_of_shell, SCRIPT, device, files, "backups") as found,
    ):
        assert bytes.fromhex("22050a01011005") in bytes.fromhex(found)
        came, left = copied_frame(TO_GROUP), copied_frame(TO_GROUP, ttl=63)
        moves(device, came, left, 17)
        device.wire.set_link(17, is_up=False)
        moves(device, came, left, 1)


# references and restrictions


def test_finsy_references_and_restrictions(tmp_path: Path) -> None:
    async def session(switch: fy.Switch, device: WiredDevice) -> None:
        del device
        chain = [
            entry("interface", {"id": 1}, "leave_by", port=1),
            entry("neighbor", {"interface": 1, "address": 10}, "resolve", mac=2),
            entry("next_hop", {"id": 5}, "set_next_hop", interface=1, address=10),
            entry("route", {"dst": "0.0.0.77"}, "to_next_hop", id=5),
        ]
        assert await refused(switch.insert([chain[3]])) == [(INVALID, EARLY)]
        await switch.insert(chain)
        for words, one in zip(IN_THE_WAY, chain, strict=False):
            assert await refused(switch.delete([one])) == [(IN_USE, words)]
        argument = await refused(switch.insert([entry("interface", {"id": 2}, "leave_by", port=509)]))
        filtered = fy.P4TableEntry("filter", priority=1, action=fy.P4TableAction("allow"))
        restriction = await refused(switch.insert([filtered]))
        assert [argument, restriction] == [[(INVALID, ARGUMENT)], [(INVALID, RESTRICTION)]]
        to_group = entry("route", {"dst": "0.0.0.78"}, "to_group", group=9)
        assert await refused(switch.insert([to_group])) == [(INVALID, NO_GROUP)]
        await switch.delete(list(reversed(chain)))

    with_finsy(tmp_path, referring_pipeline(), session)


def test_shell_references_and_restrictions(tmp_path: Path, python_of_shell: Path) -> None:
    with (
        started(referring_pipeline(), tmp_path, BEHIND) as (device, files),
        shell_on(python_of_shell, SCRIPT, device, files, "chained") as found,
    ):
        assert found == {
            "early": [
                [[INVALID, EARLY]],
                [[INVALID, f"{NEXT_HOP}: {TO_INTERFACE}"]],
                [[INVALID, f"{NEIGHBOR}: {TO_INTERFACE}"]],
                [],
            ],
            "inserted": [[], [], []],
            "deleted": [*([[IN_USE, words]] for words in IN_THE_WAY), []],
            "entry": [[INVALID, RESTRICTION]],
            "arguments": [[INVALID, ARGUMENT]],
            "group": [[INVALID, NO_GROUP]],
        }
