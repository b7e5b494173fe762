"""RECONCILE_AND_COMMIT on the model: what packets have written goes on in the next pipeline, as in the kernel."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from finsy.proto import p4r
from google.protobuf import text_format

from compiler.ir.entries import EntryKey, Exact
from compiler.ir.interpreter.model import Model
from compiler.ir.interpreter.succession import succeed
from compiler.ir.nodes import Pipeline
from compiler.ir.text import from_text, to_text
from compiler.pipeline.assembly import pipeline
from compiler.printers.bundle import Bundle, write_bundle
from compiler.printers.p4info import p4info
from runtime.device.configs import Configs
from runtime.device.journal.journal import Forgetful
from runtime.device.kernel.translation import changed_stores
from runtime.device.modeltarget import ModelTarget
from runtime.device.records import Tally
from tests.differential.metered import colors, frame, metered
from tests.pipelines.relaid import relaid_pipeline
from tests.unit.device.test_learned import FLOW, REVERSE, Setup

REQUEST = p4r.SetForwardingPipelineConfigRequest


def test_learned_entries_in_another_layout() -> None:
    """A flow and its reverse, with what they have counted, and a new argument that is 0."""
    served = Setup()
    served.send()
    served.now_ms += 250
    served.send()
    made = served.target.prepare_after(served.instance, Bundle(pipeline=relaid_pipeline()))
    served.send()
    before = {name: served.read(name % "time_since_last_hit { } counter_data { }") for name in (FLOW, REVERSE)}
    made.activate()
    for text, table in ((FLOW, "flow_ipv4"), (REVERSE, "flow_reverse_ipv4")):
        (learned,), (old,) = made.learned(table), before[text]
        params = made.model.names.actions[learned.action.action].params
        values = dict(zip((param.id for param in params), learned.action.arguments, strict=True))
        assert values.pop(7) == 0
        assert values == {one.param_id: int.from_bytes(one.value, "big") for one in old.action.action.params}
        assert learned.packets == old.counter_data.packet_count
        assert learned.idle_ms * 1_000_000 == old.time_since_last_hit.elapsed_ns
    (flow,) = made.learned("flow_ipv4")
    made.delete_learned(EntryKey(table="flow_ipv4", matches=flow.matches))
    made.commit()
    assert made.learned("flow_reverse_ipv4") == []


def relaid(*changes: tuple[str, str]) -> Pipeline:
    text = to_text(relaid_pipeline())
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return from_text(text)


NARROWER = (
    ("  7 weight: 8,  1 src", "  7 weight: 4,  1 src"),
    ("learn flow_ipv4 translate_ipv4(7:8, ", "learn flow_ipv4 translate_ipv4(7:4, "),
    ("learn flow_reverse_ipv4 translate_reply_ipv4(7:8, ", "learn flow_reverse_ipv4 translate_reply_ipv4(7:4, "),
)


@pytest.mark.parametrize("after", [pipeline(), metered(), relaid(*NARROWER)], ids=["whole", "metered", "narrower"])
def test_what_ends_is_what_ends_in_the_kernel(after: Pipeline) -> None:
    for old, new in ((relaid_pipeline(), after), (after, relaid_pipeline())):
        assert succeed(Model(new), Model(old)) == list(changed_stores(old, new).losses)


def request(given: Pipeline) -> p4r.SetForwardingPipelineConfigRequest:
    config = p4r.ForwardingPipelineConfig(p4info=p4info(given), p4_device_config=write_bundle(given))
    return REQUEST(device_id=1, action=REQUEST.RECONCILE_AND_COMMIT, config=config)


ENTRY = (
    r'table_entry { table_id: 0x02000001 match { field_id: 1 exact { value: "\001" } } idle_timeout_ns: 5000000000 '
    "action { action { action_id: 0x01000001 } } meter_config { cir: 1 cburst: 100 pir: 1 pburst: 100 } }"
)
CELL = "meter_entry { meter_id: 0x14000001 index { index: 1 } config { cir: 1 cburst: 1 pir: 1 pburst: 1 } }"
GREEN, RED = 0, 2


@pytest.mark.parametrize("size", [32, 4, 64])
def test_what_lies_beside_entries(size: int) -> None:
    """Tokens, last hits and counters stay with their entries; of cells those that are left."""
    now_ms = [50_000]
    target = ModelTarget(clock=lambda: now_ms[0], random_bits=lambda _: 0, hash_seed=1)
    configs = Configs(target, Forgetful(), lambda _: True)
    asyncio.run(configs.set(request(metered())))
    for kind, text in ((p4r.Update.INSERT, ENTRY), (p4r.Update.MODIFY, CELL)):
        configs.current.writer.apply(p4r.Update(type=kind, entity=text_format.Parse(text, p4r.Entity())))
    instance = configs.current.instance
    instance.set_tallies("dropped", 0, 2, Tally(3, 4))
    instance.commit()
    key = EntryKey(table="workload", matches=(Exact(value=1),))
    assert colors(target.process(1, frame(1)).egress_port) == (GREEN, GREEN, GREEN)
    now_ms[0] += 700
    whole, cells = metered(), max(2, size // 8)
    after = replace(
        whole,
        version="2",
        tables=tuple(replace(table, size=size) for table in whole.tables),
        counters=tuple(replace(counter, size=cells) for counter in whole.counters),
        meters=tuple(replace(meter, size=size) for meter in whole.meters),
    )
    asyncio.run(configs.set(request(after)))
    instance = configs.current.instance
    assert instance.idle_ms("workload", [key]) == [700]
    assert colors(target.process(1, frame(1)).egress_port) == (RED, RED, GREEN)
    assert instance.direct_tallies("workload", [key]) == [Tally(2, 2 * len(frame(1)))]
    assert [one.packets for one in instance.meter_tallies("line", 1, 1)[0]] == [1, 0, 1]
    assert instance.tallies("dropped", 0, cells) == [Tally(3, 4)] * 2 + [Tally()] * (cells - 2)
