"""The budgets as a text for people, read back, and compared with what was measured. Touches no kernel.

What a compiler and a declaration decide is compared to the number, what a kernel decides may be 5 % apart: its fixes
change that, and the processor's features the machine code. Whatever made the objects, ceilings hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

EXACT = frozenset({"instructions", "stack", "maps", "entries", "key", "value", "each CPU"})
TOLERANCE = 0.05
SLACK_BYTES = 16 << 10
"""Of a map: hash tables keep spare entries for each CPU."""
CEILINGS = {"verified": 350_000, "stack": 512, "jited": 192 << 10, "maps": 64}
MAP_BYTES = 324 << 20
"""Of all maps on a machine with two CPUs."""
NOTE = "# docs/budgets.md says what is compared, and how. TURNOUT_REFRESH=1 writes this anew.\n"
Costs = Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Programs by `profile program`, maps by name. `kernel` is its version without what a fix changes."""

    compiler: str
    kernel: str
    programs: Mapping[str, Costs]
    maps: Mapping[str, Costs]


def to_text(budget: Budget) -> str:
    head = f"{NOTE}compiler: {budget.compiler}\nkernel: {budget.kernel}\n"
    return "\n".join((head, *_rows("program", budget.programs), "", *_rows("map", budget.maps), ""))


def _rows(title: str, rows: Mapping[str, Costs]) -> Iterator[str]:
    columns = tuple(next(iter(rows.values())))
    width = max(map(len, rows))
    yield f"{title:<{width}}" + "".join(f"  {column:>12}" for column in columns)
    for name, costs in rows.items():
        yield f"{name:<{width}}" + "".join(f"  {costs[column]:>12}" for column in columns)


def from_text(text: str) -> Budget:
    """What `to_text` has written."""
    head, programs, maps = text.split("\n\n")
    said = dict(line.split(": ", 1) for line in head.splitlines() if not line.startswith("#"))
    return Budget(
        compiler=said["compiler"], kernel=said["kernel"], programs=_read_rows(programs), maps=_read_rows(maps)
    )


def _read_rows(block: str) -> dict[str, Costs]:
    title, *lines = (re.split(r" {2,}", line.strip()) for line in block.strip().splitlines())
    return {name: dict(zip(title[1:], map(int, values), strict=True)) for name, *values in lines}


def differences(golden: Budget, found: Budget) -> list[str]:
    """What a change must own up to, a line each. With another compiler or kernel only what that leaves comparable."""
    told = list(_names("program", golden.programs, found.programs)) + list(_names("map", golden.maps, found.maps))
    for rows, others in ((golden.programs, found.programs), (golden.maps, found.maps)):
        for name in rows.keys() & others.keys():
            told += (
                f"{name}: {column} {value} -> {others[name][column]}"
                for column, value in rows[name].items()
                if _is_comparable(column, golden, found) and not _is_near(column, value, others[name][column])
            )
    return sorted(told)


def _names(what: str, golden: Mapping[str, Costs], found: Mapping[str, Costs]) -> Iterator[str]:
    yield from (f"{what} {name} is new" for name in found.keys() - golden.keys())
    yield from (f"{what} {name} has gone" for name in golden.keys() - found.keys())


def _is_comparable(column: str, golden: Budget, found: Budget) -> bool:
    if column in ("entries", "key", "value", "each CPU"):
        return True
    if column == "bytes":
        return golden.kernel == found.kernel
    same_code = golden.compiler == found.compiler
    return same_code if column in EXACT else same_code and golden.kernel == found.kernel


def _is_near(column: str, wanted: int, got: int) -> bool:
    if column in EXACT:
        return got == wanted
    return abs(got - wanted) <= max(TOLERANCE * wanted, SLACK_BYTES if column == "bytes" else 0)


def too_much(found: Budget) -> list[str]:
    """What is above a ceiling, whoever compiled it for whatever kernel."""
    told = [
        f"{name}: {column} {costs[column]}, at most {ceiling}"
        for name, costs in found.programs.items()
        for column, ceiling in CEILINGS.items()
        if costs[column] > ceiling
    ]
    total = sum(costs["bytes"] + 2 * costs["each CPU"] for costs in found.maps.values())
    return [*told, f"all maps: {total} bytes, at most {MAP_BYTES}"] if total > MAP_BYTES else told
