"""Asking what is attached to an interface of the calling thread's namespace: tcx, clsact filters and XDP.

tcx is asked with bpf(2) itself, because libbpf 1.1 does not know the link ids in the answer; filters are a dump over
rtnetlink, because libbpf only asks for one filter whose handle is known.
"""

from __future__ import annotations

import ctypes as ct
import errno
import os
import platform
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from runtime.bpf.constants import AttachType
from runtime.bpf.errors import BpfError, KernelRefusal
from runtime.bpf.library import U32, U64, check, libbpf
from runtime.bpf.program import Program

SYS_BPF = {"x86_64": 321, "aarch64": 280}
BPF_PROG_QUERY = 16
LOOPBACK = 1
MOST_PROGRAMS = 64


class Hook(StrEnum):
    """Where on an interface a program runs. Ingress is what the interface receives."""

    INGRESS = "ingress"
    EGRESS = "egress"
    XDP = "xdp"


class Mode(StrEnum):
    """How a program is attached."""

    TCX = "tcx"
    CLSACT = "clsact"
    XDP_NATIVE = "xdp-native"
    XDP_GENERIC = "xdp-generic"
    XDP_OFFLOAD = "xdp-offload"


TCX_TYPES = {Hook.INGRESS: AttachType.TCX_INGRESS, Hook.EGRESS: AttachType.TCX_EGRESS}
CLSACT_PARENTS = {Hook.INGRESS: 0xFFFFFFF2, Hook.EGRESS: 0xFFFFFFF3}
XDP_MODES = {1: Mode.XDP_NATIVE, 2: Mode.XDP_GENERIC, 3: Mode.XDP_OFFLOAD}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """One program on an interface, whoever put it there. `link_id` is 0 without a link or when unknown.

    `priority` and `handle` name a clsact filter. Programs of one hook run in the order they are listed.
    """

    hook: Hook
    mode: Mode
    program_id: int
    program_name: str
    link_id: int = 0
    priority: int = 0
    handle: int = 0


class _ProgramQuery(ct.Structure):
    _fields_ = (
        ("target_ifindex", U32),
        ("attach_type", U32),
        ("query_flags", U32),
        ("attach_flags", U32),
        ("prog_ids", U64),
        ("prog_cnt", U32),
        ("reserved", U32),
        ("prog_attach_flags", U64),
        ("link_ids", U64),
        ("link_attach_flags", U64),
        ("revision", U64),
    )


class _XdpQueryOptions(ct.Structure):
    _fields_ = (
        ("sz", ct.c_size_t),
        ("prog_id", U32),
        ("drv_prog_id", U32),
        ("hw_prog_id", U32),
        ("skb_prog_id", U32),
        ("attach_mode", ct.c_uint8),
    )


def attached(ifindex: int) -> tuple[Attached, ...]:
    """All programs on one interface: XDP, then ingress, then egress. Raises `KernelRefusal` (ENODEV)."""
    found = list(query_xdp(ifindex))
    for hook in (Hook.INGRESS, Hook.EGRESS):
        found += [*query_tcx(ifindex, hook), *query_clsact(ifindex, hook)]
    return tuple(found)


def tcx_present() -> bool:
    """Whether the kernel has tcx (6.6 on). Any other refusal than 'unknown' is raised."""
    try:
        _ask_tcx(LOOPBACK, Hook.INGRESS)
    except KernelRefusal as refusal:
        if refusal.errno in (errno.EINVAL, errno.EOPNOTSUPP):
            return False
        raise
    return True


def query_tcx(ifindex: int, hook: Hook) -> tuple[Attached, ...]:
    """The tcx programs of one hook in running order; empty where the kernel has no tcx."""
    try:
        pairs = _ask_tcx(ifindex, hook)
    except KernelRefusal as refusal:
        if refusal.errno in (errno.EINVAL, errno.EOPNOTSUPP):
            return ()
        raise
    return tuple(
        Attached(hook=hook, mode=Mode.TCX, program_id=program, program_name=_name(program), link_id=link)
        for program, link in pairs
    )


