"""The kernel's count of timer ticks (`jiffies`) as a clock, for which a program needs no call: it loads a number.

The count goes on by what CLOCK_MONOTONIC has gone on, in whole ticks, also when CPUs slept (kernel/time/tick-sched.c).
Only where ticks are interrupts that are counted one by one (no high resolution timers), some may be lost; that shows in
a count that is behind the time since the machine started, and then it is no clock.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cache

from runtime.bpf.assembly import call, copy_register, leave, load_instructions, set_register, store_u64
from runtime.bpf.constants import ProgramType
from runtime.bpf.errors import BpfError
from runtime.bpf.program import Program
from runtime.bpf.testrun import run_syscall

JIFFIES64 = 118
"""The helper's number in the uapi; on 64 bits the verifier makes it a load."""
CLOCK_MONOTONIC_COARSE = 6
"""linux/time.h; its resolution is a tick."""
LOST_NS = 10_000_000_000
"""How far the count may be behind: a machine's clock runs for a while before its ticks do."""
_NS_PER_S = 1_000_000_000
_READINGS = 8
_NO_CLOCK: Mapping[str, int] = {"tick_ns": 0, "tick_origin": 0}


def read_ticks() -> tuple[int, int]:
    """The count, 64 bits, and what CLOCK_MONOTONIC was right before, in nanoseconds: the closest of some readings.

    Raises `BpfError` where no program may be loaded or none may ask.
    """
    code = copy_register(6, 1) + call(JIFFIES64) + store_u64(6, 0) + set_register(0, 0) + leave()
    with load_instructions(ProgramType.SYSCALL, code, "read_ticks") as program:
        _, ticks, before_ns = min(_reading(program) for _ in range(_READINGS))
    return ticks, before_ns


def _reading(program: Program) -> tuple[int, int, int]:
    """How long it took, the count, and when it began."""
    before_ns = time.monotonic_ns()
    ticks = int.from_bytes(run_syscall(program.fd, bytes(8)).context, "little")
    return time.monotonic_ns() - before_ns, ticks, before_ns


def ticks_at_start(ticks: int, now_ns: int, tick_ns: int) -> int | None:
    """What the count was when CLOCK_MONOTONIC was 0; None if it has lost ticks since.

    One more than that, so that the count as a clock is never ahead: `ticks` may lack one that comes late.
    """
    first = (1 << 32) - 300 * (_NS_PER_S // tick_ns)  # INITIAL_JIFFIES, linux/jiffies.h
    passed = now_ns // tick_ns
    return None if (passed - (ticks - first)) * tick_ns > LOST_NS else ticks - passed + 1


@cache
def tick_constants() -> Mapping[str, int]:
    """`tick_ns` and `tick_origin` of clock.h; both 0 where the count is no clock."""
    tick_ns = round(time.clock_getres(CLOCK_MONOTONIC_COARSE) * _NS_PER_S)
    try:
        ticks, now_ns = read_ticks()
    except BpfError:
        return _NO_CLOCK
    origin = ticks_at_start(ticks, now_ns, tick_ns)
    return _NO_CLOCK if origin is None else {"tick_ns": tick_ns, "tick_origin": origin}
