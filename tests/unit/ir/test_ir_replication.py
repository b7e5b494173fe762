"""Copies of packets in the IR: what the verifier refuses, the text form, and what the interpreter makes of a packet."""

# ruff: noqa: E501  a row of a table is one line

from __future__ import annotations

import re

import pytest

from compiler.diagnostic import Code
from compiler.ir.backups import followed_ports
from compiler.ir.controller import CPU_PORT
from compiler.ir.entries import Backup, CloneSession, MulticastGroup, Replica
from compiler.ir.interpreter import Copy, Interpreter, Model, Outcome, Tally, VerdictKind, trace_to_text
from compiler.ir.text import from_text, to_text
from compiler.ir.verifier import codes, verify
from tests.pipelines.replicating import PATH, UNKNOWN_GROUP, mirrored, replicating, sent

TEXT = PATH.read_text()
MULTICAST = "multicast meta.group unknown unknown_group { ingress_port = meta.ingress_port  reason = 2 }"
FLOOD = "multicast meta.group not_back unknown unknown_group { ingress_port = meta.ingress_port  reason = 3 }"
CLONE = "clone meta.session { ingress_port = meta.ingress_port  reason = 1 }"
ROWS = [
    ("width of a group", "multicast meta.group unknown", "multicast meta.fate unknown", codes.WIDTH, "the multicast group is 8 bits wide"),
    ("width of a session", "clone meta.session", "clone meta.fate", codes.WIDTH, "the clone session is 8 bits wide"),
    ("reason", "unknown unknown_group", "unknown nothing", codes.UNKNOWN_NAME, "there is no drop reason 'nothing'"),
    ("unknown field", "reason = 1", "raison = 1:16", codes.UNKNOWN_NAME, "packet_in has no field 'raison'"),
    ("twice", "{ ingress_port = meta.ingress_port  reason = 1", "{ reason = 2  reason = 1", codes.BAD_ARGUMENTS, "a field of packet_in is given twice"),
    ("no packet_in", "packet_in 0x04000001 { 1 ingress_port: 16  2 reason: 16 }", "", codes.MISSING_PART, "a copy says something to the controller, but the pipeline has no packet_in"),
    ("clone in an action", "{ meta.mirror = 1 ", "{ clone 1 meta.mirror = 1 ", codes.MISPLACED_STATEMENT, "Clone stands in an action"),
    ("group in an action", "{ meta.mirror = 1 ", "{ multicast 1 unknown unknown_group meta.mirror = 1 ", codes.MISPLACED_STATEMENT, "Multicast stands in an action"),
    ("behind it", FLOOD, f"{FLOOD} reply", codes.UNREACHABLE, "no path reaches this Reply"),
    ("changed", "if meta.fate == 1 { forward", "if meta.fate == 1 { clone 1 forward", codes.MODIFIED_CLONE, "a packet that may have been changed is cloned"),
    ("header", CLONE, "clone ipv4.identification", codes.INVALID_HEADER, "ipv4.identification is used where ipv4 may not be valid"),
]  # fmt: skip
DST, SRC = "02:00:00:00:00:01", "02:00:00:00:00:02"
FRAME = bytes.fromhex("020000000001020000000002") + b"\x88\xb5" + bytes(50)


