"""Attaching to real interfaces, judged by real pings between two namespaces."""

from __future__ import annotations

import errno
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.bpf.attach import Hook, Mode, attach_tc, attach_xdp, attached, reattached, remove_clsact
from runtime.bpf.bpffs import remove_tree
from runtime.bpf.errors import KernelRefusal
from runtime.bpf.namespaces import OWN, entered
from runtime.bpf.object import Object, load
from tests.unit.bpf.veth import Pair, Pinger

pytestmark = pytest.mark.root


@pytest.mark.parametrize("hook", [Hook.INGRESS, Hook.EGRESS])
@pytest.mark.parametrize("mode", [None, Mode.TCX, Mode.CLSACT])
def test_a_ping_is_dropped_and_passed(
    veth_pair: Pair, pinger: Pinger, basics: Object, hook: Hook, mode: Mode | None
) -> None:
    with entered(veth_pair.near):
        made = attach_tc(basics.program("drop"), veth_pair.ifindex, hook, mode=mode)
        assert not pinger.answers()
        (seen,) = attached(veth_pair.ifindex)
        made.update(basics.program("pass"))
        assert pinger.answers(2)
        made.update(basics.program("drop"))
        made.detach()
        made.detach()
        assert pinger.answers(2)
        assert attached(veth_pair.ifindex) == ()
    assert (seen.hook, seen.mode) == (hook, made.mode)
    assert (seen.program_id, seen.program_name) == (basics.program("drop").id, "drop")


def test_clsact_goes_only_when_it_is_empty(veth_pair: Pair, basics: Object) -> None:
    with entered(veth_pair.near):
        made = attach_tc(basics.program("pass"), veth_pair.ifindex, Hook.INGRESS, mode=Mode.CLSACT)
        other = attach_tc(basics.program("drop"), veth_pair.ifindex, Hook.INGRESS, mode=Mode.CLSACT, priority=9)
        assert [(a.priority, a.program_name) for a in attached(veth_pair.ifindex)] == [(7, "pass"), (9, "drop")]
        made.detach()
        assert not remove_clsact(veth_pair.ifindex)
        other.detach()
        assert remove_clsact(veth_pair.ifindex)
        assert not remove_clsact(veth_pair.ifindex)


def test_attaching_a_filter_again_replaces_it(veth_pair: Pair, basics: Object) -> None:
    with entered(veth_pair.near):
        for name in ("drop", "pass"):
            attach_tc(basics.program(name), veth_pair.ifindex, Hook.EGRESS, mode=Mode.CLSACT)
        assert [a.program_name for a in attached(veth_pair.ifindex)] == ["pass"]


@pytest.mark.parametrize("mode", [Mode.TCX, Mode.CLSACT])
def test_swapping_loses_no_ping(
    veth_pair: Pair, pinger: Pinger, basics: Object, program_elf: Callable[[str], bytes], mode: Mode
) -> None:
    ready, stop = threading.Event(), threading.Event()
    swaps = 0

    def swap() -> None:
        nonlocal swaps
        with load(program_elf("basics")) as others, entered(veth_pair.near):
            made = attach_tc(basics.program("pass"), veth_pair.ifindex, Hook.INGRESS, mode=mode)
            ready.set()
            while not stop.is_set():
                made.update((basics if swaps % 2 else others).program("pass"))
                swaps += 1
                time.sleep(0.0005)
            made.detach()

    worker = threading.Thread(target=swap)
    worker.start()
    try:
        assert ready.wait(10)
        sent = answered = 0
        while swaps < 20 or sent < 300:
            sent += 1
            answered += pinger.answers(2)
    finally:
        stop.set()
        worker.join()
    assert answered == sent


def test_a_pinned_link_outlives_its_maker_and_is_taken_over(
    veth_pair: Pair, pinger: Pinger, basics: Object, pins: Path
) -> None:
    with entered(veth_pair.near):
        attach_tc(basics.program("drop"), veth_pair.ifindex, Hook.INGRESS, pin=pins / "v0-in").close()
        assert not pinger.answers()
        (first,) = attached(veth_pair.ifindex)
        again = attach_tc(basics.program("pass"), veth_pair.ifindex, Hook.INGRESS, pin=pins / "v0-in")
        (second,) = attached(veth_pair.ifindex)
        assert pinger.answers(2)
        again.detach()
        assert attached(veth_pair.ifindex) == ()
    assert (first.link_id, first.program_name) == (second.link_id, "drop")
    assert second.program_name == "pass"
    assert not (pins / "v0-in").exists()


@pytest.mark.parametrize("mode", [Mode.TCX, Mode.CLSACT])
def test_another_process_finds_and_detaches(veth_pair: Pair, basics: Object, pins: Path, mode: Mode) -> None:
    with entered(veth_pair.near):
        assert reattached(veth_pair.ifindex, Hook.EGRESS, pins / "out") is None
        attach_tc(basics.program("drop"), veth_pair.ifindex, Hook.EGRESS, mode=mode, pin=pins / "out").close()
        found = reattached(veth_pair.ifindex, Hook.EGRESS, pins / "out")
        assert found is not None
        assert found.mode is mode
        found.detach()
        assert attached(veth_pair.ifindex) == ()
        assert reattached(veth_pair.ifindex, Hook.EGRESS, pins / "out") is None


