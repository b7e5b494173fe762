"""What a known flow costs in the flow table: find, touch, advance; nanoseconds above the same program without them.

Keys are shuffled, so that the table is not read in the order in which it was filled. Programs alternate within a
round, so what the machine does meanwhile hits both. Needs root and a BPF compiler:

    sudo .venv/bin/python -m bench.flow_table [--quick]
"""

from __future__ import annotations

import argparse
import random
import struct
from pathlib import Path

from bench.report.figures import Spread
from bench.report.machine import machine, one_line
from bench.report.results import save_json, table
from runtime.bpf.object import LoadSettings, Object, load
from runtime.bpf.testrun import pinned_to_cpu, run_syscall, run_xdp
from runtime.bpf.toolchain import compile_c

NAME = "flow_table"
ROOT = Path(__file__).resolve().parents[1]
SOURCE = Path(__file__).with_suffix(".bpf.c")
INCLUDE = ROOT / "ebpf" / "include"
FLOWS = (1, 4_096, 65_536, 1_000_000)
QUICK_FLOWS = FLOWS[:-1]
ROUNDS, REPEAT = 21, 100_000
FILLED_AT_ONCE = 256
FRAME = bytes(64)
DROP = 1
HEADER = ("flows (ns a packet)", "slots", "min", "median", "max")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="no million flows, in a few seconds")
    about = machine()
    rows: list[tuple[str, ...]] = []
    cases: list[dict[str, object]] = []
    for flows in QUICK_FLOWS if parser.parse_args().quick else FLOWS:
        slots, costs = measured(flows)
        spread = Spread.of(costs)
        rows.append((f"{flows:,}", f"{slots:,}", *(f"{ns:.0f}" for ns in (spread.min, spread.median, spread.max))))
        cases.append({"flows": flows, "slots": slots, "rounds_ns": costs})
    print(f"{one_line(about)}\n\n{table(HEADER, rows)}\n\nThe harness is taken off.\n")
    print(save_json(NAME, {"machine": about, "cases": cases}))


def measured(flows: int) -> tuple[int, list[int]]:
    """How many slots there were, and nanoseconds of each round."""
    keys = 1 << (flows - 1).bit_length()
    slots = max(1 << 18, 4 * keys)
    elf = compile_c(
        SOURCE.read_text(),
        name=SOURCE.name,
        include_dirs=[INCLUDE],
        defines={"KEYS": str(keys), "SLOTS": str(slots)},
    )
    with pinned_to_cpu(), load(elf, LoadSettings(constants={"hash_seed": 0x5EED})) as loaded:
        return slots, measure(loaded, flows, keys)


def measure(loaded: Object, flows: int, keys: int) -> list[int]:
    """Nanoseconds of each round."""
    order = [struct.pack("=QQ", 1 << 48 | index * 2654435761 % (1 << 32), 2 << 48 | index) for index in range(flows)]
    write_keys(loaded, order, keys)
    fill(loaded, flows)
    random.Random(0).shuffle(order)
    write_keys(loaded, order, keys)
    known, nothing = loaded.program("known").fd, loaded.program("nothing").fd
    run_xdp(known, FRAME, repeat=max(REPEAT, flows))
    costs: list[int] = []
    for _ in range(ROUNDS):
        empty = run_xdp(nothing, FRAME, repeat=REPEAT).duration_ns
        ran = run_xdp(known, FRAME, repeat=REPEAT)
        if ran.verdict != DROP:
            raise SystemExit("a flow that was learned is not found")
        costs.append(ran.duration_ns - empty)
    return costs


def write_keys(loaded: Object, order: list[bytes], keys: int) -> None:
    """Fill the map of keys, the flows over again where there are fewer than keys."""
    whole = b"".join(order)
    with loaded.map("keys").memory() as memory:
        memory[: 16 * keys] = (whole * -(-keys // len(order)))[: 16 * keys]


def fill(loaded: Object, flows: int) -> None:
    program = loaded.program("fill").fd
    for first in range(0, flows, FILLED_AT_ONCE):
        left = run_syscall(program, struct.pack("=III", first, 0, 0)).context
        if struct.unpack("=III", left)[2]:
            raise SystemExit("the store is full: too many of these keys share a set")


if __name__ == "__main__":
    main()
