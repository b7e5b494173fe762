"""Which programs packets pass: the first one, and the one that it leaves them to."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runtime.bpf import chains
from runtime.bpf.bpffs import mount_bpffs, remove_pin, unmount_bpffs
from runtime.bpf.chains import Hook
from runtime.bpf.errors import KernelRefusal
from runtime.bpf.object import LoadSettings, Object, load
from runtime.bpf.testrun import run_skb
from runtime.bpf.toolchain import compile_c
from runtime.device.kernel.dispatcher import SLOT, Dispatch, load_dispatcher

pytestmark = pytest.mark.root

INCLUDE = Path(__file__).parents[3] / "ebpf" / "include"
FRAME = bytes(60)
SOURCE = """
#include "turnout/verdict.h"

struct {
	int (*type)[BPF_MAP_TYPE_PROG_ARRAY];
	int (*max_entries)[1];
	u32 *key;
	u32 *value;
} dispatch_whole SEC(".maps");

const volatile u32 verdict = 0;

#ifdef WHOLE
SEC("tc") int whole_tc(struct __sk_buff *ctx) { (void)ctx; return verdict; }
#endif
SEC("xdp") int whole_xdp(struct xdp_md *ctx) { (void)ctx; return XDP_PASS; }

SEC("tc") int turnout_tc(struct __sk_buff *ctx)
{
	if (verdict % 2)
		return verdict;
	bpf_tail_call(ctx, &dispatch_whole, 0);
	return VERDICT_LOST;
}

char LICENSE[] SEC("license") = "GPL";
"""


@pytest.fixture
def pins(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "pins"
    mount_bpffs(folder)
    yield folder
    unmount_bpffs(folder)


@contextmanager
def opened(pins: Path) -> Generator[Dispatch]:
    made = Dispatch(pins)
    try:
        yield made
    finally:
        made.close()


def programs(dispatch: Dispatch, verdict: int, *, has_whole: bool = True) -> Object:
    """That give this verdict: odd ones by the first program, even ones by the second."""
    defines = {"TURNOUT_TC": "1"} | ({"WHOLE": "1"} if has_whole else {})
    elf = compile_c(SOURCE, include_dirs=[INCLUDE], defines=defines)
    reuse = {name: held.fd for name, held in dispatch.maps.items()}
    skip = Hook.TC.not_taken(elf)
    return load(elf, LoadSettings(constants={"verdict": verdict}, reuse=reuse, skip=skip))


def verdict(dispatch: Dispatch) -> int:
    program = load_dispatcher(dispatch.first)
    try:
        return run_skb(program.fd, FRAME).verdict
    finally:
        program.close()


def activate(dispatch: Dispatch, verdict: int, *, has_whole: bool = True) -> None:
    """Nothing but the arrays holds them afterwards."""
    with programs(dispatch, verdict, has_whole=has_whole) as loaded:
        dispatch.activate(loaded)


def test_both_take_over(pins: Path) -> None:
    with opened(pins) as dispatch:
        assert dispatch.is_new
        for wanted in (4, 7, 6):
            activate(dispatch, wanted)
            assert verdict(dispatch) == wanted


def test_they_outlive_the_process(pins: Path) -> None:
    with opened(pins) as dispatch:
        activate(dispatch, 6)
    with opened(pins) as dispatch:
        assert not dispatch.is_new
        assert verdict(dispatch) == 6


def test_a_pipeline_of_one_program_leaves_nothing_of_the_one_before(pins: Path) -> None:
    with opened(pins) as dispatch:
        activate(dispatch, 6)
        assert dispatch.whole.lookup(SLOT) is not None
        activate(dispatch, 7, has_whole=False)
        assert verdict(dispatch) == 7
        assert dispatch.whole.lookup(SLOT) is None
        activate(dispatch, 9, has_whole=False)
        assert verdict(dispatch) == 9


def test_an_earlier_device_had_one_array_only(pins: Path) -> None:
    with opened(pins) as dispatch:
        activate(dispatch, 7, has_whole=False)
    remove_pin(pins / "dispatch_whole")
    with opened(pins) as dispatch:
        assert not dispatch.is_new
        assert verdict(dispatch) == 7
        activate(dispatch, 6)
        assert verdict(dispatch) == 6


def test_on_a_kernel_without_chains_the_second_program_is_all(pins: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chains, "takes_chains", lambda: False)
    with opened(pins) as dispatch:
        for wanted in (6, 7):
            activate(dispatch, wanted)
            assert verdict(dispatch) == wanted
        with programs(dispatch, 4) as loaded:
            assert Hook.TC.value not in loaded.programs
        with programs(dispatch, 4, has_whole=False) as loaded:
            assert Hook.TC.value in loaded.programs, "which has no second one, and so no chain"


def test_what_the_kernel_refuses_changes_nothing(pins: Path) -> None:
    with opened(pins) as dispatch:
        activate(dispatch, 6)
        with programs(dispatch, 4) as loaded:
            mixed = {Hook.TC.value: loaded.program(Hook.TC.value), Hook.TC.whole: loaded.program("whole_xdp")}
            with pytest.raises(KernelRefusal):
                dispatch.activate(Object({}, mixed, ()))
        assert verdict(dispatch) == 6


def test_without_a_second_one_a_packet_is_lost_and_not_let_through(pins: Path) -> None:
    with opened(pins) as dispatch:
        activate(dispatch, 6)
        dispatch.whole.delete(SLOT)
        assert verdict(dispatch) == 2  # TC_ACT_SHOT
