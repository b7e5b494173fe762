"""What the running kernel and this process can do with BPF. Each probe tries the thing itself; none needs a compiler.

`turnout doctor` prints the records; the device asks single ones. Nothing is left behind, and nothing raises.
"""

from __future__ import annotations

import ctypes as ct
import os
import platform
import re
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runtime.bpf.assembly import call, call_function, copy_register, leave, load_instructions, load_map, set_register
from runtime.bpf.bpffs import mount_bpffs, unmount_bpffs
from runtime.bpf.btf import MAGIC
from runtime.bpf.constants import MapFlag, MapType, ProgramType
from runtime.bpf.errors import BpfError, KernelRefusal
from runtime.bpf.library import U32, check, libbpf
from runtime.bpf.maps import Map, MapShape
from runtime.bpf.queries import tcx_present
from runtime.bpf.testrun import MIN_FRAME, run_skb, run_syscall, run_xdp
from runtime.bpf.ticks import tick_constants
from runtime.bpf.toolchain import find_compiler

OLDEST_KERNEL = (5, 15)
MEMCG_KERNEL = (5, 11)
KERNEL_BTF = Path("/sys/kernel/btf/vmlinux")
TAIL_CALLS = "tail calls"
TAIL_CALL = 12
REDIRECT_PEER, SK_ASSIGN, KTIME_GET_COARSE_NS = 155, 124, 160
_ABSENT_HELPER = re.compile(r"unknown func|invalid func|cannot use helper")


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One thing tried. `detail` says what was seen, or the refusal; `disables` what does not work without it."""

    name: str
    present: bool
    detail: str
    disables: str


class Absent(Exception):  # noqa: N818  a probe's plain "no", with the reason
    """The thing is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """`attempt` returns a detail, or raises `Absent`, `BpfError` or OSError, whose words become the detail."""

    name: str
    disables: str
    attempt: Callable[[], str]

    def run(self) -> Feature:
        """Try it. Never raises for what the machine lacks."""
        try:
            detail = self.attempt()
        except (Absent, BpfError, OSError) as problem:
            return Feature(name=self.name, present=False, detail=str(problem), disables=self.disables)
        return Feature(name=self.name, present=True, detail=detail, disables=self.disables)


def probe_all() -> tuple[Feature, ...]:
    """Every probe, in the order a person would fix them."""
    return tuple(probe.run() for probe in PROBES)


def probe(name: str) -> Feature:
    """One probe by its name. Raises KeyError for a name that is not in `PROBES`."""
    return {probe.name: probe for probe in PROBES}[name].run()


def kernel_version(release: str) -> tuple[int, int]:
    """`(6, 1)` for `6.1.0-18-amd64`; (0, 0) for what is no version."""
    found = re.match(r"(\d+)\.(\d+)", release)
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


def _kernel() -> str:
    release = platform.release()
    if kernel_version(release) < OLDEST_KERNEL:
        raise Absent(f"{release} is older than {OLDEST_KERNEL[0]}.{OLDEST_KERNEL[1]}")
    return f"{release} on {platform.machine()}"


def _library() -> str:
    return f"libbpf {libbpf().version}"


def _compiler() -> str:
    return find_compiler().version


def _right() -> str:
    _map(MapType.ARRAY).close()
    return "root" if os.geteuid() == 0 else "CAP_BPF"


def _memlock() -> str:
    if kernel_version(platform.release()) >= MEMCG_KERNEL and _has_helper(ProgramType.SCHED_CLS, KTIME_GET_COARSE_NS):
        return "not needed: BPF memory counts in its cgroup"
    raise Absent("this kernel counts BPF memory against RLIMIT_MEMLOCK; libbpf raises it, which takes CAP_SYS_RESOURCE")


def _tc() -> str:
    with load_instructions(ProgramType.SCHED_CLS, set_register(0, 2) + leave(), "probe_tc") as program:
        _expect(run_skb(program.fd, bytes(64)).verdict, 2)
        return "loads and runs"


