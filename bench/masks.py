"""What a table with ternary, range or optional keys costs a packet, by the masks that its entries have; nanoseconds.

Each row is the same program and packet over other entries; the one without a table at all is taken off. A packet that
an entry of the highest priority takes is looked up once; one that nothing, or the last mask, takes as often as there
are masks. Needs root and a BPF compiler:

    sudo .venv/bin/python -m bench.masks [--quick]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from bench.report.figures import Spread
from bench.report.machine import machine, one_line
from bench.report.results import save_json, table
from compiler.ir.entries import ActionCall, Exact, TableEntry, Ternary
from compiler.ir.nodes import Pipeline
from compiler.ir.text import from_text
from runtime.bpf.chains import Hook
from runtime.bpf.testrun import pinned_to_cpu, run_xdp
from runtime.verification.testrun_level import LOOPBACK, TestRunLevel

NAME = "masks"
COUNTS = (0, 1, 2, 4, 8, 16)
ROUNDS, REPEAT = 21, 200_000
PORT = 1
FRAME = bytes(64)
HEADER = ("masks (ns a packet)", "what the packet meets", "min", "median", "max")
TEXT = """
pipeline "masks" version "1" main ingress drops dropped
header_type ethernet { dst: 48  src: 48  type: 16 }
header ethernet: ethernet
metadata { ingress_port: 16  out: 16 }
state start { extract ethernet  default -> accept }
action 0x01000001 allow(1 out: 16) { meta.out = param.out }
action 0x01000002 miss() { }
/// Five fields, as a policy has them.
table 0x02000001 policies {
  key 1 port: exact(meta.ingress_port)
  key 2 dst: ternary(ethernet.dst) as mac
  key 3 src: ternary(ethernet.src) as mac
  key 4 type: ternary(ethernet.type)
  action allow in_entries
  action miss as_default
  default miss
  size 1024
}
counter 0x12000001 dropped size 4
drop_reason 1 denied
hot control ingress {
  apply policies
  if meta.out != 0 { drop denied }
}
"""
Case = tuple[int, str, bytes]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    rounds = 5 if parser.parse_args().quick else ROUNDS
    about, rows, cases = machine(), list[tuple[str, ...]](), list[dict[str, object]]()
    for (count, meets, _), costs in measured(rounds):
        spread = Spread.of(costs)
        rows.append((str(count), meets, *(f"{ns:.0f}" for ns in (spread.min, spread.median, spread.max))))
        cases.append({"masks": count, "meets": meets, "rounds_ns": costs})
    print(f"{one_line(about)}\n\n{table(HEADER, rows)}\n\nThe program without the table is taken off.\n")
    print(save_json(NAME, {"machine": about, "cases": cases}))


def measured(rounds: int) -> list[tuple[Case, list[int]]]:
    """Nanoseconds of each round; all take turns."""
    pipeline = from_text(TEXT)
    cases: list[Case] = [(count, "no entry", FRAME) for count in COUNTS]
    cases += [(count, "the highest priority", first_taken()) for count in COUNTS if count]
    costs: list[list[int]] = [[] for _ in cases]
    with pinned_to_cpu(), without_table(pipeline) as empty:
        levels = [TestRunLevel(pipeline, Hook.XDP, traces=False) for _ in cases]
        for level, (count, _, _) in zip(levels, cases, strict=True):
            level.add_port(PORT)
            level.interfaces.put(LOOPBACK, PORT)
            level.insert(*entries(count))
        for _ in range(rounds):
            for (_, _, frame), level, into in zip(cases, levels, costs, strict=True):
                into.append(ran(level, frame) - ran(empty, frame))
        for level in levels:
            level.close()
    return list(zip(cases, costs, strict=True))


def without_table(pipeline: Pipeline) -> TestRunLevel:
    level = TestRunLevel(pipeline, Hook.XDP, traces=False, flags={"uses_policies": 0})
    level.add_port(PORT)
    level.interfaces.put(LOOPBACK, PORT)
    return level


def ran(level: TestRunLevel, frame: bytes) -> int:
    return run_xdp(level.program.fd, frame, repeat=REPEAT).duration_ns


def first_taken() -> bytes:
    """The frame that the entry of the highest priority takes."""
    return (1 << 47).to_bytes(6, "big") + FRAME[6:]


def entries(count: int) -> Sequence[TableEntry]:
    """One for each mask, the first of the highest priority."""
    full, any_mac = (1 << 48) - 1, Ternary(value=0, mask=0)
    return [
        TableEntry(
            table="policies",
            matches=(
                Exact(value=PORT),
                Ternary(value=1 << 47, mask=full ^ (1 << at) - 1),
                any_mac,
                Ternary(value=0, mask=0xFFFF),
            ),
            action=ActionCall(action="allow", arguments=(1,)),
            priority=100 - at,
        )
        for at in range(count)
    ]


if __name__ == "__main__":
    main()
