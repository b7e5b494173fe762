"""Keys and values of many entries against the layout's own codecs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from compiler.ir.entries import ActionCall, Exact, Lpm, MatchValue
from compiler.ir.expressions import width_bits
from compiler.ir.nodes import Pipeline
from compiler.ir.tables import MatchKind, Table
from compiler.ir.text import from_text
from compiler.ir.verifier import check
from compiler.pipeline.assembly import pipeline as whole_pipeline
from compiler.printers.layout import GroupSlice, layout
from runtime.device.kernel.packing import call_packer, group_packer, key_packer, value_packer
from runtime.device.keyforms import KeyForm

WHOLE: Pipeline = whole_pipeline()
PLAIN = check(from_text((Path(__file__).parents[2] / "conformance" / "pipelines" / "plain.ir").read_text()))
PACKED = frozenset({MatchKind.EXACT, MatchKind.LPM})
KEYED = [
    (pipeline, table)
    for pipeline in (WHOLE, PLAIN)
    for table in pipeline.tables
    if table.store is None and table.keys and all(key.match in PACKED for key in table.keys)
]
ACTIONS = {action.name: action for action in WHOLE.actions}


@st.composite
def matches(draw: st.DrawFn, table: Table) -> tuple[MatchValue, ...]:
    found: list[MatchValue] = []
    for key in table.keys:
        width = width_bits(key.expr)
        if key.match is MatchKind.EXACT:
            found.append(Exact(value=draw(st.integers(0, (1 << width) - 1))))
        else:
            length = draw(st.integers(0, width))
            value = draw(st.integers(0, (1 << length) - 1)) << (width - length)
            found.append(Lpm(value=value, prefix_len=length))
    return tuple(found)


@given(st.data())
def test_keys(data: st.DataObject) -> None:
    pipeline, table = data.draw(st.sampled_from(KEYED))
    given_matches = data.draw(matches(table))
    form, plan = KeyForm(table.keys), layout(pipeline).table(table.name)
    packed = key_packer(plan)(form.key_of(given_matches))
    assert packed == plan.encode_key(given_matches)


@given(st.data())
def test_values(data: st.DataObject) -> None:
    table = data.draw(st.sampled_from([table for pipeline, table in KEYED if pipeline is WHOLE and not table.selector]))
    plan, counter = layout(WHOLE).table(table.name), data.draw(st.integers(0, (1 << 32) - 1))
    action = ACTIONS[data.draw(st.sampled_from([ref.name for ref in table.actions if ref.in_entries]))]
    arguments = tuple(data.draw(st.integers(0, (1 << one.width_bits) - 1)) for one in action.params)
    call = ActionCall(action=action.name, arguments=arguments)
    assert value_packer(plan)(call, counter) == plan.encode_value(call, counter)


@given(st.data())
def test_members(data: st.DataObject) -> None:
    plans = [table.selector for table in layout(WHOLE).tables if table.selector is not None]
    member, number = data.draw(st.sampled_from(plans)).member, data.draw(st.integers(0, (1 << 16) - 1))
    action = ACTIONS[data.draw(st.sampled_from([one.name for one in member.actions]))]
    arguments = tuple(data.draw(st.integers(0, (1 << one.width_bits) - 1)) for one in action.params)
    call = ActionCall(action=action.name, arguments=arguments)
    assert call_packer(member)(call, number) == member.encode(call, number)


@given(st.data())
def test_groups(data: st.DataObject) -> None:
    """Of tables whose packets are counted, and of others; with a cycle of turns or without."""
    table = data.draw(st.sampled_from([table for pipeline, table in KEYED if pipeline is WHOLE and table.selector]))
    plan, counter = layout(WHOLE).table(table.name), data.draw(st.integers(0, (1 << 32) - 1))
    size = data.draw(st.integers(0, 1 << 20))
    group = GroupSlice(offset=data.draw(st.integers(0, 1 << 20)), size=size, cycle=data.draw(st.integers(0, size)))
    assert group_packer(plan)(group, counter) == plan.encode_group(replace(group, counter=counter))
