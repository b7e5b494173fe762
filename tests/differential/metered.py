"""A pipeline that does nothing but meter: each packet goes out of the port that its three colours are the number of.

Meter `line` counts packets of a port, `excess` bytes by one rate, and each entry of table `workload` has a meter of its
own.
"""

from __future__ import annotations

from functools import cache

from compiler.ir.entries import ActionCall, Exact, MeterConfig, TableEntry
from compiler.ir.nodes import Pipeline
from compiler.ir.text import from_text
from compiler.ir.verifier import check

TEXT = """
/// Packets go out of the port that their colours are the number of.
pipeline "metered" version "1" main ingress drops dropped

header_type ethernet { dst: 48  src: 48  type: 16 }
header ethernet: ethernet
metadata { ingress_port: 16  line_color: 2  entry_color: 2  excess_color: 2 }
state start { extract ethernet  default -> accept }

/// Meter what an entry's workload sends.
action 0x01000001 police() { execute_direct into meta.entry_color }
action 0x01000002 pass() { }
action 0x01000003 miss() { }

/// Workloads by their MAC address.
table 0x02000001 workload {
  key 1 source: exact(ethernet.src) as mac
  action police in_entries
  action pass in_entries
  action miss as_default
  default miss
  size 64
  counter 0x13000001
  meter 0x15000001 bytes
  idle_timeout
}

counter 0x12000001 dropped size 2
/// Packets of each port.
meter 0x14000001 line size 32 packets
/// Bytes of each port, by one rate.
meter 0x14000002 excess size 32 bytes single_rate_three_color
drop_reason 1 unwanted

control ingress {
  execute line meta.ingress_port into meta.line_color
  execute excess meta.ingress_port into meta.excess_color
  apply workload
  forward concat(0:10, meta.line_color, meta.entry_color, meta.excess_color)
}
"""


@cache
def metered() -> Pipeline:
    return check(from_text(TEXT))


def workload(source: int, meter: MeterConfig | None = None, action: str = "police") -> TableEntry:
    return TableEntry(table="workload", matches=(Exact(value=source),), action=ActionCall(action=action), meter=meter)


def frame(source: int, length: int = 64) -> bytes:
    return (b"\x02\0\0\0\0\x01" + source.to_bytes(6, "big") + b"\x88\xb5").ljust(length, b"\0")


def colors(egress_port: int | None) -> tuple[int, int, int]:
    """Of the line, the entry, and the excess meter."""
    assert egress_port is not None
    return egress_port >> 4 & 3, egress_port >> 2 & 3, egress_port & 3