@pytest.mark.parametrize(("old", "new", "code", "message"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_one_mistake(old: str, new: str, code: Code, message: str) -> None:
    assert old in TEXT
    changed = TEXT.replace(old, new, 1)
    if code is codes.MISSING_PART:  # nothing can be said to read
        changed = changed.replace("reason = ", "reason = 0:16 + ").replace("0:16 + 1 ", "1:16 ")
        changed = changed.replace("0:16 + 2 ", "2:16 ").replace("0:16 + 3 ", "3:16 ")
    found = verify(from_text(changed))
    assert any(message in d.message and d.code == code for d in found), [str(diagnostic) for diagnostic in found]


def test_reads_back_equal() -> None:
    text = to_text(replicating())
    assert from_text(text) == replicating()
    for statement in (MULTICAST, FLOOD, CLONE):
        assert re.sub(r"reason = (\d)", r"reason = \1:16", statement) in text
    bare = to_text(from_text(TEXT.replace(CLONE, "clone 7")))
    assert "    clone 7:16\n" in bare
    assert "clone 7:16" in to_text(from_text(bare))


def processed(
    *replicated: MulticastGroup | CloneSession, action: str = "to_group", port: int = 16
) -> tuple[Outcome, Model]:
    model = Model(replicating())
    for entry in (sent(DST, action, 7), mirrored(SRC, 9)):
        model.insert(entry)
    for given in replicated:
        model.replication.put(given)
    return Interpreter(model, clock=lambda: 0, random=lambda _: 0).process(port, FRAME), model


def test_a_group_and_a_session() -> None:
    group = MulticastGroup(id=7, replicas=(Replica(port=17, instance=2), Replica(port=CPU_PORT)))
    session = CloneSession(id=9, replicas=(Replica(port=CPU_PORT, instance=5), Replica(port=1)), packet_length_bytes=20)
    outcome, _ = processed(group, session)
    assert outcome == Outcome(
        verdict=VerdictKind.MULTICAST,
        packet=b"",
        copies=(
            Copy(port=CPU_PORT, instance=5, packet=FRAME[:20], packet_in=(16, 1)),
            Copy(port=1, instance=0, packet=FRAME[:20]),
            Copy(port=17, instance=2, packet=FRAME),
            Copy(port=CPU_PORT, instance=0, packet=FRAME, packet_in=(16, 2)),
        ),
        trace=outcome.trace,
    )
    told = trace_to_text(outcome.trace).splitlines()
    assert "clone by session 9: ports 509, 1" in told
    assert told[-1] == "to multicast group 7"


@pytest.mark.parametrize("groups", [(), (MulticastGroup(id=7),), (MulticastGroup(id=8, replicas=(Replica(port=1),)),)])
def test_a_group_without_replicas_drops(groups: tuple[MulticastGroup, ...]) -> None:
    outcome, model = processed(*groups)
    assert (outcome.verdict, outcome.drop_reason, outcome.copies) == (VerdictKind.DROP, "unknown_group", ())
    assert model.indexed_counter("dropped", UNKNOWN_GROUP) == Tally(1, len(FRAME))
    assert "clone by session 9: ports none" in trace_to_text(outcome.trace)


BACKED = (
    Replica(port=17, instance=1, backups=(Backup(port=1, instance=5), Backup(port=2, instance=6))),
    Replica(port=CPU_PORT, backups=(Backup(port=3),)),
    Replica(port=4, backups=(Backup(port=5), Backup(port=CPU_PORT, instance=7))),
    Replica(port=6),
)


@pytest.mark.parametrize(
    ("down", "places"),
    [
        (set[int](), [(17, 1), (CPU_PORT, 0), (4, 0), (6, 0)]),
        ({17, 4, 6}, [(1, 5), (CPU_PORT, 0), (5, 0), (6, 0)]),
        ({17, 1, 4, 5, CPU_PORT}, [(2, 6), (CPU_PORT, 0), (CPU_PORT, 7), (6, 0)]),
        ({17, 1, 2}, [(17, 1), (CPU_PORT, 0), (4, 0), (6, 0)]),
    ],
)
def test_backups_replace_ports_that_are_down(down: set[int], places: list[tuple[int, int]]) -> None:
    group, session = MulticastGroup(id=7, replicas=BACKED), CloneSession(id=9, replicas=BACKED)
    model = Model(replicating())
    for entry in (sent(DST, "to_group", 7), mirrored(SRC, 9)):
        model.insert(entry)
    for given in (group, session):
        model.replication.put(given)
        assert followed_ports(given) == {17, 1, 2, CPU_PORT, 3, 4, 5}
    for port in down:
        model.set_port(port, is_up=False)
    outcome = Interpreter(model, clock=lambda: 0, random=lambda _: 0).process(16, FRAME)
    assert [(copy.port, copy.instance) for copy in outcome.copies] == places * 2


def test_what_is_flooded_does_not_go_back() -> None:
    group = MulticastGroup(id=7, replicas=(Replica(port=16), Replica(port=17), Replica(port=16, instance=1)))
    assert [copy.port for copy in processed(group, action="flood")[0].copies] == [17]
    assert [copy.port for copy in processed(group, action="flood", port=17)[0].copies] == [16, 16]
    alone, model = processed(MulticastGroup(id=7, replicas=(Replica(port=16),)), action="flood")
    assert (alone.verdict, alone.copies) == (VerdictKind.MULTICAST, ())
    assert model.indexed_counter("dropped", UNKNOWN_GROUP) == Tally(0, 0)
