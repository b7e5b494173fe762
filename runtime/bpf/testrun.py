"""BPF_PROG_TEST_RUN: giving a loaded program a packet or a context by hand, and taking back what it made of it.

What the kernel wants, and says only with EINVAL: frames of 14 bytes or more; in the context nothing but the fields of
`SkbContext`; an interface index that exists in the calling thread's namespace; for XDP an interface whose receive
queues are registered (veth with native XDP, real NICs; not loopback). A VLAN tag is in the frame here, in a live tc
packet it is in metadata. The target of a redirect cannot be seen.
"""

from __future__ import annotations

import ctypes as ct
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from runtime.bpf.library import U32, check, libbpf

MIN_FRAME = 14
OUTPUT_SIZE = 66_560
LIVE_FRAMES = 1 << 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SkbContext:
    """The fields of `struct __sk_buff` that a test run takes in and gives back.

    `ifindex` 0 means the namespace's loopback, `wire_len` 0 the frame's own length. No kernel gives `gso_size` back.
    """

    mark: int = 0
    priority: int = 0
    ingress_ifindex: int = 0
    ifindex: int = 0
    cb: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    tstamp: int = 0
    wire_len: int = 0
    gso_segs: int = 0
    gso_size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SkbRun:
    """`verdict` is signed (-1: next). `duration_ns` is the mean of the repeats."""

    verdict: int
    frame: bytes
    context: SkbContext
    duration_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class XdpRun:
    """`metadata` is what the program left before the frame (`data_meta`)."""

    verdict: int
    frame: bytes
    metadata: bytes
    duration_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SyscallRun:
    """`result` is what the program returned, signed; `context` as it left it."""

    result: int
    context: bytes


class _SkBuff(ct.Structure):
    """`struct __sk_buff` of the uapi, 192 bytes."""

    _fields_ = (
        ("len_to_mark", U32 * 2),
        ("mark", U32),
        ("queue_mapping_to_priority", U32 * 5),
        ("priority", U32),
        ("ingress_ifindex", U32),
        ("ifindex", U32),
        ("tc_index", U32),
        ("cb", U32 * 5),
        ("hash_to_data_meta", U32 * 19),
        ("flow_keys", ct.c_uint64),
        ("tstamp", ct.c_uint64),
        ("wire_len", U32),
        ("gso_segs", U32),
        ("sk", ct.c_uint64),
        ("gso_size", U32),
        ("tstamp_type", U32),
        ("hwtstamp", ct.c_uint64),
    )


class _XdpMd(ct.Structure):
    """`struct xdp_md` of the uapi; in test runs offsets take the place of pointers."""

    _fields_ = (
        ("data", U32),
        ("data_end", U32),
        ("data_meta", U32),
        ("ingress_ifindex", U32),
        ("rx_queue_index", U32),
        ("egress_ifindex", U32),
    )


class _Options(ct.Structure):
    _fields_ = (
        ("sz", ct.c_size_t),
        ("data_in", ct.c_void_p),
        ("data_out", ct.c_void_p),
        ("data_size_in", U32),
        ("data_size_out", U32),
        ("ctx_in", ct.c_void_p),
        ("ctx_out", ct.c_void_p),
        ("ctx_size_in", U32),
        ("ctx_size_out", U32),
        ("retval", U32),
        ("repeat", ct.c_int32),
        ("duration", U32),
        ("flags", U32),
        ("cpu", U32),
        ("batch_size", U32),
    )


def run_skb(program_fd: int, frame: bytes, context: SkbContext | None = None, *, repeat: int = 1) -> SkbRun:
    """Run a tc program. With `repeat`, each run gets the packet as the one before left it.

    Raises `KernelRefusal`, ValueError for a frame that is too short.
    """
    left = _SkBuff()
    ran = _run_frame(program_fd, _long_enough(frame), bytes(_pack_skb(context or SkbContext())), left, repeat)
    return SkbRun(verdict=ran.verdict, frame=ran.data, context=_unpack_skb(left), duration_ns=ran.duration_ns)


def run_xdp(
    program_fd: int,
    frame: bytes,
    *,
    metadata: bytes = b"",
    ingress_ifindex: int = 0,
    rx_queue_index: int = 0,
    repeat: int = 1,
) -> XdpRun:
    """Run an XDP program. `metadata` lies before the frame: a multiple of 4, up to 32 bytes (more from 6.6 on).

    With `repeat`, bounds are reset for each run, bytes are not. Raises as `run_skb` does.
    """
    left = _XdpMd()
    given = bytes(_xdp_context(frame, metadata, ingress_ifindex, rx_queue_index))
    ran = _run_frame(program_fd, metadata + _long_enough(frame), given, left, repeat)
    start = left.data  # offsets from data_meta, where the output begins
    return XdpRun(verdict=ran.verdict, frame=ran.data[start:], metadata=ran.data[:start], duration_ns=ran.duration_ns)


