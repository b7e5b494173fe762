"""What p4c says to the printed programs, and the P4Info it makes of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from finsy.proto import p4i
from google.protobuf import text_format

from compiler.ir.nodes import Pipeline
from compiler.pipeline.offload import offload_pipeline
from compiler.pipeline.portable import portable_pipeline
from compiler.printers.p4.printing import print_pna, print_v1model
from compiler.printers.v1model_p4info import v1model_p4info
from runtime.verification.bmv2_switch import P4C, P4TEST
from tests.conformance.fuzzing.subjects import named_pipeline
from tests.differential.metered import metered
from tests.pipelines.acl import acl_pipeline
from tests.pipelines.controllers import controllers
from tests.pipelines.digests import digests
from tests.pipelines.fixed import fixed_pipeline
from tests.unit.printers.p4.peers import compiled, tool

pytestmark = pytest.mark.peer
EXPECTED_WARNINGS = (
    "DROP_FLOW_TABLE_FULL' is unused",
    "Target does not support default_action for .backend_ipv",
    "Target does not support default_action for .proxy_ipv",
)
"""A digest cannot fail; a miss of a table with a selector does nothing, which is what its default action does."""


SMALL = {
    "acl": acl_pipeline,
    "controllers": controllers,
    "digests": digests,
    "fixed": fixed_pipeline,
    "metered": metered,
    **{
        name: partial(named_pipeline, name)
        for name in ("kinds", "metered", "plain", "referring", "named", "replicating")
    },
}
"""Pipelines with what the large one has no use for. They may leave parts unused."""


def _sorted(info: p4i.P4Info) -> p4i.P4Info:
    """Parts by id: their order means nothing."""
    made = p4i.P4Info()
    made.CopyFrom(info)
    made.tables.sort(key=lambda part: part.preamble.id)
    made.actions.sort(key=lambda part: part.preamble.id)
    made.action_profiles.sort(key=lambda part: part.preamble.id)
    made.counters.sort(key=lambda part: part.preamble.id)
    made.direct_counters.sort(key=lambda part: part.preamble.id)
    made.digests.sort(key=lambda part: part.preamble.id)
    for table in made.tables:
        table.action_refs.sort(key=lambda ref: ref.id)
    return made


def test_p4c_takes_the_v1model_program_and_makes_our_p4info(tmp_path: Path) -> None:
    program, info = tmp_path / "pipeline.p4", tmp_path / "p4info.txtpb"
    program.write_text(print_v1model(portable_pipeline(), {"service_ipv4": ("shop.yaml:1 DpuService shop/web",)}))
    command = [tool(P4C), "--std", "p4-16", "--p4runtime-files", info, "-o", tmp_path / "pipeline.json", program]
    warnings = [line for line in compiled([str(word) for word in command]).splitlines() if "warning:" in line]
    assert [line for line in warnings if not any(words in line for words in EXPECTED_WARNINGS)] == []
    theirs, ours = text_format.Parse(info.read_text(), p4i.P4Info()), v1model_p4info(portable_pipeline())
    assert _without_meter_types(_sorted(theirs)) == _without_meter_types(_sorted(ours))


@pytest.mark.parametrize("make", SMALL.values(), ids=SMALL)
def test_p4c_makes_our_p4info_of_small_programs(make: Callable[[], Pipeline], tmp_path: Path) -> None:
    program, info = tmp_path / "pipeline.p4", tmp_path / "p4info.txtpb"
    program.write_text(print_v1model(make()))
    compiled([tool(P4C), "--std", "p4-16", "--p4runtime-files", info, "-o", tmp_path / "pipeline.json", program])
    theirs, ours = _sorted(text_format.Parse(info.read_text(), p4i.P4Info())), _sorted(v1model_p4info(make()))
    assert _as_p4c_says(theirs) == _as_p4c_says(ours)


def _without_meter_types(info: p4i.P4Info) -> p4i.P4Info:
    """p4c 1.2.5 takes them for any other annotation."""
    for meter in (*info.meters, *info.direct_meters):
        meter.spec.ClearField("type")
        kept = [word for word in meter.preamble.annotations if "_rate_" not in word]
        del meter.preamble.annotations[:]
        meter.preamble.annotations.extend(kept)
    return info


def _as_p4c_says(info: p4i.P4Info) -> p4i.P4Info:
    """Without what p4c 1.2.5 does not know: types of meters, words about digests, the shortest form of values."""
    _without_meter_types(info)
    for part in (*info.digests, *info.controller_packet_metadata):
        part.preamble.ClearField("doc")
    for argument in (a for table in info.tables for a in table.initial_default_action.arguments):
        argument.value = argument.value.lstrip(b"\0") or b"\0"
    if not info.type_info.ListFields():
        info.ClearField("type_info")
    return info


def test_p4test_takes_the_pna_program(tmp_path: Path) -> None:
    program = tmp_path / "pipeline.p4"
    program.write_text(print_pna(offload_pipeline()))
    warnings = compiled([tool(P4TEST), str(program)])
    assert [line for line in warnings.splitlines() if "warning:" in line and "is unused" not in line] == []


def test_p4c_makes_p4info_of_the_pna_program(tmp_path: Path) -> None:
    """The contract, but for the default actions that learn and the properties that PNA has words of its own for."""
    program, info = tmp_path / "pipeline.p4", tmp_path / "p4info.txtpb"
    program.write_text(print_pna(offload_pipeline()))
    compiled([tool(P4TEST), "--arch", "pna", "--p4runtime-files", str(info), str(program)])
    theirs, ours = text_format.Parse(info.read_text(), p4i.P4Info()), v1model_p4info(portable_pipeline())
    learners = {
        f"learn_{table.name}": 0x01800000 | table.id & 0xFFFF for table in portable_pipeline().tables if table.store
    }
    extra = {a.preamble.name: a.preamble.id for a in theirs.actions if a.preamble.name in learners}
    assert extra == learners
    assert {t.preamble.id: [(m.id, m.name, m.bitwidth) for m in t.match_fields] for t in theirs.tables} == {
        t.preamble.id: [(m.id, m.name, m.bitwidth) for m in t.match_fields] for t in ours.tables
    }
    known = [action for action in theirs.actions if action.preamble.name not in learners]
    assert sorted(known, key=lambda a: a.preamble.id) == sorted(ours.actions, key=lambda a: a.preamble.id)
