"""The budgets' text reads back, and every way to differ is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.budgets.table import Budget, Costs, differences, from_text, to_text, too_much

PROGRAM: Costs = {
    "instructions": 100,
    "stack": 40,
    "verified": 1000,
    "states": 20,
    "peak": 10,
    "xlated": 900,
    "jited": 700,
    "maps": 60,
}
MAP: Costs = {"entries": 8, "key": 4, "value": 16, "bytes": 4096, "each CPU": 128}
BUDGET = Budget(
    compiler="clang version 14.0.6",
    kernel="6.18 x86_64",
    programs={"whole turnout_tc": PROGRAM, "single-node+weighted turnout_tc": PROGRAM},
    maps={"port": MAP, ".rodata": MAP},
)


def changed(program: Costs | None = None, table: Costs | None = None) -> Budget:
    """The budget with other numbers for the first program and the first map."""
    programs = {**BUDGET.programs, "whole turnout_tc": {**PROGRAM, **(program or {})}}
    return replace(BUDGET, programs=programs, maps={**BUDGET.maps, "port": {**MAP, **(table or {})}})


def test_reads_back() -> None:
    assert from_text(to_text(BUDGET)) == BUDGET


def test_equal_budgets_do_not_differ() -> None:
    assert differences(BUDGET, BUDGET) == []


@pytest.mark.parametrize(
    ("program", "table", "told"),
    [
        ({"instructions": 101}, {}, ["whole turnout_tc: instructions 100 -> 101"]),
        ({"stack": 48}, {}, ["whole turnout_tc: stack 40 -> 48"]),
        ({"verified": 1050}, {}, []),
        ({"verified": 1051}, {}, ["whole turnout_tc: verified 1000 -> 1051"]),
        ({"verified": 949}, {}, ["whole turnout_tc: verified 1000 -> 949"]),
        ({"jited": 736}, {}, ["whole turnout_tc: jited 700 -> 736"]),
        ({}, {"entries": 9}, ["port: entries 8 -> 9"]),
        ({}, {"bytes": 20480}, []),
        ({}, {"bytes": 20481, "each CPU": 136}, ["port: bytes 4096 -> 20481", "port: each CPU 128 -> 136"]),
    ],
)
def test_tells_what_differs(program: Costs, table: Costs, told: list[str]) -> None:
    assert differences(BUDGET, changed(program, table)) == told


def test_of_another_kernel_only_the_code_is_compared() -> None:
    other = replace(changed({"instructions": 101, "verified": 5000}, {"bytes": 1, "value": 17}), kernel="6.1 x86_64")
    assert differences(BUDGET, other) == ["port: value 16 -> 17", "whole turnout_tc: instructions 100 -> 101"]


def test_of_another_compiler_only_declarations_are_compared() -> None:
    other = replace(changed({"instructions": 101, "jited": 1}, {"bytes": 99_999}), compiler="ziglang 0.15")
    assert differences(BUDGET, other) == ["port: bytes 4096 -> 99999"]


def test_tells_names_that_come_and_go() -> None:
    other = replace(BUDGET, programs={"whole turnout_tc": PROGRAM, "whole other": PROGRAM}, maps={"port": MAP})
    assert differences(BUDGET, other) == [
        "map .rodata has gone",
        "program single-node+weighted turnout_tc has gone",
        "program whole other is new",
    ]


def test_ceilings_hold_for_any_compiler() -> None:
    heavy = changed({"verified": 350_001, "stack": 513, "jited": (192 << 10) + 1, "maps": 65}, {"bytes": 324 << 20})
    assert too_much(heavy) == [
        "whole turnout_tc: verified 350001, at most 350000",
        "whole turnout_tc: stack 513, at most 512",
        "whole turnout_tc: jited 196609, at most 196608",
        "whole turnout_tc: maps 65, at most 64",
        "all maps: 339743232 bytes, at most 339738624",
    ]
    assert too_much(BUDGET) == []
