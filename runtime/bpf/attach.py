"""Attaching programs to interfaces of the calling thread's namespace, and swapping them in place.

tc programs go on with tcx, or as clsact filters where the kernel (before 6.6) lacks it; XDP programs with a link,
native or generic. Each function may be called again with the same `pin` or the same filter numbers: what is there is
then swapped without a packet in between being missed. What is on an interface is asked in `runtime.bpf.queries`.
"""

from __future__ import annotations

import ctypes as ct
import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runtime.bpf.bpffs import pin_name, remove_pin
from runtime.bpf.constants import AttachType, LinkType
from runtime.bpf.errors import KernelRefusal, errno_text
from runtime.bpf.library import U32, LinkInfo, check, libbpf, read_info
from runtime.bpf.program import Program
from runtime.bpf.queries import (
    TCX_TYPES,
    Attached,
    Hook,
    Mode,
    attached,
    query_clsact,
    query_tcx,
    query_xdp,
    tcx_present,
)

__all__ = [
    "Attached",
    "Attachment",
    "Hook",
    "Mode",
    "attach_tc",
    "attach_xdp",
    "attached",
    "reattached",
    "remove_clsact",
]

FILTER_PRIORITY = 7
FILTER_HANDLE = 0x7475
"""The clsact filter that is Turnout's: others keep theirs, before or after it."""

_POINTS = {Hook.INGRESS: 1, Hook.EGRESS: 2}
_REPLACE = 1
_XDP_FLAGS = {Mode.XDP_GENERIC: 1 << 1, Mode.XDP_NATIVE: 1 << 2}
_NOT_NATIVE = frozenset({errno.EOPNOTSUPP, errno.EINVAL, errno.ERANGE, errno.ENOMEM, errno.ENOSPC, errno.E2BIG})


class _TcHook(ct.Structure):
    _fields_ = (("sz", ct.c_size_t), ("ifindex", ct.c_int), ("attach_point", ct.c_int), ("parent", U32))


class _TcOptions(ct.Structure):
    _fields_ = (
        ("sz", ct.c_size_t),
        ("prog_fd", ct.c_int),
        ("flags", U32),
        ("prog_id", U32),
        ("handle", U32),
        ("priority", U32),
    )


class _LinkOptions(ct.Structure):
    _fields_ = (("sz", ct.c_size_t), ("flags", U32), ("iter_info_len", U32))


@dataclass(slots=True, kw_only=True)
class Attachment:
    """A program on one hook of one interface.

    With a link (`link_fd` of tcx and XDP) it ends when this is closed and no `pin` holds it; a clsact filter stays
    until detached or until the interface goes.
    """

    ifindex: int
    hook: Hook
    mode: Mode
    link_fd: int = -1
    pin: Path | None = None
    priority: int = FILTER_PRIORITY
    handle: int = FILTER_HANDLE

    def update(self, program: Program) -> None:
        """Swap the program; each packet meets the old one or the new one. Raises `KernelRefusal` (ENOLINK: gone)."""
        if self.mode is Mode.CLSACT:
            _put_filter(self, program)
        else:
            check(libbpf().bpf_link_update(self.link_fd, program.fd, None), f"swap the program on {self._place}")

    def detach(self) -> None:
        """Take the program off now, whoever else holds the link, and remove the pin. Twice is fine."""
        if self.mode is Mode.CLSACT:
            _remove_filter(self)
            return
        if self.link_fd >= 0:
            result = libbpf().bpf_link_detach(self.link_fd)
            if result != -errno.ENOLINK:  # the interface has gone, the program with it
                check(result, f"detach from {self._place}")
        if self.pin is not None:
            remove_pin(self.pin)
        self.close()

    def close(self) -> None:
        """Close the descriptor; twice is fine."""
        if self.link_fd >= 0:
            os.close(self.link_fd)
            self.link_fd = -1

    @property
    def _place(self) -> str:
        return f"{self.hook} of interface {self.ifindex}"


