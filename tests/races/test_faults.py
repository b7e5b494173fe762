"""The race tests would notice: each fault of `faults` is seen by what test_program.py checks, in a few seconds.

By chance: `pytest -s` prints in which run of how many milliseconds each was seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from compiler.pipeline.assembly import pipeline
from runtime.bpf.chains import Hook
from runtime.verification.levels import small
from tests.mutation.mutant import SubstitutedText
from tests.mutation.objects import changed_object
from tests.races.beside import Device
from tests.races.faults import FAULTS, SLOWNESS
from tests.races.hammering import Hammered
from tests.races.test_program import CROWD, SLOTS, expect_whole

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.alone]
RUNS = 20
SECONDS = 1.0


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_race_is_seen(fault: SubstitutedText, record_property: Callable[[str, object], None]) -> None:
    source = small(pipeline(), SLOTS)
    elf = changed_object((*SLOWNESS, fault), source, Hook.XDP)
    start = time.monotonic()
    seen_by = next((found for _ in range(RUNS) if (found := race(elf))), None)
    record_property("seen_by", seen_by)
    print(f"{fault.name}: {seen_by} after {time.monotonic() - start:.1f} s")
    assert seen_by, f"not seen in {RUNS} runs"


def test_no_race_is_seen_without_a_fault() -> None:
    elf = changed_object(SLOWNESS, small(pipeline(), SLOTS), Hook.XDP)
    assert [race(elf) for _ in range(3)] == [None] * 3


def race(elf: bytes) -> str | None:
    """What was wrong in a run, or after it."""
    with Hammered(small(pipeline(), SLOTS), Hook.XDP, CROWD, elf=elf) as hammered:
        device = Device(hammered)
        steps = (device.pass_time, device.sweep, device.delete_a_connection, device.delete_a_slot)
        try:
            hammered.hammer(SECONDS, device.any_of(*steps))
        except AssertionError:
            return "a packet that no entry sends"
        except Exception as failure:  # noqa: BLE001  the device meets slots that make no sense
            return f"the device: {failure!r}"
        try:
            expect_whole(hammered)
        except (AssertionError, KeyError, ValueError) as failure:
            return f"slots that do not fit each other: {str(failure).splitlines()[0]}"
    return None