def test_another_process_finds_xdp(veth_pair: Pair, program_elf: Callable[[str], bytes], pins: Path) -> None:
    with load(program_elf("xdp")) as xdp, entered(veth_pair.near):
        attach_xdp(xdp.program("edge"), veth_pair.ifindex, pin=pins / "x", mode=Mode.XDP_GENERIC).close()
        found = reattached(veth_pair.ifindex, Hook.XDP, pins / "x")
        assert found is not None
        assert found.mode is Mode.XDP_GENERIC
        found.detach()
        assert reattached(veth_pair.ifindex, Hook.XDP, pins / "x") is None


def test_a_pin_of_an_interface_that_has_gone_is_replaced(veth_pair: Pair, basics: Object, pins: Path) -> None:
    with entered(veth_pair.far):
        far_index = socket.if_nametoindex("v0")
        attach_tc(basics.program("pass"), far_index, Hook.INGRESS, pin=pins / "in").close()
    with entered(veth_pair.near):
        attach_tc(basics.program("pass"), veth_pair.ifindex, Hook.INGRESS, pin=pins / "in").close()
        assert len(attached(veth_pair.ifindex)) == 1
        assert remove_tree(pins) == 1
        deadline = time.monotonic() + 5
        while attached(veth_pair.ifindex) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert attached(veth_pair.ifindex) == ()
    with entered(veth_pair.far):
        assert attached(far_index) == ()


@pytest.mark.parametrize("mode", [None, Mode.XDP_NATIVE, Mode.XDP_GENERIC])
def test_xdp_drops(
    veth_pair: Pair, pinger: Pinger, program_elf: Callable[[str], bytes], mode: Mode | None, pins: Path
) -> None:
    with load(program_elf("xdp")) as xdp, entered(veth_pair.near):
        made = attach_xdp(xdp.program("blackhole"), veth_pair.ifindex, mode=mode, pin=pins / "x")
        assert not pinger.answers()
        (seen,) = attached(veth_pair.ifindex)
        with pytest.raises(KernelRefusal, match="EBUSY"):
            attach_xdp(xdp.program("edge"), veth_pair.ifindex, mode=mode)
        again = attach_xdp(xdp.program("edge"), veth_pair.ifindex, pin=pins / "x")
        assert attached(veth_pair.ifindex)[0].program_name == "edge"
        again.detach()
        assert pinger.answers(2)
        made.close()
    assert seen.mode is (mode or Mode.XDP_NATIVE)
    assert seen.program_name == "blackhole"
    assert again.mode is seen.mode


@pytest.mark.parametrize("mode", [Mode.TCX, Mode.CLSACT])
def test_an_interface_that_has_gone(veth_pair: Pair, basics: Object, mode: Mode, pins: Path) -> None:
    with entered(veth_pair.near):
        made = attach_tc(basics.program("pass"), veth_pair.ifindex, Hook.INGRESS, mode=mode, pin=pins / "in")
        subprocess.run(["ip", "link", "delete", "v0"], check=True)
        with pytest.raises(KernelRefusal) as caught:
            made.update(basics.program("drop"))
        made.detach()
    assert caught.value.errno == (errno.ENOLINK if mode is Mode.TCX else errno.ENODEV)
    assert not (pins / "in").exists()


def test_xdp_falls_back_to_generic(program_elf: Callable[[str], bytes], veth_pair: Pair) -> None:
    with load(program_elf("xdp")) as xdp, entered(veth_pair.near):
        made = attach_xdp(xdp.program("edge"), 1)
        assert made.mode is Mode.XDP_GENERIC
        made.detach()


def test_refusals_name_the_place(basics: Object) -> None:
    with pytest.raises(KernelRefusal, match="attach pass to ingress of interface 999999: No such device") as caught:
        attach_tc(basics.program("pass"), 999999, Hook.INGRESS, mode=Mode.TCX)
    assert caught.value.errno == errno.ENODEV
    with pytest.raises(KernelRefusal, match="interface 999999"):
        attach_tc(basics.program("pass"), 999999, Hook.INGRESS, mode=Mode.CLSACT)
    with pytest.raises(ValueError, match="cannot be attached with clsact"):
        attach_xdp(basics.program("pass"), 1, mode=Mode.CLSACT)


def test_entering_a_namespace_comes_back_and_says_when_there_is_none(veth_pair: Pair) -> None:
    before = OWN.readlink()
    with entered(veth_pair.near):
        assert OWN.readlink() != before
    assert OWN.readlink() == before
    with (
        pytest.raises(KernelRefusal, match="open namespace /run/netns/tbpf-none: No such file"),
        entered("tbpf-none"),
    ):
        pass
