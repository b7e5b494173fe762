"""Learned entries of the model target, through the same writer and reader as everything else."""

from __future__ import annotations

import pytest
from finsy.proto import p4r
from google.protobuf import text_format
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from compiler.ir.entries import ActionCall, Exact, Group, GroupRef, Lpm, Member, TableEntry, WeightedMember
from compiler.ir.interpreter import VerdictKind
from compiler.pipeline.assembly import pipeline
from compiler.printers.bundle import Bundle
from runtime.device.contents import empty_contents
from runtime.device.modeltarget import ModelTarget
from runtime.device.reads import Reader
from runtime.device.schema import schema
from runtime.device.target import PipelineRefusedError
from runtime.device.updates import Writer

CLIENT, BACKEND, VIP = 0x0A000002, 0x0A000003, 0x0A60000A
FLOW, REVERSE = "table_entry { table_id: 0x02000011 %s }", "table_entry { table_id: 0x02000012 %s }"


class Setup:
    """A model with one UDP service, a clock that is set by hand, and its writer and reader."""

    def __init__(self) -> None:
        self.now_ms = 1000
        self.target = ModelTarget(clock=lambda: self.now_ms, random_bits=lambda _: 0, hash_seed=1)
        self.instance = self.target.prepare(Bundle(pipeline=pipeline()))
        codecs = schema(pipeline())
        contents = empty_contents(pipeline(), tuple(codecs.tables.values()))
        self.writer = Writer(codecs, contents, self.instance)
        self.reader = Reader(codecs, contents, self.instance)
        self._fill()
        self.instance.activate()

    def _fill(self) -> None:
        backend = ActionCall(action="to_backend_ipv4", arguments=(BACKEND, 5353))
        self.instance.insert_member(Member(selector="backends_ipv4", id=1, action=backend))
        group = Group(selector="backends_ipv4", id=1, members=(WeightedMember(member_id=1),))
        self.instance.insert_group(group)
        rows: list[tuple[str, tuple[int, ...], str, tuple[int, ...]]] = [
            ("port", (16, 0), "set_workload", (1, 16)),
            ("neighbor", (16,), "deliver", (1, 16, 1500, 2, 3, 0)),
            ("neighbor", (17,), "deliver", (1, 17, 1500, 2, 3, 0)),
            ("service_ipv4", (1, VIP, 17, 53), "to_service_ipv4", (1, VIP, 0)),
        ]
        for table, key, action, arguments in rows:
            matches = tuple(Exact(value=value) for value in key)
            call = ActionCall(action=action, arguments=arguments)
            self.instance.insert_entry(TableEntry(table=table, matches=matches, action=call))
        route = (Exact(value=1), Lpm(value=BACKEND, prefix_len=32))
        via = ActionCall(action="via", arguments=(17,))
        self.instance.insert_entry(TableEntry(table="route_ipv4", matches=route, action=via))
        entry = TableEntry(table="backend_ipv4", matches=(Exact(value=1),), action=GroupRef(group_id=1))
        self.instance.insert_entry(entry)

    def send(self) -> bytes:
        frame = bytes(Ether() / IP(src="10.0.0.2", dst="10.96.0.10") / UDP(sport=4000, dport=53) / b"question")
        outcome = self.target.process(16, frame)
        assert (outcome.verdict, outcome.egress_port) == (VerdictKind.FORWARD, 17)
        return frame

    def read(self, text: str) -> list[p4r.TableEntry]:
        entity = text_format.Parse(text, p4r.Entity())
        pieces = (p4r.ReadResponse.FromString(piece) for piece in self.reader.answer(entity))
        return [one.table_entry for piece in pieces for one in piece.entities]


@pytest.fixture
def served() -> Setup:
    return Setup()


def test_what_a_connection_leaves(served: Setup) -> None:
    length = len(served.send())
    served.now_ms += 250
    served.send()
    served.now_ms += 100
    (flow,) = served.read(FLOW % "time_since_last_hit { } counter_data { }")
    assert flow.idle_timeout_ns == 120_000_000_000
    assert flow.time_since_last_hit.elapsed_ns == 100_000_000
    assert flow.counter_data == p4r.CounterData(packet_count=1, byte_count=length)
    assert flow.action.action.action_id == 0x01000011
    assert [m.exact.value for m in flow.match] == [
        b"\1",
        b"\2",
        b"\x11",
        b"\x0a\0\0\2",
        b"\x0a\x60\0\x0a",
        b"\x0f\xa0",
        b"5",
    ]
    assert [p.value for p in flow.action.action.params][4:] == [b"\x11", b"\1"]
    (plain,) = served.read(FLOW % "")
    assert not plain.HasField("time_since_last_hit")
    assert not plain.HasField("counter_data")
    assert len(served.read("table_entry { }")) == 2


def test_one_entry_by_its_key(served: Setup) -> None:
    served.send()
    (flow,) = served.read(FLOW % "")
    key = " ".join(f"match {{ {text_format.MessageToString(m, as_one_line=True)} }}" for m in flow.match)
    assert served.read(FLOW % key) == [flow]
    assert served.read(REVERSE % key) == []
    assert served.read(FLOW % "action { action { action_id: 0x01000011 } }") == [flow]
    assert served.read(FLOW % "action { action { action_id: 0x01000001 } }") == []
    assert served.read(FLOW % "metadata: 'x'") == []
    cell = text_format.Parse(f"direct_counter_entry {{ table_entry {{ table_id: 0x02000011 {key} }} }}", p4r.Entity())
    (cells,) = map(p4r.ReadResponse.FromString, served.reader.answer(cell))
    assert cells.entities[0].direct_counter_entry.table_entry.match == flow.match


def test_a_pair_is_deleted_together(served: Setup) -> None:
    served.send()
    (flow,) = served.read(FLOW % "")
    update = p4r.Update(type=p4r.Update.DELETE)
    update.entity.table_entry.CopyFrom(flow)
    served.writer.apply(update)
    assert served.read("table_entry { }") == []
    served.writer.apply(update)  # gone already: see Writer


def test_old_entries_go(served: Setup) -> None:
    served.send()
    served.now_ms += 30_001
    served.instance.tick()
    assert served.read("table_entry { }") == []


def test_without_an_active_pipeline_nothing_is_processed(served: Setup) -> None:
    served.instance.close()
    with pytest.raises(PipelineRefusedError, match="no pipeline is active"):
        served.target.process(16, b"")
