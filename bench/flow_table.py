"""What a known flow costs in the flow table: find, touch, advance; nanoseconds above the same program without them.

Keys are shuffled, so that the table is not read in the order in which it was filled. Programs alternate within a
round, so what the machine does meanwhile hits both. Needs root and a BPF compiler:

    sudo .venv/bin/python -m bench.flow_table
"""

from __future__ import annotations

import random
import statistics
import struct
from pathlib import Path

from runtime.bpf.object import LoadSettings, Object, load
from runtime.bpf.testrun import pinned_to_cpu, run_syscall, run_xdp
from runtime.bpf.toolchain import compile_c

ROOT = Path(__file__).resolve().parents[1]
SOURCE = Path(__file__).with_suffix(".bpf.c")
INCLUDE = ROOT / "ebpf" / "include"
FLOWS = (1, 4_096, 65_536, 1_000_000)
ROUNDS = 9
REPEAT = 300_000
FILLED_AT_ONCE = 256
FRAME = bytes(64)
DROP = 1


def main() -> None:
    print(f"{'flows':>9} {'slots':>9} {'min':>6} {'median':>6} {'max':>6}  ns a packet (harness taken off)")
    for flows in FLOWS:
        keys = 1 << (flows - 1).bit_length()
        slots = max(1 << 18, 4 * keys)
        elf = compile_c(
            SOURCE.read_text(),
            name=SOURCE.name,
            include_dirs=[INCLUDE],
            defines={"KEYS": str(keys), "SLOTS": str(slots)},
        )
        with pinned_to_cpu(), load(elf, LoadSettings(constants={"hash_seed": 0x5EED})) as loaded:
            costs = measure(loaded, flows, keys)
        print(f"{flows:>9,} {slots:>9,} {min(costs):>6} {statistics.median(costs):>6.0f} {max(costs):>6}")


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
