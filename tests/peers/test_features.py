"""finsy and p4runtime-shell, feature by feature: what docs/p4runtime.md says that each of them was used for.

What a client has no word for is said by its lower interface, and told where it is done.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import finsy as fy
import pytest
from finsy.p4schema import P4ConfigAction
from finsy.proto import p4r

from compiler.ir.nodes import Pipeline
from runtime.device.roles import P4RoleConfig
from tests.conformance.client import Client
from tests.conformance.fuzzing.subjects import named_pipeline
from tests.conformance.wired import SILENCE_S, WiredDevice
from tests.peers.driving import shell_on, started
from tests.peers.finsyclient import options, read_all
from tests.pipelines.fixed import fixed_pipeline
from tests.pipelines.spreading import spreading

pytestmark = [pytest.mark.peer, pytest.mark.slow]
SCRIPT = Path(__file__).with_name("feature_session.py")
Session = Callable[[fy.Switch], Coroutine[Any, Any, None]]
INVALID, NOT_FOUND, EXISTS, DENIED, ABORTED = 3, 5, 6, 7, 10


def ask_shell(python: Path, folder: Path, pipeline: Pipeline, what: str) -> Any:
    with started(pipeline, folder) as (device, files), shell_on(python, SCRIPT, device, files, what) as answer:
        return answer


def with_finsy(folder: Path, pipeline: Pipeline, session: Session) -> None:
    with started(pipeline, folder) as (device, files):

        async def play() -> None:
            async with fy.Switch("device", device.address, options(files, 5)) as switch:
                await session(switch)

        asyncio.run(play())


# matches and priorities: finsy's are in test_every_kind.py


def test_shell_every_kind_of_match(tmp_path: Path, python_of_shell: Path) -> None:
    assert ask_shell(python_of_shell, tmp_path, named_pipeline("kinds"), "kinds") == [
        [{"port": ["ternary", "10", "f0"]}, 7, [EXISTS], 0],
        [{"mark": ["range", "03", "09"]}, 5, [EXISTS], 0],
        [{"src": ["optional", "020000000001"]}, 4, [EXISTS], 0],
        [{"dst": ["lpm", "020000000000", 16]}, 0, [EXISTS], 0],
    ]


# default entries and constant tables


def test_shell_default_entries_and_constant_tables(tmp_path: Path, python_of_shell: Path) -> None:
    assert ask_shell(python_of_shell, tmp_path, fixed_pipeline(), "defaults") == {
        "changed": ["to", "07"],
        "reset": "nothing",
        "inserted": [INVALID],
        "constant": [1, 2, 3],
        "deleted": [DENIED],
    }


def test_finsy_default_entries_and_constant_tables(tmp_path: Path) -> None:
    async def session(switch: fy.Switch) -> None:
        default = fy.P4TableEntry("networks", is_default_action=True, action=fy.P4TableAction("to", out=7))
        asked = fy.P4TableEntry("networks", is_default_action=True)
        await switch.modify([default])
        (changed,) = await read_all(switch, asked)
        assert changed.action == default.action
        await switch.modify([asked])
        (reset,) = await read_all(switch, asked)
        assert reset.action.name == "nothing"
        with pytest.raises(fy.P4ClientError, match="it can only be modified"):
            await switch.insert([default])
        constant = await read_all(switch, fy.P4TableEntry("kinds"))
        assert sorted((one.priority, one.is_const) for one in constant) == [(1, True), (2, True), (3, True)]
        with pytest.raises(fy.P4ClientError, match="its entries are the pipeline's own"):
            await switch.delete([replace(constant[0], is_const=False)])

    with_finsy(tmp_path, fixed_pipeline(), session)


# what a controller notes at an entry, and counters that it sets


def test_shell_metadata_and_direct_counters(tmp_path: Path, python_of_shell: Path) -> None:
    assert ask_shell(python_of_shell, tmp_path, fixed_pipeline(), "marked") == ["first", "other", "", 9, 900]


def test_finsy_metadata_and_counters(tmp_path: Path) -> None:
    async def session(switch: fy.Switch) -> None:
        match = fy.P4TableMatch(kind=3, src="02:00:00:00:00:03")
        entry = fy.P4TableEntry("ports", match=match, action=fy.P4TableAction("to", out=4), metadata=b"first")
        await switch.insert([entry])
        asked = replace(entry, action=None, metadata=b"", counter_data=fy.P4CounterData())
        for metadata in (b"other", b""):
            (found,) = await read_all(switch, asked)
            assert found.metadata == entry.metadata
            entry = replace(entry, metadata=metadata)
            await switch.modify([entry])
        key = fy.P4TableEntry("ports", match=match)
        data = fy.P4CounterData(packet_count=9, byte_count=900)
        await switch.modify([fy.P4DirectCounterEntry("ports_count", table_entry=key, data=data)])
        (found,) = await read_all(switch, asked)
        assert (found.metadata, found.counter_data) == (b"", data)
        await switch.modify([fy.P4CounterEntry("dropped", index=1, data=data)])
        counters = await read_all(switch, fy.P4CounterEntry("dropped"))
        assert [one.packet_count for one in counters] == [0, 9, 0, 0, 0, 0, 0, 0]

    with_finsy(tmp_path, fixed_pipeline(), session)


# groups and sets whose members watch ports, and links that go


def test_shell_members_that_watch_ports(tmp_path: Path, python_of_shell: Path) -> None:
    with (
        started(spreading(), tmp_path) as (device, files),
        shell_on(python_of_shell, SCRIPT, device, files, "grouped") as answer,
    ):
        assert answer == [[1, 1, 0, ""], [16, 2, 0, "10"], [17, 1, 17, ""]]
        _follows_links(device)


def test_finsy_members_that_watch_ports(tmp_path: Path) -> None:
    """It has no word for the deprecated `watch`."""
    with started(spreading(), tmp_path) as (device, files):
        asyncio.run(_finsy_groups(device, files))


async def _finsy_groups(device: WiredDevice, files: tuple[Path, Path]) -> None:
    async with fy.Switch("device", device.address, options(files, 5)) as switch:
        for port in (1, 16, 17):
            action = fy.P4TableAction("to_port", port=port)
            await switch.insert([fy.P4ActionProfileMember("ways", member_id=port, action=action)])
        members = [fy.P4Member(1, weight=1), fy.P4Member(16, weight=(2, 16)), fy.P4Member(17, weight=(1, 17))]
        group = fy.P4ActionProfileGroup("ways", group_id=1, max_size=9, members=members)
        await switch.insert([group])
        action = fy.P4IndirectAction(group_id=1)
        await switch.insert([fy.P4TableEntry("way", match=fy.P4TableMatch({"type": 0x88B5}), action=action)])
        (read,) = await read_all(switch, fy.P4ActionProfileGroup("ways"))
        assert read.encode(switch.p4info) == group.encode(switch.p4info)
        await asyncio.to_thread(_follows_links, device)


def _follows_links(device: WiredDevice) -> None:
    """Packets of two ports, once one of them is down, go to the other and to the third."""
    assert _ways(device) == {1, 16, 17}
    device.wire.set_link(16, is_up=False)
    assert _ways(device) == {1, 17}
    device.wire.set_link(17, is_up=False)
    assert _ways(device) == {1}
    device.wire.set_link(16, is_up=True)
    assert _ways(device) == {1, 16}


def _ways(device: WiredDevice) -> set[int]:
    time.sleep(0.1)
    for source in range(1, 40):
        device.wire.send(1, bytes.fromhex("020000000001") + source.to_bytes(6, "big") + b"\x88\xb5" + bytes(46))
    found: set[int] = set()
    for port in (1, 16, 17):
        while device.wire.receive(port, SILENCE_S) is not None:
            found.add(port)
    return found


def test_shell_a_set_that_watches_ports(tmp_path: Path, python_of_shell: Path) -> None:
    assert ask_shell(python_of_shell, tmp_path, spreading(), "one_shot") == [[1, 0, "01"], [16, 0, "10"]]


def test_finsy_a_set_that_watches_ports(tmp_path: Path) -> None:
    async def session(switch: fy.Switch) -> None:
        actions = [((port, port), fy.P4TableAction("to_port", port=port)) for port in (1, 16)]
        action = fy.P4IndirectAction(actions)
        entry = fy.P4TableEntry("way", match=fy.P4TableMatch({"type": 0x88B5}), action=action)
        await switch.insert([entry])
        (read,) = await read_all(switch, fy.P4TableEntry("way"))
        assert read.encode(switch.p4info) == entry.encode(switch.p4info)

    with_finsy(tmp_path, spreading(), session)


# atomicity

ATOMICITIES: dict[str, tuple[list[int], list[str]]] = {
    "CONTINUE_ON_ERROR": ([0, NOT_FOUND, 0], ["10", "30"]),
    "ROLLBACK_ON_ERROR": ([ABORTED, NOT_FOUND, ABORTED], []),
    "DATAPLANE_ATOMIC": ([ABORTED, NOT_FOUND, ABORTED], []),
}


def test_shell_the_three_atomicities(tmp_path: Path, python_of_shell: Path) -> None:
    """Its entities are written one by one; a request in a file, which `Write` takes, says its atomicity.

    A batch that is done in part goes by its client's stub: the shell never comes to the end of such a batch's errors.
    """
    found = ask_shell(python_of_shell, tmp_path, spreading(), "atomicities")
    assert {name: (codes, left) for name, (codes, left) in found.items()} == ATOMICITIES


@pytest.mark.parametrize("name", ATOMICITIES)
def test_finsy_the_three_atomicities(tmp_path: Path, name: str) -> None:
    """`Switch.write` has none: by the client beneath it."""

    async def session(switch: fy.Switch) -> None:
        member = fy.P4ActionProfileMember("ways", member_id=1, action=fy.P4TableAction("to_port", port=1))
        await switch.insert([member])
        entries = [
            fy.P4TableEntry(
                "way", match=fy.P4TableMatch({"type": way}), action=fy.P4IndirectAction(member_id=member_id)
            )
            for way, member_id in ((0x10, 1), (0x20, 99), (0x30, 1))
        ]
        request = p4r.WriteRequest(
            device_id=1,
            atomicity=p4r.WriteRequest.Atomicity.Value(name),
            updates=[(+entry).encode_update(switch.p4info) for entry in entries],
        )
        with pytest.raises(fy.P4ClientError) as refused:
            await _beneath(switch).request(request)
        codes, left = ATOMICITIES[name]
        assert {at: int(error.canonical_code) for at, error in refused.value.details.items()} == {
            at: code for at, code in enumerate(codes) if code
        }
        found = await read_all(switch, fy.P4TableEntry("way"))
        assert sorted(f"{one.match['type']:x}" for one in found) == left

    with_finsy(tmp_path, spreading(), session)


def _beneath(switch: fy.Switch) -> Any:
    return switch._p4client  # pyright: ignore[reportPrivateUsage]


# pipeline configurations

LEFT = {"VERIFY": 1, "RECONCILE_AND_COMMIT": 1, "VERIFY_AND_SAVE": 0, "COMMIT": 1, "VERIFY_AND_COMMIT": 0}
"""Members after each action, where one is written at first, and one into what was saved."""


def test_shell_every_action_on_a_configuration(tmp_path: Path, python_of_shell: Path) -> None:
    """Its setup has VERIFY_AND_COMMIT; the others by its client's stub."""
    assert ask_shell(python_of_shell, tmp_path, spreading(), "configs") == LEFT


