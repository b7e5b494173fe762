"""Numbers of the kernel's BPF interface (include/uapi/linux/bpf.h) that this package and its callers need."""

from __future__ import annotations

from enum import IntEnum, IntFlag


class MapType(IntEnum):
    """`enum bpf_map_type`, as far as Turnout meets it."""

    HASH = 1
    ARRAY = 2
    PROG_ARRAY = 3
    PERF_EVENT_ARRAY = 4
    PERCPU_HASH = 5
    PERCPU_ARRAY = 6
    LRU_HASH = 9
    LRU_PERCPU_HASH = 10
    LPM_TRIE = 11
    ARRAY_OF_MAPS = 12
    HASH_OF_MAPS = 13
    DEVMAP = 14
    XSKMAP = 17
    QUEUE = 22
    STACK = 23
    SK_STORAGE = 24
    DEVMAP_HASH = 25
    RINGBUF = 27


class MapFlag(IntFlag):
    """Flags of map creation."""

    NONE = 0
    NO_PREALLOC = 1 << 0
    NUMA_NODE = 1 << 2
    RDONLY_PROG = 1 << 7
    WRONLY_PROG = 1 << 8
    MMAPABLE = 1 << 10
    INNER_MAP = 1 << 12


class Update(IntEnum):
    """When an update may take place. LOCK (4) is the spin lock inside the value."""

    ANY = 0
    NOEXIST = 1
    EXIST = 2
    LOCK = 4


class ProgramType(IntEnum):
    """`enum bpf_prog_type`, as far as Turnout meets it."""

    SOCKET_FILTER = 1
    SCHED_CLS = 3
    XDP = 6
    SYSCALL = 31


class AttachType(IntEnum):
    """`enum bpf_attach_type`, the ones of network devices."""

    XDP = 37
    TCX_INGRESS = 46
    TCX_EGRESS = 47


class LinkType(IntEnum):
    """`enum bpf_link_type`, the ones of network devices."""

    XDP = 6
    TCX = 11


PER_CPU_TYPES = frozenset({MapType.PERCPU_HASH, MapType.PERCPU_ARRAY, MapType.LRU_PERCPU_HASH})
FD_VALUE_TYPES = frozenset({MapType.PROG_ARRAY, MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS})
TCX_NEXT = -1
"""A tc verdict (TC_ACT_UNSPEC in clsact): go on, so that other programs still run."""