def send_xdp(program_fd: int, frame: bytes, *, ingress_ifindex: int, count: int = 1, metadata: bytes = b"") -> None:
    """Put live frames through an XDP program as if they had come in on an interface: what it says is done.

    From 5.18 on; PASS goes up the stack, TX and REDIRECT really send. Raises `KernelRefusal`.
    """
    given = _xdp_context(_long_enough(frame), metadata, ingress_ifindex, 0)
    data = metadata + frame
    held = ct.create_string_buffer(data, len(data))
    options = _Options(data_in=ct.addressof(held), data_size_in=len(data), repeat=count, flags=LIVE_FRAMES)
    options.ctx_in, options.ctx_size_in = ct.addressof(given), ct.sizeof(given)
    _call(program_fd, options, "live frames through an XDP program")


def run_syscall(program_fd: int, context: bytes) -> SyscallRun:
    """Run a `SEC("syscall")` program on a context, which it may change. It must be as long as the program reads."""
    held = ct.create_string_buffer(context, len(context))
    # A pointer to a context of no bytes is refused.
    options = _Options(ctx_in=ct.addressof(held) if context else None, ctx_size_in=len(context))
    _call(program_fd, options, "run of a syscall program")
    return SyscallRun(result=_signed(options.retval), context=held.raw)


@contextmanager
def pinned_to_cpu(cpu: int | None = None) -> Generator[int]:
    """Keep the calling thread on one CPU (the highest it may use), so per-CPU scratch can be read after a run."""
    before = os.sched_getaffinity(0)
    chosen = max(before) if cpu is None else cpu
    os.sched_setaffinity(0, {chosen})
    try:
        yield chosen
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ran:
    verdict: int
    data: bytes
    duration_ns: int


def _run_frame(program_fd: int, data: bytes, context: bytes, left: ct.Structure, repeat: int) -> _Ran:
    held = ct.create_string_buffer(data, len(data))
    given = ct.create_string_buffer(context, len(context))
    out = ct.create_string_buffer(OUTPUT_SIZE)
    options = _Options(data_in=ct.addressof(held), data_size_in=len(data), repeat=repeat)
    options.data_out, options.data_size_out = ct.addressof(out), OUTPUT_SIZE
    options.ctx_in, options.ctx_size_in = ct.addressof(given), len(context)
    options.ctx_out, options.ctx_size_out = ct.addressof(left), ct.sizeof(left)
    _call(program_fd, options, "test run")
    taken = ct.string_at(ct.addressof(out), options.data_size_out)
    return _Ran(verdict=_signed(options.retval), data=taken, duration_ns=options.duration)


def _call(program_fd: int, options: _Options, what: str) -> None:
    options.sz = ct.sizeof(options)
    check(libbpf().bpf_prog_test_run_opts(program_fd, ct.byref(options)), what)


def _pack_skb(context: SkbContext) -> _SkBuff:
    return _SkBuff(
        mark=context.mark,
        priority=context.priority,
        ingress_ifindex=context.ingress_ifindex,
        ifindex=context.ifindex,
        cb=(U32 * 5)(*context.cb),
        tstamp=context.tstamp,
        wire_len=context.wire_len,
        gso_segs=context.gso_segs,
        gso_size=context.gso_size,
    )


def _unpack_skb(left: _SkBuff) -> SkbContext:
    first, second, third, fourth, fifth = left.cb
    return SkbContext(
        mark=left.mark,
        priority=left.priority,
        ingress_ifindex=left.ingress_ifindex,
        ifindex=left.ifindex,
        cb=(first, second, third, fourth, fifth),
        tstamp=left.tstamp,
        wire_len=left.wire_len,
        gso_segs=left.gso_segs,
        gso_size=left.gso_size,
    )


def _xdp_context(frame: bytes, metadata: bytes, ingress_ifindex: int, rx_queue_index: int) -> _XdpMd:
    start = len(metadata)
    return _XdpMd(
        data=start, data_end=start + len(frame), ingress_ifindex=ingress_ifindex, rx_queue_index=rx_queue_index
    )


def _long_enough(frame: bytes) -> bytes:
    if len(frame) < MIN_FRAME:
        raise ValueError(f"a frame for a test run has {MIN_FRAME} bytes or more, got {len(frame)}")
    return frame


def _signed(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value
