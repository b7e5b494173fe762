"""How fast `turnout device` takes writes, and what many entries cost it: seconds, memory, a restart.

The client is a process of its own and speaks gRPC over a unix socket; the device validates every update, keeps its
journal, and (kernel target) fills eBPF maps. Needs root and a BPF compiler for the kernel target:

    sudo .venv/bin/python -m bench.device [--quick] [--entries N] [--target kernel|model]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from finsy.proto import p4r

from bench.control.device_process import Client, Device
from bench.control.pictures import draw
from bench.control.writing import Kept, Written, kept, kinds, singles
from bench.report.figures import Spread
from bench.report.machine import machine, one_line
from bench.report.results import save_json, table
from compiler.ir.text import from_text
from compiler.ir.verifier import check
from compiler.printers.bundle import write_bundle
from compiler.printers.ebpf.printing import INCLUDE, print_c
from compiler.printers.p4info import p4info
from runtime.bpf.toolchain import compile_c

NAME = "device"
TARGETS = ("kernel", "model")
UPDATES, SINGLES, ENTRIES = 50_000, 500, 1_000_000
QUICK_UPDATES, QUICK_SINGLES, QUICK_ENTRIES = 10_000, 100, 50_000
BATCH_HEADER = ("batches of 1,000", "target", "updates", "a second", "ms: median", "most", "device CPU, us each")
SINGLE_HEADER = ("one update each", "target", "writes", "ms: least", "median", "99 %")
KEPT_HEADER = (
    "entries kept",
    "target",
    "load s",
    "read s",
    "journal MB",
    "memory MB",
    "restart s",
    "MB after",
    "whole",
)
Found = tuple[Sequence[Written], Sequence[Written], Kept]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer of all")
    parser.add_argument("--entries", type=int, help="how many entries are kept over a restart")
    parser.add_argument("--target", choices=TARGETS, help="this one alone")
    given = parser.parse_args()
    updates, single = (QUICK_UPDATES, QUICK_SINGLES) if given.quick else (UPDATES, SINGLES)
    entries = given.entries or (QUICK_ENTRIES if given.quick else ENTRIES)
    about = machine()
    found = {
        target: measured(target, updates, single, entries) for target in ([given.target] if given.target else TARGETS)
    }
    print(f"{one_line(about)}\n\n{shown(found)}\n")
    print(save_json(NAME, {"machine": about, "targets": {target: _record(one) for target, one in found.items()}}))
    print(draw(found, NAME))


def measured(target: str, updates: int, single: int, entries: int) -> Found:
    """A device of its own."""
    with tempfile.TemporaryDirectory(prefix="turnout-bench-") as folder, Device(target, Path(folder)) as device:
        device.start()
        client = Client(device.address)
        client.set_config(config(target))
        batches = list(kinds(device, client, updates))
        alone = list(singles(device, client, single))
        return batches, alone, kept(device, client, entries)


def config(target: str) -> p4r.ForwardingPipelineConfig:
    pipeline = check(from_text((Path(__file__).parent / "control" / "tables.ir").read_text()))
    tc = None
    if target == "kernel":
        tc = compile_c(print_c(pipeline), name="tables.bpf.c", include_dirs=[INCLUDE], defines={"TURNOUT_TC": "1"})
    return p4r.ForwardingPipelineConfig(p4info=p4info(pipeline), p4_device_config=write_bundle(pipeline, tc=tc))


def shown(found: dict[str, Found]) -> str:
    batches, alone, many = list[tuple[str, ...]](), list[tuple[str, ...]](), list[tuple[str, ...]]()
    for target, (written, single, kept_) in found.items():
        batches += (_batch_row(target, one) for one in written)
        alone += (_single_row(target, one) for one in single)
        many.append(_kept_row(target, kept_))
    tables = (table(BATCH_HEADER, batches), table(SINGLE_HEADER, alone), table(KEPT_HEADER, many))
    return "\n\n".join(tables)


def _batch_row(target: str, one: Written) -> tuple[str, ...]:
    waits, each_us = Spread.of(one.batches_s), 1e6 * one.device_cpu_s / one.updates
    times = (f"{1000 * waits.median:.1f}", f"{1000 * waits.max:.1f}", f"{each_us:.1f}")
    return (one.what, target, f"{one.updates:,}", f"{one.per_s:,.0f}", *times)


def _single_row(target: str, one: Written) -> tuple[str, ...]:
    waits = sorted(one.batches_s)
    figures = (waits[0], waits[len(waits) // 2], waits[int(0.99 * (len(waits) - 1))])
    return (one.what, target, f"{one.updates:,}", *(f"{1000 * wait:.2f}" for wait in figures))


def _kept_row(target: str, one: Kept) -> tuple[str, ...]:
    figures = (one.load_s, one.read_s, one.journal_mb, one.memory_mb, one.restart_s, one.memory_after_mb)
    return (f"{one.entries:,}", target, *(f"{value:.1f}" for value in figures), "yes" if one.is_whole else "NO")


def _record(found: Found) -> dict[str, object]:
    batches, alone, many = found
    return {
        "batches": [asdict(one) for one in batches],
        "single": [asdict(one) for one in alone],
        "kept": asdict(many),
    }


if __name__ == "__main__":
    main()
