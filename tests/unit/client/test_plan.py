"""Plans: the right difference, in an order that never leaves a reference dangling."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.ir.entries import (
    ActionCall,
    Entries,
    Exact,
    Group,
    GroupRef,
    Member,
    TableEntry,
    WeightedMember,
)
from runtime.client.plan import Entity, Kind, Plan, Step, difference


def member(number: int, address: int) -> Member:
    return Member(
        selector="backends_ipv4", id=number, action=ActionCall(action="to_backend_ipv4", arguments=(address, 80))
    )


def group(number: int, members: tuple[int, ...]) -> Group:
    return Group(
        selector="backends_ipv4", id=number, members=tuple(WeightedMember(member_id=m) for m in sorted(members))
    )


def backend(number: int) -> TableEntry:
    return TableEntry(table="backend_ipv4", matches=(Exact(value=number),), action=GroupRef(group_id=number))


def service(number: int, address: int) -> TableEntry:
    call = ActionCall(action="to_service_ipv4", arguments=(number, 0))
    matches = (Exact(value=1), Exact(value=address), Exact(value=6), Exact(value=80))
    return TableEntry(table="service_ipv4", matches=matches, action=call)


@st.composite
def states(draw: st.DrawFn) -> Entries:
    """Services with groups of members, all references satisfied."""
    members = draw(st.dictionaries(st.integers(1, 6), st.integers(1, 3), min_size=1))
    groups = draw(st.dictionaries(st.integers(1, 4), st.sets(st.sampled_from(sorted(members)))))
    bound = draw(st.sets(st.sampled_from(sorted(groups)))) if groups else set[int]()
    addresses = draw(st.dictionaries(st.integers(1, 5), st.sampled_from(sorted(bound)))) if bound else {}
    return Entries(
        members=tuple(member(m, members[m]) for m in sorted(members)),
        groups=tuple(group(g, tuple(groups[g])) for g in sorted(groups)),
        table_entries=(
            *(backend(g) for g in sorted(bound)),
            *(service(addresses[a], a) for a in sorted(addresses)),
        ),
    )


def key_of(entity: Entity) -> object:
    match entity:
        case TableEntry():
            return entity.key
        case Member() | Group():
            return (type(entity), entity.selector, entity.id)


def all_of(entries: Entries) -> dict[object, Entity]:
    return {key_of(e): e for e in (*entries.members, *entries.groups, *entries.table_entries)}


def perform(held: dict[object, Entity], step: Step) -> None:
    """What a device does with one update, refusing what the specification refuses."""
    key = key_of(step.entity)
    assert (key in held) == (step.kind is not Kind.INSERT)
    if step.kind is Kind.DELETE:
        del held[key]
    else:
        held[key] = step.entity


def dangling(held: dict[object, Entity]) -> list[str]:
    members = {e.id for e in held.values() if isinstance(e, Member)}
    groups = {e.id for e in held.values() if isinstance(e, Group)}
    bound = {e.action.group_id for e in held.values() if isinstance(e, TableEntry) and isinstance(e.action, GroupRef)}
    problems = [
        f"group {e.id}" for e in held.values() if isinstance(e, Group) for m in e.members if m.member_id not in members
    ]
    problems += [f"backend {number}" for number in bound - groups]
    services = (e for e in held.values() if isinstance(e, TableEntry) and e.table == "service_ipv4")
    for entry in services:
        assert isinstance(entry.action, ActionCall)
        if entry.action.arguments[0] not in bound:
            problems.append(f"service {entry.matches}")
    return problems


@settings(max_examples=50, deadline=None)
@given(present=states(), desired=states())
def test_any_two_states(present: Entries, desired: Entries) -> None:
    held = all_of(present)
    for step in difference(present, desired).steps:
        perform(held, step)
        assert dangling(held) == []
    assert held == all_of(desired)


@settings(max_examples=50, deadline=None)
@given(state=states())
def test_equal_states_need_nothing(state: Entries) -> None:
    count = len(state.members) + len(state.groups) + len(state.table_entries)
    assert difference(state, state) == Plan(steps=(), unchanged=count)


def test_a_changed_entity_says_what_it_was() -> None:
    plan = difference(Entries(members=(member(1, 1),)), Entries(members=(member(1, 2),)))
    assert plan.steps == (Step(kind=Kind.MODIFY, entity=member(1, 2), before=member(1, 1)),)


def test_what_nothing_leads_to_goes_first() -> None:
    """As a plan that was stopped leaves it. What something leads to goes behind what replaces it, as do its members."""
    present = Entries(
        members=(member(1, 1), member(2, 2), member(3, 3), member(5, 5)),
        groups=(group(1, (1,)), group(2, (1, 2)), group(4, (5,))),
        table_entries=(backend(1), service(1, 10), backend(4)),
    )
    desired = Entries(members=(member(4, 4),), groups=(group(3, (4,)),), table_entries=(backend(3), service(3, 10)))
    plan = difference(present, desired)
    assert [(str(step.kind), step.entity) for step in plan.steps] == [
        ("-", backend(4)),
        ("-", group(4, (5,))),
        ("-", group(2, (1, 2))),
        ("-", member(5, 5)),
        ("-", member(3, 3)),
        ("-", member(2, 2)),
        ("+", member(4, 4)),
        ("+", group(3, (4,))),
        ("+", backend(3)),
        ("~", service(3, 10)),
        ("-", backend(1)),
        ("-", group(1, (1,))),
        ("-", member(1, 1)),
    ]
    assert plan.unreferred == 6
