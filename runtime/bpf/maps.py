"""BPF maps by file descriptor: bytes in, bytes out.

Which bytes make a key or a value is the business of the layout (`compiler.printers.layout`). A `Map` owns its file
descriptor. Operations over many entries are in `runtime.bpf.batches`, reached through `Map.update_batch` and its
neighbours.
"""

from __future__ import annotations

import ctypes as ct
import errno
import mmap
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType

from runtime.bpf import batches
from runtime.bpf.bpffs import pin_name
from runtime.bpf.constants import FD_VALUE_TYPES, PER_CPU_TYPES, MapFlag, MapType, Update
from runtime.bpf.errors import KernelRefusal
from runtime.bpf.library import U32, MapInfo, check, libbpf, read_info

POSSIBLE_CPUS = Path("/sys/devices/system/cpu/possible")


@dataclass(frozen=True, slots=True, kw_only=True)
class MapDetails:
    """What the kernel says of a map. Sizes in bytes; `value_size` is one CPU's value in a per-CPU map."""

    id: int
    name: str
    type: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int

    @property
    def is_per_cpu(self) -> bool:
        return self.type in PER_CPU_TYPES

    @property
    def holds_fds(self) -> bool:
        """Updates take the 4 bytes of a file descriptor, look-ups return those of an id."""
        return self.type in FD_VALUE_TYPES

    @property
    def buffer_size(self) -> int:
        """Bytes of one value as system calls move it: all possible CPUs, each rounded up to 8."""
        return round_up(self.value_size, 8) * possible_cpus() if self.is_per_cpu else self.value_size


@dataclass(frozen=True, slots=True, kw_only=True)
class MapShape:
    """What a new map is to be. `inner_fd` is the pattern of the maps inside a map of maps."""

    name: str
    type: MapType
    key_size: int
    value_size: int
    max_entries: int
    flags: MapFlag = MapFlag.NONE
    inner_fd: int = 0


class _CreateOptions(ct.Structure):
    _fields_ = (
        ("sz", ct.c_size_t),
        ("btf_fd", U32),
        ("btf_key_type_id", U32),
        ("btf_value_type_id", U32),
        ("btf_vmlinux_value_type_id", U32),
        ("inner_map_fd", U32),
        ("map_flags", U32),
        ("map_extra", ct.c_uint64),
        ("numa_node", U32),
        ("map_ifindex", U32),
    )


