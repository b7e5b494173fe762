"""The count of ticks as a clock: what it was at the start, when it is none, and what time packets have."""

from __future__ import annotations

import struct
import time

import pytest

from runtime.bpf.errors import KernelRefusal
from runtime.bpf.machine import machine_constants
from runtime.bpf.object import LoadSettings, load
from runtime.bpf.testrun import run_syscall, run_xdp
from runtime.bpf.ticks import LOST_NS, read_ticks, tick_constants, ticks_at_start
from runtime.bpf.toolchain import compile_c
from runtime.build import INCLUDE
from runtime.device.kernel.stores import clock_ms

HZ_250_NS = 4_000_000
FIRST = (1 << 32) - 300 * 250
CLOCKS = """
#include "turnout/clock.h"
SEC("xdp") int of_packets(struct xdp_md *ctx)
{
	u64 *place = (u64 *)(unsigned long)ctx->data;

	if ((void *)(place + 1) <= (void *)(unsigned long)ctx->data_end)
		*place = clock_ms();
	return 2;
}
SEC("syscall") int of_device(u64 *context)
{
	*context = clock_device_ms();
	return 0;
}
char LICENSE[] SEC("license") = "GPL";
"""


@pytest.mark.parametrize(
    ("ticks", "now_ns", "origin"),
    [
        (FIRST, 0, FIRST + 1),
        (FIRST + 1000, 1000 * HZ_250_NS, FIRST + 1),
        (FIRST + 999, 1000 * HZ_250_NS + HZ_250_NS - 1, FIRST),
        (FIRST + 1000 - LOST_NS // HZ_250_NS, 1000 * HZ_250_NS, FIRST + 1 - LOST_NS // HZ_250_NS),
        (FIRST + 1000 - LOST_NS // HZ_250_NS - 1, 1000 * HZ_250_NS, None),
        ((1 << 32) + 5, (75_000 + 5) * HZ_250_NS, FIRST + 1),
    ],
)
def test_the_count_when_the_clock_was_0(ticks: int, now_ns: int, origin: int | None) -> None:
    assert ticks_at_start(ticks, now_ns, HZ_250_NS) == origin


@pytest.mark.root
def test_the_count_goes_on_with_the_clock() -> None:
    tick_ns = tick_constants()["tick_ns"]
    assert tick_ns
    before, begun_ns = read_ticks()
    time.sleep(0.2)
    after, ended_ns = read_ticks()
    assert abs((after - before) * tick_ns - (ended_ns - begun_ns)) < 3 * tick_ns


@pytest.mark.root
def test_what_loads_no_program_has_no_such_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise KernelRefusal(1, "load read_ticks")

    monkeypatch.setattr("runtime.bpf.ticks.load_instructions", refuse)
    tick_constants.cache_clear()
    assert tick_constants() == {"tick_ns": 0, "tick_origin": 0}
    tick_constants.cache_clear()


@pytest.mark.root
@pytest.mark.parametrize("has_ticks", [True, False])
def test_packets_and_the_device_have_the_time_that_python_has(has_ticks: bool) -> None:
    found = machine_constants()
    constants = {name: found[name] if has_ticks else 0 for name in ("tick_ns", "tick_origin")}
    tick_ms = found["tick_ns"] / 1e6
    with load(
        compile_c(CLOCKS, name="clocks.bpf.c", include_dirs=(INCLUDE,)), LoadSettings(constants=constants)
    ) as loaded:
        for _ in range(20):
            before = clock_ms()
            (packet,) = struct.unpack_from("=Q", run_xdp(loaded.program("of_packets").fd, bytes(64)).frame)
            (device,) = struct.unpack("=Q", run_syscall(loaded.program("of_device").fd, bytes(8)).context)
            assert before - 4 * tick_ms - 1 <= packet <= device <= clock_ms()
            time.sleep(0.003)