def _xdp() -> str:
    with load_instructions(ProgramType.XDP, set_register(0, 2) + leave(), "probe_xdp") as program:
        _expect(run_xdp(program.fd, bytes(MIN_FRAME + 50)).verdict, 2)
        return "loads and runs"


def _syscall() -> str:
    with load_instructions(ProgramType.SYSCALL, set_register(0, 3) + leave(), "probe_syscall") as program:
        _expect(run_syscall(program.fd, b"").result, 3)
        return "loads and runs"


def _ticks() -> str:
    tick_ns = tick_constants()["tick_ns"]
    if not tick_ns:
        raise Absent("programs cannot read it, or it has lost ticks")
    return f"{1_000_000_000 // tick_ns} a second"


def _jit() -> str:
    with load_instructions(ProgramType.XDP, set_register(0, 2) + leave(), "probe_jit") as program:
        if not program.stats.jited_bytes:
            raise Absent("programs are interpreted; set net.core.bpf_jit_enable=1")
        return f"2 instructions became {program.stats.jited_bytes} bytes of machine code"


def _tail_calls() -> str:
    """Beside a function of the program's own."""
    keep, function = copy_register(6, 1), set_register(0, 2) + leave()
    with _map(MapType.PROG_ARRAY) as programs:
        goes_on = copy_register(1, 6) + load_map(2, programs.fd) + set_register(3, 0) + call(TAIL_CALL)
        goes_on += set_register(0, 2) + leave()
        code = keep + call_function(len(goes_on) // 8) + goes_on + function
        with load_instructions(ProgramType.SCHED_CLS, code, "probe_tail_call") as program:
            _expect(run_skb(program.fd, bytes(64)).verdict, 2)
    return "taken in a program that has functions"


def _tcx() -> str:
    if not tcx_present():
        raise Absent("the kernel does not know tcx (6.6 on)")
    return "asked for the programs of loopback"


def _btf() -> str:
    with KERNEL_BTF.open("rb") as file:
        head = file.read(2)
    if int.from_bytes(head, "little") != MAGIC:
        raise Absent(f"{KERNEL_BTF} holds no BTF")
    return str(KERNEL_BTF)


def _lpm() -> str:
    flags = MapFlag.NO_PREALLOC
    with Map.create(
        MapShape(name="probe", type=MapType.LPM_TRIE, key_size=8, value_size=4, max_entries=4, flags=flags)
    ) as trie:
        trie.update(struct.pack("=I4B", 8, 10, 0, 0, 0), b"here")
        _expect(trie.lookup(struct.pack("=I4B", 32, 10, 1, 2, 3)), b"here")
        return "a prefix found an address"


def _batch() -> str:
    with _map(MapType.HASH) as table:
        count = U32(2)
        check(libbpf().bpf_map_update_batch(table.fd, bytes(4) + b"1234", bytes(8), ct.byref(count), None), "batch")
        _expect(len(list(table.keys())), 2)
        return "two entries in one call"


def _ring_buffer() -> str:
    size = os.sysconf("SC_PAGE_SIZE")
    shape = MapShape(name="probe", type=MapType.RINGBUF, key_size=0, value_size=0, max_entries=size)
    Map.create(shape).close()
    return f"made one of {size} bytes"


def _mmapable() -> str:
    with _map(MapType.ARRAY, MapFlag.MMAPABLE) as array, array.memory() as memory:
        memory[:4] = b"seen"
        _expect(array.lookup(bytes(4)), b"seen")
        return "a write through memory was seen by a look-up"


def _bpffs() -> str:
    with tempfile.TemporaryDirectory(prefix="turnout-probe-") as folder:
        path = Path(folder) / "bpf"
        mount_bpffs(path)
        try:
            with _map(MapType.ARRAY) as array:
                array.pin(path / "probe")
        finally:
            unmount_bpffs(path)
        return "mounted one and pinned a map"


def _helper(kind: ProgramType, helper: int, name: str) -> Callable[[], str]:
    def attempt() -> str:
        if not _has_helper(kind, helper):
            raise Absent(f"{kind.name} programs cannot call {name}")
        return f"{kind.name} programs may call {name}"

    return attempt


def _has_helper(kind: ProgramType, helper: int) -> bool:
    """A verifier that complains of the arguments knows the helper; one that complains of the call does not."""
    code = set_register(1, 1) + set_register(2, 0) + call(helper) + set_register(0, 0) + leave()
    try:
        load_instructions(kind, code, "probe_helper").close()
    except KernelRefusal as refusal:
        if not refusal.what.endswith(")"):
            raise  # refused without a word: rights or memory, not the helper
        return not _ABSENT_HELPER.search(refusal.what)
    return True


def _map(kind: MapType, flags: MapFlag = MapFlag.NONE) -> Map:
    return Map.create(MapShape(name="probe", type=kind, key_size=4, value_size=4, max_entries=4, flags=flags))


def _expect(got: object, wanted: object) -> None:
    if got != wanted:
        raise Absent(f"the probe gave {got!r}, not {wanted!r}")


PROBES = (
    Probe(name="kernel", disables="nothing is sure to load on an older kernel", attempt=_kernel),
    Probe(name="libbpf", disables="everything that touches BPF", attempt=_library),
    Probe(name="bpf right", disables="the kernel device; run as root or with CAP_BPF, CAP_NET_ADMIN", attempt=_right),
    Probe(
        name="compiler", disables="compiling policies to an ELF here; a bundle made elsewhere loads", attempt=_compiler
    ),
    Probe(name="bpffs", disables="maps and programs that outlive the device process", attempt=_bpffs),
    Probe(name="tc programs", disables="the kernel device", attempt=_tc),
    Probe(name="xdp programs", disables="the fast path of uplinks; they use tc instead", attempt=_xdp),
    Probe(name="syscall programs", disables="ageing and fix-up of flows", attempt=_syscall),
    Probe(name="jit", disables="speed: programs run many times slower", attempt=_jit),
    Probe(
        name=TAIL_CALLS,
        disables="the fast path: all packets take the whole way, known connections for some 25 ns more",
        attempt=_tail_calls,
    ),
    Probe(name="tcx", disables="attaching by links; clsact filters are used instead", attempt=_tcx),
    Probe(name="lpm trie", disables="routes and every other table with a prefix key", attempt=_lpm),
    Probe(name="mmapable arrays", disables="reading counters and flows without system calls", attempt=_mmapable),
    Probe(name="batch operations", disables="speed of large writes; they go entry by entry", attempt=_batch),
    Probe(name="ring buffer", disables="events from the data plane", attempt=_ring_buffer),
    Probe(
        name="redirect_peer",
        disables="the short way into a Pod's namespace",
        attempt=_helper(ProgramType.SCHED_CLS, REDIRECT_PEER, "bpf_redirect_peer"),
    ),
    Probe(
        name="sk_assign",
        disables="handing connections to the shared proxy",
        attempt=_helper(ProgramType.SCHED_CLS, SK_ASSIGN, "bpf_sk_assign"),
    ),
    Probe(
        name="coarse clock",
        disables="the cheap clock of flow ageing",
        attempt=_helper(ProgramType.SCHED_CLS, KTIME_GET_COARSE_NS, "bpf_ktime_get_coarse_ns"),
    ),
    Probe(
        name="tick count",
        disables="the clock of flow ageing that takes no call; the coarse one is asked",
        attempt=_ticks,
    ),
    Probe(name="memlock", disables="large maps without CAP_SYS_RESOURCE", attempt=_memlock),
    Probe(name="kernel btf", disables="watching the live system with kernel structures", attempt=_btf),
)
"""All probes, in the order a person would fix them."""