def test_finsy_every_action_on_a_configuration(tmp_path: Path) -> None:
    """A switch that begins has VERIFY_AND_COMMIT; the others by the client beneath."""

    async def session(switch: fy.Switch) -> None:
        member = fy.P4ActionProfileMember("ways", member_id=1, action=fy.P4TableAction("to_port", port=1))
        await switch.insert([member])
        config, left = switch.p4info.get_pipeline_config(), dict[str, int]()
        for name in LEFT:
            if name == "COMMIT":
                await switch.insert([member])
            request = p4r.SetForwardingPipelineConfigRequest(
                device_id=1, action=P4ConfigAction[name].vt(), config=None if name == "COMMIT" else config
            )
            await _beneath(switch).request(request)
            left[name] = len(await read_all(switch, fy.P4ActionProfileMember("ways")))
        assert left == LEFT

    with_finsy(tmp_path, spreading(), session)


# wildcard reads


def test_shell_wildcard_reads(tmp_path: Path, python_of_shell: Path) -> None:
    """Entries and counters of a table; those of all tables by its client's `read_one`, since the shell wants a name."""
    assert ask_shell(python_of_shell, tmp_path, fixed_pipeline(), "wildcards") == [4, 4, 2, 7, 8]


def test_finsy_wildcard_reads(tmp_path: Path) -> None:
    async def session(switch: fy.Switch) -> None:
        for source in (1, 2):
            match = fy.P4TableMatch({"kind": 9, "src": source})
            await switch.insert([fy.P4TableEntry("ports", match=match, action=fy.P4TableAction("to", out=1))])
        counts = [
            len(await read_all(switch, fy.P4TableEntry("ports"))),
            len(await read_all(switch, fy.P4DirectCounterEntry("ports_count"))),
            len({one.table_id for one in await read_all(switch, fy.P4TableEntry())}),
            len(await read_all(switch, fy.P4TableEntry())),
            len(await read_all(switch, fy.P4CounterEntry("dropped"))),
        ]
        assert counts == [4, 4, 2, 7, 8]

    with_finsy(tmp_path, fixed_pipeline(), session)


