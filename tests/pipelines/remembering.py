"""A switch that remembers for a while where a sender was sent last, beside flows: two stores for one packet."""

from __future__ import annotations

from functools import cache

from compiler.ir.nodes import Pipeline
from compiler.ir.text import from_text
from compiler.ir.verifier import check

SLOTS = 8
"""Two sets, so that entries push each other out."""
MEMORY_MS = 1000
TEXT = f"""
/// The first frame between two stations goes where the sender's last first frame went, if that was not long ago.
pipeline "remembering" version "1" main ingress drops dropped

header_type ethernet {{ dst: 48  src: 48  type: 16 }}
header ethernet: ethernet
metadata {{ ingress_port: 16  out: 16  until: 64 }}

state start {{ extract ethernet  default -> accept }}

store flows {{
  size {SLOTS}  ways 4
  profile 1 fresh: timeout_ms 5000 rank 0
  profile 2 used: timeout_ms 5000 rank 1
  events data
  on fresh data -> used
}}

store senders {{
  size {SLOTS}  ways 4
  profile 1 seen: timeout_ms 60000 rank 0
  events data
  on seen data -> seen
}}

action 0x01000001 miss() {{ }}
action 0x01000002 going(1 out: 16) {{ meta.out = param.out  advance data }}
action 0x01000004 coming(1 out: 16) {{ meta.out = param.out  advance data }}
action 0x01000003 sent_to(1 out: 16, 2 until: 64) {{ meta.out = param.out  meta.until = param.until }}

table 0x02000001 flow {{
  key 1 dst: exact(ethernet.dst) as mac
  key 2 src: exact(ethernet.src) as mac
  action going in_entries
  action miss as_default
  default miss
  size {SLOTS}
  store flows
}}

table 0x02000002 back {{
  key 1 dst: exact(ethernet.src) as mac
  key 2 src: exact(ethernet.dst) as mac
  action coming in_entries
  action miss as_default
  default miss
  size {SLOTS}
  store flows
}}

table 0x02000003 sender {{
  key 1 src: exact(ethernet.src) as mac
  action sent_to in_entries
  action miss as_default
  default miss
  size {SLOTS}
  store senders
}}

counter 0x12000001 dropped size 8
/// No room for both halves of a flow.
drop_reason 1 full

control ingress {{
  apply flow {{ miss {{ run first }} }}
  forward meta.out
}}

/// Where a sender's frames have gone of late, or where its type says.
control first {{
  apply sender
  if meta.until <= now() {{ meta.out = ethernet.type }}
  renew sender sent_to(meta.out, now() + {MEMORY_MS}) profile 1:8
  apply back {{
    miss {{
      learn flow going(meta.out) profile 1:8 full {{ drop full }}
      learn back coming(meta.ingress_port) profile 1:8 full {{ drop full }}
    }}
  }}
}}
"""


@cache
def remembering() -> Pipeline:
    return check(from_text(TEXT, path="remembering.ir"))


@cache
def beside_pairs() -> Pipeline:
    """The same in one store: what is remembered lies among the halves of flows."""
    text = TEXT[: TEXT.index("store senders")] + TEXT[TEXT.index("action 0x01000001") :]
    text = text.replace("key 1 src: exact(ethernet.src) as mac\n  action sent_to", f"{_KEYS}\n  action sent_to")
    renewal = f"  renew sender sent_to(meta.out, now() + {MEMORY_MS}) profile 1:8\n"
    end = "    }\n  }\n}\n"
    text = text.replace(renewal, "").removesuffix(end) + end.removesuffix("}\n") + renewal + "}\n"
    for action, argument in (("going", "meta.out"), ("coming", "meta.ingress_port")):
        text = text.replace(f"{action}(1 out: 16)", f"{action}(1 out: 16, 2 until: 64)")
        text = text.replace(f"{action}({argument})", f"{action}({argument}, 0:64)")
    return check(from_text(text.replace("store senders", "store flows"), path="remembering.ir"))


_KEYS = "key 1 src: exact(ethernet.src) as mac\n  key 2 none: exact(0:48)"


def frame(dst: int, src: int, kind: int) -> bytes:
    return dst.to_bytes(6, "big") + src.to_bytes(6, "big") + kind.to_bytes(2, "big") + bytes(46)