def attach_tc(
    program: Program,
    ifindex: int,
    hook: Hook,
    *,
    pin: Path | None = None,
    mode: Mode | None = None,
    priority: int = FILTER_PRIORITY,
    handle: int = FILTER_HANDLE,
) -> Attachment:
    """Put a tc program on a hook. `mode` None means tcx where the kernel has it, else clsact.

    `pin` keeps a tcx link; a clsact filter stays by itself, under `priority` and `handle`. A later call with the same
    ones swaps the program.
    The first filter adds clsact, for which the kernel halts the interface's queues for a moment: a packet may be lost.
    A program that lets packets go on returns -1 (TCX_NEXT): 0 (TC_ACT_OK) ends a tcx chain. Raises `KernelRefusal`.
    """
    mode = mode or (Mode.TCX if tcx_present() else Mode.CLSACT)
    if mode is Mode.CLSACT:
        made = Attachment(ifindex=ifindex, hook=hook, mode=mode, priority=priority, handle=handle)
        _make_clsact(ifindex, hook)
        _put_filter(made, program)
        return made
    if mode is not Mode.TCX or hook not in TCX_TYPES:
        raise ValueError(f"a tc program cannot be attached with {mode} to {hook}")
    there = _reopen_tcx(pin, ifindex, hook)
    if there >= 0:
        return _swapped(Attachment(ifindex=ifindex, hook=hook, mode=mode, link_fd=there, pin=pin), program)
    fd = check(
        libbpf().bpf_link_create(program.fd, ifindex, TCX_TYPES[hook], None),
        f"attach {program.name} to {hook} of interface {ifindex}",
    )
    return _pinned(Attachment(ifindex=ifindex, hook=hook, mode=mode, link_fd=fd, pin=pin))


def attach_xdp(program: Program, ifindex: int, *, pin: Path | None = None, mode: Mode | None = None) -> Attachment:
    """Put an XDP program on an interface. `mode` None means native, and generic where the driver has no native XDP.

    Raises `KernelRefusal` (EBUSY: another program is there), with the words for both modes where both fail.
    """
    there, found = _reopen_xdp(pin, ifindex)
    if there >= 0:
        return _swapped(Attachment(ifindex=ifindex, hook=Hook.XDP, mode=found, link_fd=there, pin=pin), program)
    modes = (mode,) if mode else (Mode.XDP_NATIVE, Mode.XDP_GENERIC)
    fd, used = _create_xdp_link(program, ifindex, modes)
    return _pinned(Attachment(ifindex=ifindex, hook=Hook.XDP, mode=used, link_fd=fd, pin=pin))


def reattached(ifindex: int, hook: Hook, pin: Path) -> Attachment | None:
    """What an earlier process attached with this pin, or as Turnout's clsact filter; None if it is not there now."""
    if hook is not Hook.XDP:
        ours = (FILTER_PRIORITY, FILTER_HANDLE)
        if any((found.priority, found.handle) == ours for found in query_clsact(ifindex, hook)):
            return Attachment(ifindex=ifindex, hook=hook, mode=Mode.CLSACT)
        fd = _reopen_tcx(pin, ifindex, hook)
        return Attachment(ifindex=ifindex, hook=hook, mode=Mode.TCX, link_fd=fd, pin=pin) if fd >= 0 else None
    fd, mode = _reopen_xdp(pin, ifindex)
    return Attachment(ifindex=ifindex, hook=hook, mode=mode, link_fd=fd, pin=pin) if fd >= 0 else None


def remove_clsact(ifindex: int) -> bool:
    """Take clsact off an interface if no filter is left in it; whether it was taken. Raises `KernelRefusal`."""
    if any(query_clsact(ifindex, hook) for hook in _POINTS):
        return False
    hook = _TcHook(ifindex=ifindex, attach_point=_POINTS[Hook.INGRESS] | _POINTS[Hook.EGRESS])
    hook.sz = ct.sizeof(hook)
    result = libbpf().bpf_tc_hook_destroy(ct.byref(hook))
    if result in (-errno.ENOENT, -errno.EINVAL):
        return False
    check(result, f"remove clsact from interface {ifindex}")
    return True


