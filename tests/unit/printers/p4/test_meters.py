"""Meters and idle timeouts in both profiles of P4, and in P4Info."""

from __future__ import annotations

import pytest
from finsy.proto import p4i

from compiler.ir.nodes import Pipeline
from compiler.ir.text import from_text
from compiler.ir.verifier import check
from compiler.printers.p4.printing import print_pna, print_v1model
from compiler.printers.p4info import p4info

TEXT = """
pipeline "limits" version "1" main ingress drops dropped
header_type ethernet { dst: 48 src: 48 type: 16 }
header ethernet: ethernet
metadata { ingress_port: 16 color: 2 }
state start { extract ethernet default -> accept }
action 0x01000001 police() { execute_direct into meta.color }
action 0x01000002 miss() { }
table 0x02000001 workload {
  key 1 source: exact(ethernet.src) as mac
  action police in_entries
  action miss as_default
  default miss
  size 16
  meter 0x15000001 bytes single_rate_two_color
  idle_timeout
}
counter 0x12000001 dropped size 2
/// Packets of a port.
meter 0x14000001 line size 512 packets
drop_reason 1 over
control ingress { execute line meta.ingress_port into meta.color apply workload drop over }
"""


@pytest.fixture(scope="module")
def limits() -> Pipeline:
    return check(from_text(TEXT))


def _holds(printed: str, wanted: str) -> bool:
    """Whether lines stand in a text one after the other, wherever they are indented to."""
    lines, block = [line.strip() for line in printed.splitlines()], [line.strip() for line in wanted.splitlines()]
    return any(lines[at : at + len(block)] == block for at in range(len(lines)))


V1MODEL = (
    """\
@id(0x14000001) @name(".line")
@brief("Packets of a port.")
meter<bit<32>>(512, MeterType.packets) line;""",
    """\
@id(0x15000001) @name(".workload_meter")
@single_rate_two_color
direct_meter<bit<2>>(MeterType.bytes) workload_meter;""",
    "workload_meter.read(meta.color);",
    """\
meters = workload_meter;
support_timeout = true;""",
    "line.execute_meter((bit<32>)meta.ingress_port, meta.color);",
)
PNA = (
    """\
@id(0x14000001) @name(".line")
@brief("Packets of a port.")
Meter<bit<32>>(512, PNA_MeterType_t.PACKETS) line;""",
    """\
@id(0x15000001) @name(".workload_meter")
@single_rate_two_color
DirectMeter(PNA_MeterType_t.BYTES) workload_meter;""",
    """\
PNA_MeterColor_t color = workload_meter.execute();
meta.color = color == PNA_MeterColor_t.RED ? 2w2 : (color == PNA_MeterColor_t.YELLOW ? 2w1 : 2w0);""",
    """\
pna_direct_meter = workload_meter;
pna_idle_timeout = PNA_IdleTimeout_t.NOTIFY_CONTROL;""",
    "PNA_MeterColor_t color = line.execute((bit<32>)meta.ingress_port);",
)


@pytest.mark.parametrize("lines", V1MODEL)
def test_v1model(limits: Pipeline, lines: str) -> None:
    assert _holds(print_v1model(limits), lines)


@pytest.mark.parametrize("lines", PNA)
def test_pna(limits: Pipeline, lines: str) -> None:
    assert _holds(print_pna(limits), lines)


def test_p4info(limits: Pipeline) -> None:
    made = p4info(limits)
    assert [(m.preamble.id, m.preamble.name, m.size, m.spec) for m in made.meters] == [
        (0x14000001, "line", 512, p4i.MeterSpec(unit=p4i.MeterSpec.PACKETS))
    ]
    assert [(m.preamble.id, m.preamble.name, m.direct_table_id, m.spec) for m in made.direct_meters] == [
        (
            0x15000001,
            "workload_meter",
            0x02000001,
            p4i.MeterSpec(unit=p4i.MeterSpec.BYTES, type=p4i.MeterSpec.SINGLE_RATE_TWO_COLOR),
        )
    ]
    assert list(made.tables[0].direct_resource_ids) == [0x15000001]
    assert made.tables[0].idle_timeout_behavior == p4i.Table.NOTIFY_CONTROL