def query_xdp(ifindex: int) -> tuple[Attached, ...]:
    """The XDP programs of an interface; more than one only where driver and hardware both hold one."""
    options = _XdpQueryOptions()
    options.sz = ct.sizeof(options)
    check(libbpf().bpf_xdp_query(ifindex, 0, ct.byref(options)), f"ask for XDP on interface {ifindex}")
    modes = zip(XDP_MODES.values(), (options.drv_prog_id, options.skb_prog_id, options.hw_prog_id), strict=True)
    return tuple(
        Attached(hook=Hook.XDP, mode=mode, program_id=program, program_name=_name(program))
        for mode, program in modes
        if program
    )


def query_clsact(ifindex: int, hook: Hook) -> tuple[Attached, ...]:
    """The BPF filters under clsact of one hook, lowest priority number first."""
    request = struct.pack("=BxxxiIII", 0, ifindex, 0, CLSACT_PARENTS[hook], 0)
    filters = (_filter(hook, message) for message in _dump(_GET_FILTER, request))
    return tuple(sorted((f for f in filters if f is not None), key=lambda f: (f.priority, f.handle)))


def _ask_tcx(ifindex: int, hook: Hook) -> list[tuple[int, int]]:
    programs, links = (U32 * MOST_PROGRAMS)(), (U32 * MOST_PROGRAMS)()
    query = _ProgramQuery(target_ifindex=ifindex, attach_type=TCX_TYPES[hook], prog_cnt=MOST_PROGRAMS)
    query.prog_ids, query.link_ids = ct.addressof(programs), ct.addressof(links)
    number = SYS_BPF.get(platform.machine())
    if number is None:
        raise BpfError(f"the number of the bpf system call on {platform.machine()} is not known")
    call = ct.CDLL(None, use_errno=True).syscall
    if call(ct.c_long(number), ct.c_long(BPF_PROG_QUERY), ct.byref(query), ct.c_long(ct.sizeof(query))) < 0:
        raise KernelRefusal(ct.get_errno(), f"ask for tcx programs on interface {ifindex}")
    return list(zip(programs[: query.prog_cnt], links[: query.prog_cnt], strict=True))


def _name(program_id: int) -> str:
    try:
        with Program.by_id(program_id) as program:
            return program.name
    except KernelRefusal:
        return ""  # gone between the two questions


_GET_FILTER = 46
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_REQUEST_DUMP = 0x301
_TCA_KIND, _TCA_OPTIONS = 1, 2
_TCA_BPF_ID = 11
_TCMSG = struct.Struct("=BxxxiIII")


def _filter(hook: Hook, message: bytes) -> Attached | None:
    _, _, handle, _, info = _TCMSG.unpack_from(message)
    attributes = dict(_attributes(message[_TCMSG.size :]))
    if attributes.get(_TCA_KIND) != b"bpf\0" or _TCA_OPTIONS not in attributes or not handle:
        return None
    options = dict(_attributes(attributes[_TCA_OPTIONS]))
    program = int.from_bytes(options.get(_TCA_BPF_ID, b""), "little")
    return Attached(
        hook=hook,
        mode=Mode.CLSACT,
        program_id=program,
        program_name=_name(program),  # the filter's own name is whatever the tool that made it chose
        priority=info >> 16,
        handle=handle,
    )


def _dump(kind: int, body: bytes) -> Iterator[bytes]:
    """The answers to one rtnetlink dump, without their headers. Raises `KernelRefusal`."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as link:
        link.bind((0, 0))
        link.send(struct.pack("=IHHII", 16 + len(body), kind, _REQUEST_DUMP, 1, 0) + body)
        while True:
            answer = link.recv(1 << 16)
            at = 0
            while at < len(answer):
                length, what = struct.unpack_from("=IH", answer, at)
                payload = answer[at + 16 : at + length]
                at += (length + 3) & ~3
                if what == _NLMSG_DONE:
                    return
                if what == _NLMSG_ERROR:
                    code = -struct.unpack_from("=i", payload)[0]
                    raise KernelRefusal(code, f"rtnetlink request {kind}: {os.strerror(code)}")
                yield payload


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        yield kind & 0x3FFF, data[at + 4 : at + length]
        at += max((length + 3) & ~3, 4)