# roles


def test_shell_in_a_role(tmp_path: Path, python_of_shell: Path) -> None:
    """It can name a role and give no config: as a backup it reads what the primary's has, as a primary all."""
    with started(spreading(), tmp_path) as (device, files):
        client = Client(device.address)
        client.become_primary(9, role="shown", config="shared_p4_ids: 0x11000001")
        with shell_on(python_of_shell, SCRIPT, device, files, "role") as answer:
            assert answer == [1, 0, "PERMISSION_DENIED", []]
        client.close()


def test_finsy_in_a_role(tmp_path: Path) -> None:
    """With a config: it writes what it may, is refused all else, and reads no more."""
    with started(spreading(), tmp_path) as (device, files):
        asyncio.run(_finsy_role(device, files))


async def _finsy_role(device: WiredDevice, files: tuple[Path, Path]) -> None:
    chosen = fy.SwitchOptions(role_name="members", role_config=P4RoleConfig(exclusive_p4_ids=[0x11000001]))
    entry = fy.P4TableEntry("way", match=fy.P4TableMatch({"type": 1}), action=fy.P4IndirectAction(member_id=1))
    member = fy.P4ActionProfileMember("ways", member_id=1, action=fy.P4TableAction("to_port", port=1))
    async with (
        fy.Switch("whole", device.address, options(files, 5)) as whole,
        fy.Switch("part", device.address, chosen) as part,
    ):
        assert (part.role_name, part.is_primary) == ("members", True)
        await part.insert([member])
        with pytest.raises(fy.P4ClientError, match="role 'members' may not write P4 object 0x02000001"):
            await part.insert([entry])
        await whole.insert([entry])
        assert len(await read_all(part, fy.P4TableEntry(), fy.P4ActionProfileMember())) == 1
        assert len(await read_all(whole, fy.P4TableEntry(), fy.P4ActionProfileMember())) == 2


def test_capabilities(tmp_path: Path, python_of_shell: Path) -> None:
    assert ask_shell(python_of_shell, tmp_path, spreading(), "capabilities") == "1.5.0"
