"""What a device tells of itself, without a process of its own; tests/conformance/test_status.py has whole devices."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from finsy.proto import p4r
from google.protobuf import text_format
from typer.testing import CliRunner

from cli.main import app
from cli.showdevice import duration, sections, summary
from compiler.ir.nodes import Pipeline
from compiler.printers.bundle import Bundle
from runtime.client.devicestatus import read_status
from runtime.device.journal.replay import replayed
from runtime.device.listening import UnixAddress
from runtime.device.loaded import Loaded
from runtime.device.modeltarget import ModelTarget
from runtime.device.server import Server, Settings
from runtime.device.slices import at_once
from runtime.device.statefolder import without_folder
from runtime.device.status import status_pb2 as told
from runtime.device.status.outage import NAMED, watchers
from runtime.device.status.usage import usage_of
from tests.conformance.test_watch_ports import MEMBERS, TO_GROUP, WATCHING, action, action_set, group
from tests.pipelines.acl import acl_pipeline
from tests.pipelines.replicating import replicating
from tests.pipelines.spreading import spreading
from tests.unit.device.test_taking_over import acl


def holding(pipeline: Pipeline, *entities: str) -> Loaded:
    """What a device without a target has, after inserts."""
    made = replayed(p4r.ForwardingPipelineConfig(), Bundle(pipeline=pipeline), "").loaded
    updates = [text_format.Parse(f"type: INSERT entity {{ {text} }}", p4r.Update()) for text in entities]
    assert made.writer.apply_all(updates) == [None] * len(updates)
    return made


def found(held: Loaded, *down: int) -> dict[int, tuple[int, list[tuple[str, str, int, int]]]]:
    """By port: how much watches it, and what is out."""
    every = at_once(watchers(held.contents, lambda port: port in down or port == 509))
    return {
        port: (one.count, [(out.kind, out.of, out.count, out.of_all) for out in one.out]) for port, one in every.items()
    }


def test_members_that_watch_ports() -> None:
    held = holding(spreading(), *MEMBERS, group(*WATCHING), TO_GROUP)
    assert found(held) == {1: (1, []), 16: (1, []), 17: (1, [])}
    out = [("group", "profile ways, group 1", 1, 3)]
    assert found(held, 1, 17) == {1: (1, out), 16: (1, []), 17: (1, out)}


def test_actions_of_sets_that_watch_ports() -> None:
    watched = (action(1, 1, "watch: 1"), action(16, 1, "watch: 1"), action(17, 1, ""))
    held = holding(spreading(), action_set(*watched))
    assert found(held, 1) == {1: (2, [("set", "table way, entry type=0x88b5", 2, 3)])}


def test_replicas_and_their_backups() -> None:
    backed = r'replicas { port: "\001" instance: 1 backup_replicas { port: "\020" instance: 1 } }'
    own = r'replicas { port: "\001" instance: 2 } replicas { port: "\001\375" instance: 1 }'
    engine = "packet_replication_engine_entry { %s }"
    held = holding(
        replicating(),
        engine % f"multicast_group_entry {{ multicast_group_id: 3 {backed} {own} }}",
        engine % f"clone_session_entry {{ session_id: 4 {backed} }}",
    )
    assert found(held) == {1: (3, [])}
    assert found(held, 1) == {
        1: (3, [("multicast group", "3, by port 16 instead", 2, 3), ("clone session", "4, by port 16 instead", 1, 1)])
    }
    assert found(held, 1, 16) == {1: (3, [("multicast group", "3", 2, 3), ("clone session", "4", 1, 1)])}


def test_the_first_that_are_out_are_named() -> None:
    groups = [
        f"action_profile_group {{ action_profile_id: 0x11000001 group_id: {number} members {{ {WATCHING[0]} }} }}"
        for number in range(1, NAMED + 3)
    ]
    ((count, out),) = found(holding(spreading(), *MEMBERS, *groups), 1).values()
    assert (count, len(out)) == (NAMED + 2, NAMED)


def test_how_near_tables_are_to_their_limits() -> None:
    def used(held: Loaded) -> list[tuple[str, str, int, int]]:
        return [(one.what, one.of, one.used, one.limit) for one in usage_of(held)]

    assert used(holding(acl_pipeline(), acl(1, 1), acl(2, 1))) == [
        ("entries", "table acl", 2, 64),
        ("masks", "table acl", 1, 16),
        ("prefixes of ranges", "table acl", 2, 1024),
        ("entries", "table spread", 0, 256),
        ("masks", "table spread", 0, 16),
        ("members", "profile members", 0, 64),
        ("weights of all groups", "profile members", 0, 64),
    ]
    of_copies = used(
        holding(replicating(), "packet_replication_engine_entry { clone_session_entry { session_id: 4 } }")
    )
    assert of_copies[-2:] == [("multicast groups", "", 0, 1024), ("clone sessions", "", 1, 1024)]


def with_server(folder: Path, ask: Callable[[Server, str], None]) -> None:
    """A model's server that answers while `ask` is called in a thread."""

    async def run() -> None:
        settings = Settings(name="d", device_id=1, addresses=(UnixAddress(path=folder / "d.sock"),))
        async with Server(settings, ModelTarget(hash_seed=1), without_folder()) as server:
            await server.started()
            await asyncio.to_thread(ask, server, str(server.addresses[0]))

    asyncio.run(run())


