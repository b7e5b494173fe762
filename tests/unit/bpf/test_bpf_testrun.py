"""Test runs: packets, contexts, tail calls, metadata, syscall programs, and what the kernel refuses."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from runtime.bpf.attach import Mode, attach_xdp
from runtime.bpf.errors import KernelRefusal
from runtime.bpf.namespaces import entered
from runtime.bpf.object import LoadSettings, Object, load
from runtime.bpf.testrun import SkbContext, pinned_to_cpu, run_skb, run_syscall, run_xdp, send_xdp
from tests.unit.bpf.veth import Pair

pytestmark = pytest.mark.root
FRAME = bytes(range(64))


@pytest.fixture
def xdp(program_elf: Callable[[str], bytes]) -> Iterator[Object]:
    with load(program_elf("xdp")) as loaded:
        yield loaded


def test_packet_and_context_come_back_changed(basics: Object, veth_pair: Pair) -> None:
    given = SkbContext(
        mark=1, priority=7, ingress_ifindex=veth_pair.ifindex, ifindex=veth_pair.ifindex, cb=(1, 2, 3, 4, 5), tstamp=99
    )
    with entered(veth_pair.near):
        run = run_skb(basics.program("rewrite").fd, FRAME, given)
    assert run.frame == bytes([1, 2, 3, 4]) + FRAME[4:]
    assert run.context.cb == (0, 2, 3, 4, veth_pair.ifindex)
    assert (run.context.mark, run.context.priority, run.context.tstamp) == (veth_pair.ifindex, 7, 99)
    assert run.context.wire_len == len(FRAME)


def test_segments_are_told(basics: Object) -> None:
    run = run_skb(basics.program("pass").fd, bytes(3000), SkbContext(gso_segs=3, gso_size=1000, wire_len=3200))
    assert (run.verdict, run.context.gso_segs, run.context.wire_len) == (-1, 3, 3200)


def test_repeats_see_the_packet_as_it_was_left(basics: Object) -> None:
    run = run_skb(basics.program("rewrite").fd, FRAME, SkbContext(cb=(100, 0, 0, 0, 0)), repeat=10)
    assert run.context.cb[0] == 90
    assert basics.map(".data").lookup(bytes(4)) == struct.pack("=Q", 15)


def test_a_tail_call_goes_where_the_array_says(basics: Object) -> None:
    jump, slots = basics.program("jump").fd, basics.map("slots")
    assert run_skb(jump, FRAME).verdict == 2
    slots.update_fd(struct.pack("=I", 1), basics.program("pass").fd)
    assert run_skb(jump, FRAME).verdict == -1
    stored = slots.lookup(struct.pack("=I", 1))
    assert stored == struct.pack("=I", basics.program("pass").id)
    slots.update_fd(struct.pack("=I", 1), basics.program("rewrite").fd)
    assert run_skb(jump, FRAME).frame[:4] == bytes([1, 2, 3, 4])
    assert [key for key, _ in slots.items()] == [struct.pack("=I", 1)]
    assert slots.delete(struct.pack("=I", 1))
    assert run_skb(jump, FRAME).verdict == 2


def test_a_large_frame_comes_back_whole(program_elf: Callable[[str], bytes]) -> None:
    with load(program_elf("basics"), LoadSettings(constants={"verdict": 1})) as loaded:
        frame = os.urandom(3500)
        run = run_skb(loaded.program("rewrite").fd, frame)
        assert (run.verdict, run.frame[4:]) == (1, frame[4:])


def test_refused_input(basics: Object, xdp: Object) -> None:
    with pytest.raises(ValueError, match="14 bytes or more, got 13"):
        run_skb(basics.program("pass").fd, bytes(13))
    with pytest.raises(ValueError, match="14 bytes or more"):
        run_xdp(xdp.program("edge").fd, bytes(13))
    with pytest.raises(KernelRefusal, match="test run: No such device"):
        run_skb(basics.program("pass").fd, FRAME, SkbContext(ifindex=999_999))
    with pytest.raises(KernelRefusal, match="EINVAL"):
        run_xdp(xdp.program("edge").fd, FRAME, rx_queue_index=1)  # a queue of no interface
    with pytest.raises(KernelRefusal, match="EINVAL"):
        run_xdp(xdp.program("edge").fd, FRAME, metadata=b"odd")
    with pytest.raises(KernelRefusal, match="EINVAL"):
        run_syscall(xdp.program("sweep").fd, bytes(4))  # shorter than what the program reads


def test_xdp_leaves_metadata(xdp: Object) -> None:
    run = run_xdp(xdp.program("edge").fd, FRAME)
    assert (run.verdict, run.frame, run.metadata) == (2, b"\xee" + FRAME[1:], struct.pack("=I", 1))


def test_xdp_is_given_metadata(xdp: Object) -> None:
    run = run_xdp(xdp.program("edge").fd, FRAME, metadata=b"abcd")
    assert (run.verdict, run.frame, run.metadata) == (1, FRAME, b"abcd")


def test_xdp_knows_its_interface(xdp: Object, veth_pair: Pair) -> None:
    with entered(veth_pair.near):
        holder = attach_xdp(xdp.program("edge"), veth_pair.ifindex, mode=Mode.XDP_NATIVE)
        run = run_xdp(xdp.program("edge").fd, FRAME, ingress_ifindex=veth_pair.ifindex)
        holder.detach()
    assert run.metadata == struct.pack("=I", veth_pair.ifindex)


def test_live_frames_arrive(xdp: Object, veth_pair: Pair) -> None:
    frame = b"\xff" * 6 + bytes.fromhex("0200000000ee88b5") + b"turnout" * 10
    with entered(veth_pair.near):
        holder = attach_xdp(xdp.program("edge"), veth_pair.ifindex, mode=Mode.XDP_NATIVE)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5)) as listener:
            listener.bind(("v0", 0x88B5))
            listener.settimeout(3)
            send_xdp(xdp.program("edge").fd, frame, ingress_ifindex=veth_pair.ifindex, count=3)
            assert [listener.recv(2048) for _ in range(3)] == [b"\xee" + frame[1:]] * 3
        holder.detach()


def test_a_syscall_program_answers_in_its_context(xdp: Object) -> None:
    for index in (3, 10, 40):
        xdp.map("slots").update(struct.pack("=I", index), struct.pack("=Q", 1))
    run = run_syscall(xdp.program("sweep").fd, struct.pack("=III", 5, 64, 77))
    assert run.result == -7
    assert struct.unpack("=III", run.context) == (5, 64, 2)


def test_pinned_to_a_cpu_and_back() -> None:
    before = os.sched_getaffinity(0)
    with pinned_to_cpu(min(before)) as cpu:
        assert os.sched_getaffinity(0) == {cpu} == {min(before)}
    assert os.sched_getaffinity(0) == before
