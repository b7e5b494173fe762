"""A switch that tells the controller where addresses are: the classic use of digests."""

from __future__ import annotations

from functools import cache

from compiler.ir.nodes import Pipeline
from compiler.ir.text import from_text
from compiler.ir.verifier import check

TEXT = """
/// Forwards by destination, tells of unknown sources.
pipeline "digests" version "1" main ingress drops dropped

header_type ethernet { dst: 48  src: 48  type: 16 }
header ethernet: ethernet
metadata { ingress_port: 16  egress_port: 16 }

/// Where an unknown address is.
digest 0x17000001 mac_learn { port: 16  src: 48 }
/// A frame of a type that is looked for.
digest 0x17000002 odd_type { type: 16  wide: 64  flag: 1 }

state start { extract ethernet default -> accept }

action 0x01000001 miss() { }
/// The address is known.
action 0x01000002 known() { }
/// Out of a port.
action 0x01000003 to_port(1 port: 16) { meta.egress_port = param.port }

/// Addresses that the controller knows.
table 0x02000001 source {
  key 1 address: exact(ethernet.src) as mac
  action known in_entries
  action miss as_default
  default miss
  size 1024
}
/// Where addresses are.
table 0x02000002 destination {
  key 1 address: exact(ethernet.dst) as mac
  action to_port in_entries
  action miss as_default
  default miss
  size 1024
}

counter 0x12000001 dropped size 8
/// No entry for the destination.
drop_reason 1 unknown_destination

/// All of it.
control ingress {
  apply source { miss { digest mac_learn { src = ethernet.src  port = meta.ingress_port } } }
  if ethernet.type == 0x9999 {
    digest odd_type { type = ethernet.type  wide = extend(ethernet.src, 64)  flag = 1 }
  }
  apply destination { miss { drop unknown_destination } }
  forward meta.egress_port
}
"""


@cache
def digests() -> Pipeline:
    return check(from_text(TEXT))


@cache
def named_digests() -> Pipeline:
    """The same with types of ports and of addresses, which controllers know by names."""
    text = TEXT
    for plain, typed in (
        (
            "/// Where an unknown",
            'type port_id: 16 ports string "turnout.dev/port"\ntype host: 48 string ""\n\n/// Where an unknown',
        ),
        ("port: 16  src: 48 }", "port: 16 type port_id  src: 48 type host }"),
        ("wide: 64", "wide: 48 type host"),
        ("extend(ethernet.src, 64)", "ethernet.src"),
        ("key 1 address: exact(ethernet.src) as mac", "key 1 address: exact(ethernet.src) type host"),
    ):
        assert plain in text, plain
        text = text.replace(plain, typed, 1)
    return check(from_text(text))