def test_what_is_under_way(tmp_path: Path) -> None:
    """It is answered in the midst of a change, with how many wait for its end."""

    async def run() -> None:
        settings = Settings(name="d", device_id=1, addresses=(UnixAddress(path=tmp_path / "d.sock"),))
        async with Server(settings, ModelTarget(hash_seed=1), without_folder()) as server:
            await server.started()
            assert server.service is not None
            changing = server.service.parts.changing
            async with changing.of("", "Write of 3 updates"):
                waiting = [
                    asyncio.create_task(turn()) for turn in (changing.of("").__aenter__, changing.of("a").__aenter__)
                ]
                await asyncio.sleep(0)
                (one,) = (await asyncio.to_thread(read_status, str(server.addresses[0]))).activities
                for task in waiting:
                    task.cancel()
                await asyncio.gather(*waiting, return_exceptions=True)
            assert (one.what, one.waiting) == ("Write of 3 updates", 2)
            assert one.since_s > 0
            assert not (await asyncio.to_thread(read_status, str(server.addresses[0]))).activities

    asyncio.run(run())


def test_a_device_without_a_pipeline(tmp_path: Path) -> None:
    def ask(_server: Server, address: str) -> None:
        shown = CliRunner().invoke(app, ["show", "device", "--device", address])
        assert (shown.exit_code, shown.stderr) == (0, "")
        assert [line.rstrip() for line in shown.stdout.splitlines()][1:] == [
            "no pipeline yet",
            "at its start its folder had nothing, since it has no folder",
            "",
            "Roles",
            "ROLE       HIGHEST_ELECTION_ID  PRIMARY  RIGHTS",
            "(default)                       no       all",
            "",
            "In use",
            "WHAT   OF                          USED  LIMIT  PERCENT",
            "roles                              1     16     6.2",
            "RPCs   clients of the unix socket  1     64     1.6",
        ]

    with_server(tmp_path, ask)


def refused(address: str) -> str:
    shown = CliRunner().invoke(app, ["show", "device", "--device", address])
    assert (shown.exit_code, shown.stdout) == (1, "")
    return shown.stderr


@pytest.mark.slow
def test_no_device(tmp_path: Path) -> None:
    path = tmp_path / "d.sock"
    begin = f"turnout: error: no P4Runtime server answers at unix:{path}: "
    assert refused(f"unix:{path}") == f"{begin}no such file or directory; is the device running?\n"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
        assert refused(f"unix:{path}") == f"{begin}connection refused; is the device running?\n"
        left.listen()
        words = "somebody listens there, and does not answer as a P4Runtime server would"
        assert refused(f"unix:{path}") == f"{begin}{words}\n"


def test_a_server_that_is_no_turnout_device(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/d.sock"
    server = grpc.server(ThreadPoolExecutor(max_workers=1))
    server.add_insecure_port(address)
    server.start()
    assert refused(address) == (
        f"turnout: error: the server at {address} is no Turnout device, or an older one: it does not tell how it is "
        "(turnout.device.v1.Status)\n"
    )
    server.stop(None).wait()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.25, "0.2 s"), (61, "1 min 1 s"), (3 * 3600 + 12 * 60 + 5, "3 h 12 min"), (50 * 3600, "2 d 2 h")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_sentences_and_tables() -> None:
    """What a small device does not show."""
    device = told.Device(name="dpu", device_id=3, target="kernel", version="9", process=7, running_s=1)
    device.pipelines.add(name="a", version="1")
    device.pipelines.add(name="b", version="2", is_saved=True, cookie=5, layout="abc")
    device.start.found = "a journal"
    device.start.placed.add(pipeline="a", goes_on=True, entries=2, members=1).findings.add(text="table t: 1 that ...")
    device.start.placed.add(pipeline="b", goes_on=True, entries=4)
    device.start.remarks.append("journal 00000001.log: the last record is cut short at byte 9; it is ignored")
    device.activities.add(what="Write of 9 updates", since_s=2, waiting=1)
    device.complaints.add(client="client 'a'", what="RPCs refused: 64 RPCs are open", count=3)
    device.clients.add(name="client 'a'", waiting=2)
    device.clients.add(name="client 'b'", has_arbitrated=True, election_id="4")
    assert list(summary(device)) == [
        "device dpu (id 3), kernel target, Turnout 9, process 7, running for 1.0 s",
        "pipeline a 1, no cookie, layout ",
        "saved, not committed: pipeline b 2, cookie 5, layout abc",
        "at its start its folder had a journal",
        "  pipeline a goes on with the maps of an earlier process: 2 entries, 1 members, 0 groups of the journal",
        "  found otherwise, and mended: table t: 1 that ...",
        "  pipeline b goes on with the maps of an earlier process: 4 entries, 0 members, 0 groups of the journal; "
        "nothing was found otherwise",
        "  journal 00000001.log: the last record is cut short at byte 9; it is ignored",
        "under way: Write of 9 updates, for 2.0 s, 1 wait for its end",
    ]
    assert [(title, [list(row.values()) for row in rows]) for title, _, rows in sections(device)] == [
        (
            "Clients with a stream",
            [["client 'a'", "", "", "not arbitrated", 2], ["client 'b'", "(default)", "4", "backup", 0]],
        ),
        ("Clients that met a limit", [["client 'a'", "RPCs refused: 64 RPCs are open", 3]]),
    ]