class Map:
    """One map. Closing it closes the descriptor; the map itself lives while programs, pins or others hold it."""

    __slots__ = ("details", "fd")

    def __init__(self, fd: int) -> None:
        """Take over `fd`. Raises `KernelRefusal` if it is no map."""
        self.fd = fd
        self.details = _details(fd)

    @classmethod
    def create(cls, shape: MapShape) -> Map:
        """Raises `KernelRefusal`."""
        options = _CreateOptions(map_flags=int(shape.flags), inner_map_fd=shape.inner_fd)
        options.sz = ct.sizeof(options)
        fd = libbpf().bpf_map_create(
            shape.type, shape.name.encode()[:15], shape.key_size, shape.value_size, shape.max_entries, ct.byref(options)
        )
        return cls(check(fd, f"create map {shape.name}"))

    @classmethod
    def pinned(cls, path: Path) -> Map:
        """The map pinned at `path`. Raises `KernelRefusal` (ENOENT when there is none)."""
        return cls(check(libbpf().bpf_obj_get(os.fsencode(path)), f"open pinned map {path}"))

    @classmethod
    def by_id(cls, map_id: int) -> Map:
        """Raises `KernelRefusal` (ENOENT when it is gone)."""
        return cls(check(libbpf().bpf_map_get_fd_by_id(map_id), f"open map {map_id}"))

    def __enter__(self) -> Map:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Map {self.details.name} id {self.details.id} fd {self.fd}>"

    def close(self) -> None:
        """Close the descriptor; twice is fine."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def pin(self, path: Path) -> None:
        """Keep the map under `path`, in a bpffs. Raises `KernelRefusal` (EEXIST), ValueError for a dot in the name."""
        pin_name(path.name)
        check(libbpf().bpf_obj_pin(self.fd, os.fsencode(path)), f"pin map {self.details.name} at {path}")

    def lookup(self, key: bytes, flags: int = 0) -> bytes | None:
        """The value, None when the key is absent. A per-CPU map gives all CPUs' values: see `split_per_cpu`."""
        self._expect(key, self.details.key_size, "key")
        value = ct.create_string_buffer(self.details.buffer_size)
        result = libbpf().bpf_map_lookup_elem_flags(self.fd, key, value, flags)
        if result == -errno.ENOENT:
            return None
        check(result, f"look up in map {self.details.name}")
        return value.raw

    def update(self, key: bytes, value: bytes, flags: int = Update.ANY) -> None:
        """Write one entry. Raises `KernelRefusal`: E2BIG full (or array index too large), EEXIST, ENOENT by `flags`."""
        self._expect(key, self.details.key_size, "key")
        self._expect(value, self.details.buffer_size, "value")
        check(libbpf().bpf_map_update_elem(self.fd, key, value, flags), f"update map {self.details.name}")

    def update_fd(self, key: bytes, fd: int, flags: int = Update.ANY) -> None:
        """Put a program into a prog array, or a map into a map of maps."""
        self.update(key, struct.pack("=i", fd), flags)

    def delete(self, key: bytes) -> bool:
        """Remove one entry; False if it was not there. Raises `KernelRefusal` (EINVAL: arrays cannot)."""
        self._expect(key, self.details.key_size, "key")
        result = libbpf().bpf_map_delete_elem(self.fd, key)
        if result == -errno.ENOENT:
            return False
        check(result, f"delete from map {self.details.name}")
        return True

    def keys(self) -> Iterator[bytes]:
        """All keys, one system call each. Entries that come or go meanwhile may be missed or met twice."""
        size = self.details.key_size
        at: ct.Array[ct.c_char] | None = None
        while True:
            following = ct.create_string_buffer(size)
            result = libbpf().bpf_map_get_next_key(self.fd, at, following)
            if result == -errno.ENOENT:
                return
            check(result, f"walk map {self.details.name}")
            yield following.raw
            at = following

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All entries, in one or a few system calls where the kernel can. One tuple each: for people and tests."""
        keys, values = self.lookup_batch()
        key_size, value_size = self.details.key_size, self.details.buffer_size
        for index in range(len(keys) // key_size):
            yield keys[index * key_size : (index + 1) * key_size], values[index * value_size : (index + 1) * value_size]

    def lookup_batch(self) -> tuple[bytes, bytes]:
        """All entries: keys one after the other, values (of `details.buffer_size`) in the same order."""
        return batches.lookup(self.fd, self.details)

    def lookup_slots(self, first: int, count: int) -> bytes:
        """The values of an array's slots from `first` on, fewer where it ends. Raises `BatchRefusal`."""
        return batches.lookup_slots(self.fd, self.details, first, count)

    def update_batch(self, keys: batches.Buffer, values: batches.Buffer, flags: int = Update.ANY) -> int:
        """Write entries held in two contiguous buffers; returns how many. Raises `BatchRefusal`, ValueError."""
        return batches.update(self.fd, self.details, keys, values, flags)

    def delete_batch(self, keys: batches.Buffer) -> int:
        """Delete the keys of one buffer, absent ones passed over; returns how many were there."""
        return batches.delete(self.fd, self.details, keys)

    def freeze(self) -> None:
        """Make the map read-only for user space from now on."""
        check(libbpf().bpf_map_freeze(self.fd), f"freeze map {self.details.name}")

    def memory(self) -> mmap.mmap:
        """The values of an ARRAY created with MMAPABLE as shared memory, entry n at n * round_up(value_size, 8).

        The caller closes it. Raises OSError for another kind of map.
        """
        length = round_up(self.details.value_size, 8) * self.details.max_entries
        return mmap.mmap(self.fd, round_up(length, mmap.PAGESIZE), mmap.MAP_SHARED)

    def split_per_cpu(self, value: bytes) -> tuple[bytes, ...]:
        """One CPU's value each, out of what `lookup` gave."""
        step, size = round_up(self.details.value_size, 8), self.details.value_size
        return tuple(value[at : at + size] for at in range(0, len(value), step))

    def join_per_cpu(self, values: tuple[bytes, ...]) -> bytes:
        """The opposite of `split_per_cpu`, for `update`."""
        step = round_up(self.details.value_size, 8)
        return b"".join(value.ljust(step, b"\0") for value in values)

    def _expect(self, given: bytes, size: int, what: str) -> None:
        # The kernel would read past the end of a short buffer.
        if len(given) != size:
            raise ValueError(f"map {self.details.name} has a {what} of {size} bytes, got {len(given)}")


def round_up(size: int, to: int) -> int:
    """The next multiple of `to`, a power of two."""
    return (size + to - 1) & ~(to - 1)


@lru_cache(maxsize=1)
def possible_cpus() -> int:
    """How many values a per-CPU map keeps: all CPUs that could ever be plugged in."""
    return count_cpus(POSSIBLE_CPUS.read_text())


def count_cpus(ranges: str) -> int:
    """How many values there are for CPU ranges such as `0-3,8`: the kernel packs the possible CPUs without gaps."""
    total = 0
    for part in ranges.strip().split(","):
        first, _, last = part.partition("-")
        total += int(last or first) - int(first) + 1
    return total


def _details(fd: int) -> MapDetails:
    info = MapInfo()
    read_info(fd, info, f"ask about map of fd {fd}")
    if info.key_size == 0 and info.max_entries == 0:
        raise KernelRefusal(errno.EINVAL, f"fd {fd} is no map")
    return MapDetails(
        id=info.id,
        name=info.name.decode(),
        type=info.type,
        key_size=info.key_size,
        value_size=info.value_size,
        max_entries=info.max_entries,
        flags=info.map_flags,
    )