def _create_xdp_link(program: Program, ifindex: int, modes: tuple[Mode, ...]) -> tuple[int, Mode]:
    """The descriptor of a link in the first mode that the device can do."""
    refused: list[str] = []
    code = 0
    for mode in modes:
        if mode not in _XDP_FLAGS:
            raise ValueError(f"an XDP program cannot be attached with {mode}")
        options = _LinkOptions(flags=_XDP_FLAGS[mode])
        options.sz = ct.sizeof(options)
        with libbpf().listening() as said:
            result = libbpf().bpf_link_create(program.fd, ifindex, AttachType.XDP, ct.byref(options))
        if result >= 0:
            return result, mode
        code = -result
        refused += [f"{mode}: {errno_text(code)}", *said[-1:]]
        if code not in _NOT_NATIVE:
            break
    raise KernelRefusal(code, f"attach {program.name} to interface {ifindex} ({'; '.join(refused)})")


def _reopen_tcx(pin: Path | None, ifindex: int, hook: Hook) -> int:
    return _reopen(
        pin, LinkType.TCX, ifindex, lambda info: info.id in {found.link_id for found in query_tcx(ifindex, hook)}
    )


def _reopen_xdp(pin: Path | None, ifindex: int) -> tuple[int, Mode]:
    modes: dict[int, Mode] = {}

    def is_there(info: LinkInfo) -> bool:
        modes.update({found.program_id: found.mode for found in query_xdp(ifindex)})
        return info.prog_id in modes

    fd = _reopen(pin, LinkType.XDP, ifindex, is_there)
    return fd, next(iter(modes.values()), Mode.XDP_NATIVE)


def _reopen(pin: Path | None, kind: LinkType, ifindex: int, is_there: Callable[[LinkInfo], bool]) -> int:
    """The pinned link, if it is still on this interface of this namespace; else -1 and the pin removed."""
    if pin is None:
        return -1
    pin_name(pin.name)
    fd = libbpf().bpf_obj_get(os.fsencode(pin))
    if fd == -errno.ENOENT:
        return -1
    check(fd, f"open pinned link {pin}")
    info = LinkInfo()
    read_info(fd, info, f"ask about link {pin}")
    # A link info names the index, not the namespace, and 0 once the interface has gone.
    if info.type == kind and info.ifindex == ifindex and is_there(info):
        return fd
    os.close(fd)
    remove_pin(pin)
    return -1


def _swapped(held: Attachment, program: Program) -> Attachment:
    try:
        held.update(program)
    except KernelRefusal:
        held.close()
        raise
    return held


def _pinned(made: Attachment) -> Attachment:
    if made.pin is None:
        return made
    try:
        check(libbpf().bpf_obj_pin(made.link_fd, os.fsencode(made.pin)), f"pin a link at {made.pin}")
    except KernelRefusal:
        made.close()  # the last descriptor: the program comes off again
        raise
    return made


def _make_clsact(ifindex: int, hook: Hook) -> None:
    with libbpf().listening() as said:
        result = libbpf().bpf_tc_hook_create(ct.byref(_tc_hook(ifindex, hook)))
    if result != -errno.EEXIST:
        check(result, f"add clsact to interface {ifindex} ({'; '.join(said[-1:])})")


def _put_filter(made: Attachment, program: Program) -> None:
    options = _TcOptions(prog_fd=program.fd, flags=_REPLACE, handle=made.handle, priority=made.priority)
    options.sz = ct.sizeof(options)
    result = libbpf().bpf_tc_attach(ct.byref(_tc_hook(made.ifindex, made.hook)), ct.byref(options))
    check(result, f"attach {program.name} to {made.hook} of interface {made.ifindex} (clsact)")


def _remove_filter(made: Attachment) -> None:
    options = _TcOptions(handle=made.handle, priority=made.priority)
    options.sz = ct.sizeof(options)
    result = libbpf().bpf_tc_detach(ct.byref(_tc_hook(made.ifindex, made.hook)), ct.byref(options))
    if result not in (-errno.ENOENT, -errno.EINVAL, -errno.ENODEV):  # no filter, no clsact, no interface
        check(result, f"detach from {made.hook} of interface {made.ifindex}")


def _tc_hook(ifindex: int, hook: Hook) -> _TcHook:
    made = _TcHook(ifindex=ifindex, attach_point=_POINTS[hook])
    made.sz = ct.sizeof(made)
    return made
