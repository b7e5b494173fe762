"""A model filled from a device: connections are asked for when a packet needs them, groups can be narrowed."""

from __future__ import annotations

from functools import cache

from compiler.entries.desired import compile_entries
from compiler.ir.entries import ActionCall, Entries
from compiler.pipeline.assembly import pipeline
from runtime.client.learnedentries import LearnedRead
from runtime.explanation.livedevice import placed
from runtime.explanation.livemodel import NOW_MS, LiveModel
from tests.unit.explanation.test_question import policies

KEY = (1, 2, 6, 0x0A01000A, 0x0A60000A, 4000, 80)
CALL = ActionCall(action="translate_ipv4", arguments=(0x0A01000A, 0x0A01000B, 4000, 8080, 7, 2))
READ = LearnedRead(table="flow_ipv4", key=KEY, action=CALL, timeout_ms=7_440_000, idle_ms=1500)


@cache
def entries() -> Entries:
    return compile_entries(policies(), policies().devices[0]).entries


def nobody(_table: str, _key: tuple[int, ...]) -> None:
    """A device that knows no connection."""


class Connections:
    """A device that knows one connection."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def find(self, table: str, key: tuple[int, ...]) -> LearnedRead | None:
        self.asked.append(table)
        return READ if (table, key) == ("flow_ipv4", KEY) else None


def test_a_connection_is_read_once_and_forgotten() -> None:
    device = Connections()
    model = LiveModel(pipeline(), entries(), hash_seed=1, find=device.find)
    assert model.learned("flow_ipv4") == ()
    for _ in range(2):
        slot = model.store_of("flow_ipv4").find(KEY)
        assert slot is not None
        assert (slot.action, slot.profile.name, slot.seen_ms) == (CALL, "tcp_established", NOW_MS - 1500)
    assert device.asked == ["flow_ipv4"]
    model.forget()
    assert model.learned("flow_ipv4") == ()


def test_what_no_device_knows_is_asked_for_in_both_tables() -> None:
    device = Connections()
    model = LiveModel(pipeline(), entries(), hash_seed=1, find=device.find)
    assert model.store_of("flow_reverse_ipv4").find((*KEY[:-1], 81)) is None
    assert device.asked == ["flow_ipv4", "flow_reverse_ipv4"]


def test_pairs_that_were_learned_are_forgotten() -> None:
    model = LiveModel(pipeline(), entries(), hash_seed=1, find=nobody)
    store = model.store_of("flow_ipv4")
    first = store.learn("flow_ipv4", KEY, CALL, 1, NOW_MS, ()).slot
    assert first is not None
    second = store.learn("flow_reverse_ipv4", (*KEY[:-1], 81), CALL, 1, NOW_MS, (first.index,)).slot
    assert second is not None
    assert second.pair == first.index
    model.forget()
    assert store.slots() == ()


def test_a_narrowed_group_gives_one_member_alone() -> None:
    model = LiveModel(pipeline(), entries(), hash_seed=1, find=nobody)
    entry = next(e for e in model.entries("backend_ipv4") if e.owner == "DpuService shop/web:http")
    assert not isinstance(entry.action, ActionCall)
    group = model.group("backend_ipv4", getattr(entry.action, "group_id", 0))
    selection = model.selection("backends_ipv4")
    assert len(group.members) == 3
    for member in group.members:
        model.narrow(group, member.member_id)
        found = {picked.id for digest in range(100) if (picked := selection.pick(entry.action, digest << 32))}
        assert found == {member.member_id}
    model.modify(group)
    found = {picked.id for digest in range(100) if (picked := selection.pick(entry.action, digest << 32))}
    assert found == {member.member_id for member in group.members}


def test_only_what_is_the_same_has_the_line() -> None:
    wanted = entries()
    bare = [e for e in wanted.table_entries if e.table == "neighbor"]
    other = ActionCall(action="deliver", arguments=(1, 99, 1450, 1, 2, 0))
    changed = type(bare[0])(table="neighbor", matches=bare[0].matches, action=other, owner="somebody")
    found = placed(Entries(table_entries=(changed, *bare[1:])), wanted).table_entries
    assert (found[0].owner, str(found[0].span)) == ("somebody", "<none>:0:0")
    assert [str(entry.span) for entry in found[1:]] == [str(entry.span) for entry in bare[1:]]
