"""What a packet costs in the printed pipeline: nanoseconds by BPF_PROG_TEST_RUN, an empty harness taken off.

Every run gets a fresh frame (bench/packets/wrapper.bpf.c), flows are read in another order than they were learned in,
cases alternate in an order drawn for each round, and a hand-written load balancer runs in the same rounds. Nothing
here passes or fails on time. Needs root and a BPF compiler:

    sudo .venv/bin/python -m bench.packet_cost [--quick]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

from bench.packets.cases import KNOWN, Case, cases
from bench.packets.pictures import draw
from bench.packets.rounds import Samples, measure
from bench.report.figures import Spread, ratio
from bench.report.machine import free_memory_mb, machine, one_line
from bench.report.results import save_json, table
from runtime.bpf.chains import Hook
from runtime.bpf.testrun import pinned_to_cpu

NAME = "packet_cost"
ROUNDS, REPEAT = 41, 30_000
QUICK_ROUNDS, QUICK_REPEAT = 21, 15_000
ROOM_MB = 6_000
"""Free memory from which on a million flows are measured."""
HEADER = ("packet (ns)", "hook", "IP", "flows", "services", "fast", "min", "median", "max", "of whole", "of by hand")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer cases and rounds, in under a minute")
    is_quick = parser.parse_args().quick
    about = machine()
    wanted = tuple(cases(is_quick=is_quick, is_roomy=free_memory_mb() >= ROOM_MB))
    rounds, repeat = (QUICK_ROUNDS, QUICK_REPEAT) if is_quick else (ROUNDS, REPEAT)
    with pinned_to_cpu():
        found = measure(wanted, _reference_cases(wanted), rounds=rounds, repeat=repeat)
    print(f"{one_line(about)}\n\n{_table(found)}\n")
    content = {"machine": about, "rounds": rounds, "repeat": repeat, "cases": [_record(one) for one in found]}
    print(f"{save_json(NAME, content)}\n{draw(found, NAME)}")


def _reference_cases(wanted: Sequence[Case]) -> tuple[Case, ...]:
    """Those that the hand-written program can do: known flows of IPv4 to one service."""
    return tuple(
        c for c in wanted if (c.kind, c.hook, c.version, c.services, c.is_fast) == (KNOWN, Hook.XDP, 4, 1, True)
    )


def _table(found: Sequence[Samples]) -> str:
    empty = Spread.of([value for one in found for value in one.empty])
    by_hand = {one.case: one for one in found if one.is_reference}
    whole = {one.case: one for one in found if not one.case.is_fast}
    rows: list[tuple[str, ...]] = []
    for one in sorted(found, key=lambda one: one.case.hook.name):
        slow = replace(one.case, is_fast=False)
        bases = (None if one.is_reference else whole.get(slow), by_hand.get(replace(one.case, is_fast=True)))
        rows.append((*_row(one), *(_times(one, base) for base in bases)))
    harness = f"The empty harness takes {empty.min:.0f} / {empty.median:.0f} / {empty.max:.0f} ns and is taken off."
    return f"{table(HEADER, rows)}\n\n{harness}"


def _row(one: Samples) -> tuple[str, ...]:
    spread, case = Spread.of(one.costs), one.case
    path = "" if one.is_reference else "yes" if case.is_fast else "no"
    figures = (f"{value:.0f}" for value in (spread.min, spread.median, spread.max))
    return (one.name, case.hook.name, str(case.version), f"{case.flows:,}", f"{case.services:,}", path, *figures)


def _times(one: Samples, base: Samples | None) -> str:
    """The ratio to another program at the same case, from the same rounds."""
    return "" if base is None or base is one else f"{ratio(one.costs, base.costs).median:.2f}"


def _record(one: Samples) -> dict[str, object]:
    spread, case = Spread.of(one.costs), one.case
    return {
        "packet": one.name,
        "reference": one.is_reference,
        "hook": case.hook.name,
        "ip": case.version,
        "flows": case.flows,
        "services": case.services,
        "fast_path": case.is_fast and not one.is_reference,
        "ns": {"min": spread.min, "median": spread.median, "max": spread.max},
        "empty_ns": Spread.of(one.empty).median,
        "restoring_ns": one.restoring,
        "rounds_ns": one.costs,
    }


if __name__ == "__main__":
    main()
