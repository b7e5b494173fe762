"""Mutants that change nothing anybody could see, or nothing that these checks could: each with a check of the reason.

They are told by name and by the lines that differ, since their number in a place moves with the code around them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from compiler.ir.expressions import Binary, Const, MetaRef, Operator
from compiler.ir.names import Names
from compiler.ir.nodes import Pipeline
from compiler.ir.statements import (
    Apply,
    Assign,
    Drop,
    Forward,
    If,
    Learn,
    Multicast,
    Reply,
    Run,
    Statement,
    ToKernel,
)
from tests.mutation.catalogue import shown, source
from tests.mutation.mutant import Mutant, TextMutant
from tests.mutation.objects import text_of
from tests.mutation.sites import walk

Check = Callable[[Mutant], bool]
FIN_OR_RST = 5
DIFFERENTIAL = Path(__file__).parents[1] / "differential"
BATCH_TESTS = DIFFERENTIAL.with_name("races") / "test_atomic_batches.py"
FLOW_TABLE_TESTS = DIFFERENTIAL / "test_flow_table.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalent:
    """`named` matches the name (with or without its number), `told_by` what differs; `holds` checks the reason."""

    named: str
    told_by: str = ""
    reason: str
    holds: Check

    def is_one(self, mutant: Mutant) -> bool:
        is_named = re.fullmatch(rf"{self.named}(?: \d+)?", mutant.name) is not None
        return is_named and re.search(self.told_by, shown(mutant), re.M) is not None


def equivalent_of(mutant: Mutant) -> Equivalent | None:
    return next((each for each in EQUIVALENTS if each.is_one(mutant)), None)


def _learns_in_rank_0_alone(mutant: Mutant) -> bool:
    connections = [store for store in source().stores if store.name.startswith("connections")]
    profiles = {profile.id: profile for store in connections for profile in store.profiles}
    learned = {s.profile for _, s in walk(source()) if isinstance(s, Learn) and not s.renews}
    assert learned == {MetaRef(name="profile", width_bits=8)}
    given = {
        s.value.value
        for _, s in walk(source())
        if isinstance(s, Assign) and isinstance(s.value, Const) and s.target in learned
    }
    return {profiles[number].rank for number in given} == {0}


def _is_asked_for_0(mutant: Mutant) -> bool:
    """Metadata of one bit that stands in conditions alone, and is compared with nothing there."""
    (name,) = set(re.findall(r"scratch->meta\.(\w+) = ", shown(mutant)))
    there = [part for _, part in walk(source())]
    compared = [e for e in there if isinstance(e, Binary) and e.operator not in (Operator.AND, Operator.OR)]
    sides = [side.name for e in compared for side in (e.left, e.right) if isinstance(side, MetaRef)]
    return {e.width_bits for e in there if isinstance(e, MetaRef) and e.name == name} == {1} and name not in sides


def _is_said_of_other_flags(mutant: Mutant) -> bool:
    """Behind `if (flags & 5) != 0`, both masks say the same of all flags that are left."""
    (before, wanted), (after, also) = (
        (int(mask), int(value)) for mask, value in re.findall(r"tcp_flags & (\d+)\) == (\d+)", shown(mutant))
    )
    others = (flags for flags in range(256) if not flags & FIN_OR_RST)
    return all((flags & before == wanted) == (flags & after == also) for flags in others)


def _is_0_before(mutant: Mutant) -> bool:
    """Nothing that runs before sets what is set to 0."""
    names = set(re.findall(r"^- meta\.(\w+) = 0$", shown(mutant), re.M))
    controls = set(re.findall(r"^control (\w+)", mutant.name))
    return not any(name in before for name in names for before in _set_before(source(), *controls))


def _set_before(pipeline: Pipeline, control: str) -> Iterator[frozenset[str]]:
    """The metadata that may have been set when a packet enters a control, for each way to it."""
    names = Names(pipeline)

    def follow(body: tuple[Statement, ...], before: frozenset[str]) -> Iterator[tuple[bool, frozenset[str]]]:
        """Entries into the control (True), and at last what is set behind the body (False)."""
        for statement in body:
            match statement:
                case Assign(target=MetaRef(name=name)):
                    before |= {name}
                case Run(control=called):
                    if called == control:
                        yield True, before
                    inner = list(follow(names.controls[called].body, before))
                    yield from inner[:-1]
                    before = inner[-1][1]
                case If(then=one, otherwise=other) | Apply(on_hit=one, on_miss=other):
                    if isinstance(statement, Apply):
                        before |= _set_by_actions(names, statement.table)
                    ways = [list(follow(way, before)) for way in (one, other)]
                    for way in ways:
                        yield from way[:-1]
                        before |= way[-1][1]
                case Forward() | Reply() | ToKernel() | Drop() | Multicast():
                    yield False, frozenset()  # what is behind it in the body is not reached
                    return
                case _:
                    pass
        yield False, before

    yield from (before for is_entry, before in follow(names.controls[pipeline.main].body, frozenset()) if is_entry)


def _set_by_actions(names: Names, table: str) -> frozenset[str]:
    actions = [names.actions[reference.name] for reference in names.tables[table].actions]
    return frozenset(
        part.target.name
        for action in actions
        for _, part in walk(action.body)
        if isinstance(part, Assign) and isinstance(part.target, MetaRef)
    )


def _is_behind_a_flag(mutant: Mutant) -> bool:
    assert isinstance(mutant, TextMutant)
    before = text_of(mutant.file, source())[: mutant.after].rstrip().rpartition("\n")[2]
    return before.startswith("\tif (!uses_")


def _is_asked_of_pages(mutant: Mutant) -> bool:
    assert isinstance(mutant, TextMutant)
    before = text_of(mutant.file, source())[: mutant.after].rpartition("bpf_skb_pull_data")[0].rstrip()
    return "linear < headers && linear < length" in before.rpartition("\n")[2]


def _is_undecided_then(mutant: Mutant) -> bool:
    assert isinstance(mutant, TextMutant)
    behind = text_of(mutant.file, source())[mutant.after :].partition("end)")[2]
    return behind.lstrip().startswith("return PACKET_UNDECIDED;")


def _is_renewal_read(_mutant: Mutant) -> bool:
    return 'f"renew {rest}"' in FLOW_TABLE_TESTS.with_name("test_renewing.py").read_text()


EQUIVALENTS = (
    Equivalent(
        named=r"store connections_\w+: rank",
        told_by=r"^- profile \d+ \w+: timeout_ms \d+ rank [12]$",
        reason="an entry is learned in a profile of rank 0, to which all higher ranks are alike: never given up for it",
        holds=_learns_in_rank_0_alone,
    ),
    Equivalent(
        named=r"action translate_\w+: constant",
        told_by=r"^[+].*tcp_flags & 19\) == 2",
        reason="FIN is no longer set where this is asked",
        holds=_is_said_of_other_flags,
    ),
    Equivalent(
        named=r"control check_ipv[46]: (?:drop a statement|other metadata)",
        told_by=r"\A- meta\.error_(?:code|mtu) = 0(?:\n\+ meta\.leg = 0)?\Z",
        reason="metadata is 0 at the start of each packet, and nothing has set it before",
        holds=_is_0_before,
    ),
    Equivalent(
        named=r"pipeline\.bpf\.c (?:apply|find)_\w+: drop a statement 1",
        told_by=r"\A- return missed\(0x[0-9a-f]+\);\n\+ ;\Z",
        reason="a table that cannot have entries has none: the flag only lets the verifier take the look-up out",
        holds=_is_behind_a_flag,
    ),
    Equivalent(
        named=r"pipeline\.bpf\.c (?:apply|find)_\w+: constant",
        told_by=r"^[+] key->side\[1\] = scratch->side;$",
        reason="packets of these checks read side 0 alone; test_atomic_batches.py changes prefixes on both",
        holds=lambda _: "device.insert_entry(prefix(new))" in BATCH_TESTS.read_text(),
    ),
    Equivalent(
        named=r"pipeline\.bpf\.c \w+: constant",
        told_by=r"^[+]\s*scratch->meta\.decided = 2;$",
        reason="it is asked whether it is 0, and nothing else",
        holds=_is_asked_for_0,
    ),
    Equivalent(
        named=r"pipeline\.bpf\.c fast_process: operator",
        told_by=r"\A- if \(data \+ (\d+) > end\)\n\+ if \(data \+ \1 >= end\)\Z",
        reason="a packet that ends just there is left undecided, and the whole program does the same with it",
        holds=_is_undecided_then,
    ),
    Equivalent(
        named=r"packet_tc\.h packet_reach: .*",
        told_by=r"^- bpf_skb_pull_data\(ctx, length < headers \? length : headers\);$",
        reason="a packet of a test run is in one piece; those in pages are test_wire.py's and test_offloads.py's",
        holds=_is_asked_of_pages,
    ),
    Equivalent(
        named=r"execution\.Journey\._learn: .*",
        told_by=r"^- self\._record_learned\(table, slot, is_renewed=True\)$",
        reason="a trace that says 'learn' of what is renewed differs in nothing else; test_renewing.py reads it",
        holds=_is_renewal_read,
    ),
    Equivalent(
        named=r"flow_programs\.h first_of: .*",
        reason="one CPU never learns a key twice; test_flow_table.py puts such an entry there and sees it swept",
        holds=lambda _: (
            "def test_a_sweep_removes_the_second_of_two_entries_with_one_key" in FLOW_TABLE_TESTS.read_text()
        ),
    ),
    Equivalent(
        named=r"flow_table\.h advance: .*",
        told_by=r"^- (?:if \(has_moved|head = |seen = FLOW_SEEN\(seen|has_moved = 1|continue)|^[+] return 1",
        reason="one CPU alone never looks twice, and nobody asks what comes back; test_flow_table_races.py has two",
        holds=lambda _: (
            "def test_both_halves_closed_at_one_instant_are_closed_together"
            in FLOW_TABLE_TESTS.with_name("test_flow_table_races.py").read_text()
        ),
    ),
    Equivalent(
        named=r"flow_programs\.h end_key: .*",
        told_by=r"^- (?:removed \+= done|if \(removed\))",
        reason="how many entries have gone is asked by no check; test_deletions.py compares what comes back",
        holds=lambda _: (
            "Deleted(removed=removed, busy=False)" in FLOW_TABLE_TESTS.with_name("test_deletions.py").read_text()
        ),
    ),
)
