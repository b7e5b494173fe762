"""finsy, which is not written here, drives a device: an asynchronous client that keeps its connection up by itself."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import finsy as fy
import pytest

from compiler.pipeline.assembly import VERSION, pipeline
from tests.peers.conftest import Files
from tests.peers.finsyclient import all_made, everything_in, made, options, plain, read_all
from tests.peers.handwritten import (
    NETWORK,
    SERVICE,
    Entry,
    Group,
    Member,
    backend,
    call,
    everything,
    service,
    workloads,
)
from tests.peers.processes import PacketDevice, model_device
from tests.peers.traffic import connect

pytestmark = [pytest.mark.peer, pytest.mark.slow]
VERSIONS = (4, 6)
UP_AGAIN_S = 40


@pytest.fixture
def election(files: Files, next_election_id: int) -> fy.SwitchOptions:
    """Options of a client that loads the pipeline, so that nothing is in its tables."""
    return options(files, next_election_id)(p4force=True)


def in_order(found: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(one, sort_keys=True) for one in found)


def test_p4info_as_finsy_shows_it(device: PacketDevice, election: fy.SwitchOptions) -> None:
    async def session() -> str:
        async with fy.Switch("device", device.address, election):
            pass
        async with fy.Switch("device", device.address, fy.SwitchOptions()) as switch:
            assert (switch.is_primary, str(switch.p4runtime_version)) == (True, "1.5.0")
            return str(switch.p4info)

    shown = asyncio.run(session())
    assert [line for line in shown.splitlines() if line.startswith("turnout")] == [
        f"turnout (version={VERSION}, arch=)"
    ]
    for table in pipeline().tables:
        assert f"{table.name}[{table.size}]" in shown
    assert "backend_ipv4[10000] -> \N{PACKAGE} backends_ipv4[65535]" in shown
    named = (
        "to_service_ipv4",
        *(f"to_service_{how}_ipv4" for how in ("by_source", "by_chance", "in_turn", "by_count")),
    )
    actions = " ".join(f"\N{UPWARDS ARROW}{name}(service_id:16, hairpin:32, affinity_ms:32)" for name in named)
    assert f"{actions} \N{DOWNWARDS ARROW}miss()" in shown


def test_everything_is_read_back_as_it_was_written(device: PacketDevice, election: fy.SwitchOptions) -> None:
    async def session() -> None:
        async with fy.Switch("device", device.address, election) as switch:
            await switch.insert(all_made(everything()))
            assert in_order(await everything_in(switch)) == in_order([wish.numbers() for wish in everything()])
            for wish in everything():
                if isinstance(wish, Entry):
                    found = await read_all(switch, replace(_entry(wish), action=None))
                    assert [plain(one) for one in found] == [wish.numbers()]

    asyncio.run(session())


def _entry(wish: Entry) -> fy.P4TableEntry:
    entry = made(wish)
    assert isinstance(entry, fy.P4TableEntry)
    return entry


def test_changes_and_one_shot_sets(device: PacketDevice, election: fy.SwitchOptions) -> None:
    profile = "backends_ipv4"
    changed = Member(profile=profile, id=2, call=backend(4, "web-2", "8081"))
    weighted = Group(profile=profile, id=int(SERVICE), members=((1, 3), (2, 1)))
    actions = ((backend(6, "web-1"), 2), (backend(6, "web-2"), 1))
    one_shot = Entry(table="backend_ipv6", match={"service_id": SERVICE}, actions=actions)

    async def session() -> list[dict[str, Any]]:
        async with fy.Switch("device", device.address, election) as switch:
            # One write: + inserts, ~ modifies, - deletes.
            await switch.write([*(+one for one in all_made(service(4))), ~made(changed), ~made(weighted)])
            await switch.write([+made(one_shot), -made(service(4)[4])])
            return await everything_in(switch)

    kept = [service(4)[0], changed, weighted, service(4)[3], one_shot]
    assert in_order(asyncio.run(session())) == in_order([wish.numbers() for wish in kept])


@pytest.mark.parametrize("version", VERSIONS)
def test_traffic_follows(device: PacketDevice, election: fy.SwitchOptions, version: int) -> None:
    async def session() -> None:
        async with fy.Switch("device", device.address, election) as switch:
            await switch.insert(all_made((*workloads(), *service(version))))
            opened = [connect(device, version, port) for port in range(44000, 44020)]
            assert {one.backend for one in opened} == {"web-1", "web-2"}
            counters = await read_all(
                switch,
                fy.P4CounterEntry("service_requests", index=int(SERVICE)),
                fy.P4DirectCounterEntry(f"service_ipv{version}_count"),
            )
            size = sum(len(one.request) for one in opened)
            assert [(one.packet_count, one.byte_count) for one in counters] == [(20, size), (20, size)]
            (to_service,) = await _counted(switch, f"service_ipv{version}")
            assert to_service.counter_data.packet_count == 20
            flows = await _counted(switch, f"flow_ipv{version}")
            assert [one.counter_data.packet_count for one in flows] == [0] * 20  # the packet that learns does not count
            assert {one.idle_timeout_ns for one in flows} == {60_000_000_000}

    asyncio.run(session())


async def _counted(switch: fy.Switch, table: str) -> list[Any]:
    return await read_all(switch, fy.P4TableEntry(table, counter_data=fy.P4CounterData()))


def test_delete_all_empties_a_device_with_open_connections(device: PacketDevice, election: fy.SwitchOptions) -> None:
    async def session() -> list[dict[str, Any]]:
        async with fy.Switch("device", device.address, election) as switch:
            await switch.insert(all_made(everything()))
            for port in range(45000, 45010):
                connect(device, 4, port)
                connect(device, 6, port)
            assert len(await everything_in(switch)) == len(everything()) + 40
            await switch.delete_all()
            return await everything_in(switch)

    assert asyncio.run(session()) == []


def test_refused_updates_are_told_one_by_one(device: PacketDevice, election: fy.SwitchOptions) -> None:
    there = workloads()[0]
    absent = Entry(table="backend_ipv4", match={"service_id": "9"}, group_id=9)
    learned = Entry(table="nd", match={"network": NETWORK, "address": "fd02::9"}, call=call("answer", mac="0"))

    async def session() -> dict[int, tuple[str, str]]:
        async with fy.Switch("device", device.address, election) as switch:
            await switch.insert([made(there)])
            with pytest.raises(fy.P4ClientError) as refused:
                await switch.insert(all_made((there, learned, absent)))
            await switch.delete([made(absent)], strict=False)  # NOT_FOUND alone is forgiven
            return {n: (error.canonical_code.name, error.message) for n, error in refused.value.details.items()}

    assert asyncio.run(session()) == {
        0: ("ALREADY_EXISTS", "table network, entry network=0x1: it is there already"),
        2: ("NOT_FOUND", "action profile backends_ipv4, group 9: there is no such group"),
    }


def test_the_other_client_takes_over(device: PacketDevice, files: Files, next_election_id: int) -> None:
    async def session() -> None:
        lower = fy.Switch("lower", device.address, options(files, next_election_id - 1))
        higher = fy.Switch("higher", device.address, options(files, next_election_id))
        async with lower:
            await lower.delete_all()
            await lower.insert([made(workloads()[0])])
            was_pushed = lower.ee.event_future(fy.SwitchEvent.BECOME_BACKUP)
            async with higher:
                await asyncio.wait_for(was_pushed, UP_AGAIN_S)
                assert (lower.is_primary, higher.is_primary) == (False, True)
                assert await everything_in(lower) == [workloads()[0].numbers()]
                with pytest.raises(fy.P4ClientError, match="Not primary"):
                    await lower.insert([made(workloads()[1])])
                is_back = lower.ee.event_future(fy.SwitchEvent.BECOME_PRIMARY)
            await asyncio.wait_for(is_back, UP_AGAIN_S)
            await lower.insert([made(workloads()[1])])
            assert len(await everything_in(lower)) == 2

    asyncio.run(session())


def test_it_comes_back_when_the_device_does(files: Files, tmp_path: Path) -> None:
    """finsy loads the pipeline again, since the model target forgets; a device that left is no mistake to it."""
    ready: asyncio.Queue[bool] = asyncio.Queue()

    async def on_ready(switch: fy.Switch) -> None:
        await switch.insert(all_made(workloads()))
        ready.put_nowait(switch.is_primary)

    async def session() -> list[dict[str, Any]]:
        chosen = options(files, 10)(ready_handler=on_ready)
        with model_device(tmp_path) as address:
            switch = fy.Switch("device", address, chosen)
            running = asyncio.create_task(switch.run())
            assert await asyncio.wait_for(ready.get(), UP_AGAIN_S)
            await asyncio.sleep(2.1)  # finsy pauses 10 s after a connection that lasted less than 2 s
        with model_device(tmp_path):
            assert await asyncio.wait_for(ready.get(), UP_AGAIN_S)
            found = await everything_in(switch)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        return found

    assert in_order(asyncio.run(session())) == in_order([wish.numbers() for wish in workloads()])
