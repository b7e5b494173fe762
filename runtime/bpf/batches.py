"""Many map entries at a time: BPF_MAP_*_BATCH, and loops over single calls where map, flag or kernel has none.

Keys and values are contiguous buffers; no object is made per entry. Called by `runtime.bpf.maps.Map`.
"""

from __future__ import annotations

import ctypes as ct
import errno
import sys
from typing import Protocol, TypeAlias

from runtime.bpf.constants import Update
from runtime.bpf.errors import ENOTSUPP, BatchRefusal
from runtime.bpf.library import U32, check, libbpf

Buffer: TypeAlias = bytes | bytearray | memoryview
NO_BATCH = frozenset({errno.EINVAL, ENOTSUPP, errno.EOPNOTSUPP})
FIRST_LOOKUP = 4096
LARGEST_LOOKUP = 65_536


class Details(Protocol):
    """The part of `MapDetails` that batches need."""

    @property
    def name(self) -> str: ...
    @property
    def key_size(self) -> int: ...
    @property
    def max_entries(self) -> int: ...
    @property
    def buffer_size(self) -> int: ...


class _BatchOptions(ct.Structure):
    _fields_ = (("sz", ct.c_size_t), ("elem_flags", ct.c_uint64), ("flags", ct.c_uint64))


def update(fd: int, of: Details, keys: Buffer, values: Buffer, flags: int) -> int:
    """Write all entries. Raises `BatchRefusal` with how many are in, ValueError for lengths that do not fit."""
    count = _count(of, keys, of.key_size, "keys")
    if count != _count(of, values, of.buffer_size, "values"):
        raise ValueError(f"map {of.name}: {count} keys, {len(values)} bytes of values")
    key_at, value_at = _address(keys), _address(values)
    done = 0
    if flags in (Update.ANY, Update.LOCK):  # the kernel's batches know no NOEXIST and EXIST
        options = _BatchOptions(elem_flags=flags)
        options.sz = ct.sizeof(options)
        moved = U32(count)
        result = libbpf().bpf_map_update_batch(fd, key_at, value_at, ct.byref(moved), ct.byref(options))
        if result >= 0:
            return count
        done = _done(-result, moved.value, count)
        if -result not in NO_BATCH:
            raise BatchRefusal(-result, f"update map {of.name}", done)
    return _update_each(fd, of, key_at, value_at, count, done, flags)


def delete(fd: int, of: Details, keys: Buffer) -> int:
    """Delete all keys, pass over absent ones. Returns how many were there."""
    count = _count(of, keys, of.key_size, "keys")
    address, at, deleted = _address(keys), 0, 0
    while at < count:
        moved = U32(count - at)
        result = libbpf().bpf_map_delete_batch(fd, address + at * of.key_size, ct.byref(moved), None)
        if result >= 0:
            return deleted + count - at
        done = _done(-result, moved.value, count - at)
        at, deleted = at + done, deleted + done
        if -result in NO_BATCH:
            return deleted + _delete_each(fd, of, address, at, count)
        if -result != errno.ENOENT:
            raise BatchRefusal(-result, f"delete from map {of.name}", at)
        at += 1
    return deleted


def lookup(fd: int, of: Details) -> tuple[bytes, bytes]:
    """All entries, as one buffer of keys and one of values."""
    room = max(1, min(of.max_entries, FIRST_LOOKUP))
    token_size = max(4, of.key_size)
    token_in: ct.Array[ct.c_char] | None = None
    keys, values = bytearray(), bytearray()
    while True:
        token_out = ct.create_string_buffer(token_size)
        key_buffer = ct.create_string_buffer(room * of.key_size)
        value_buffer = ct.create_string_buffer(room * of.buffer_size)
        moved = U32(room)
        result = libbpf().bpf_map_lookup_batch(fd, token_in, token_out, key_buffer, value_buffer, ct.byref(moved), None)
        if result == -errno.ENOSPC:  # one bucket of the hash holds more than there is room for
            room *= 2
            continue
        if -result in NO_BATCH and not keys:
            return _lookup_each(fd, of)
        if result < 0 and result != -errno.ENOENT:
            raise BatchRefusal(-result, f"read map {of.name}", len(keys) // of.key_size)
        keys += memoryview(key_buffer)[: moved.value * of.key_size]
        values += memoryview(value_buffer)[: moved.value * of.buffer_size]
        if result == -errno.ENOENT:
            return bytes(keys), bytes(values)
        token_in = token_out
        room = max(room, min(room * 4, of.max_entries, LARGEST_LOOKUP))


def lookup_slots(fd: int, of: Details, first: int, count: int) -> bytes:
    """The values of an array's slots from `first` on, as one buffer."""
    values = bytearray()
    token: ct.Array[ct.c_char] | None = None
    if first:
        token = ct.create_string_buffer((first - 1).to_bytes(of.key_size, sys.byteorder), of.key_size)
    while len(values) < count * of.buffer_size:
        room = count - len(values) // of.buffer_size
        token_out = ct.create_string_buffer(of.key_size)
        keys, found = ct.create_string_buffer(room * of.key_size), ct.create_string_buffer(room * of.buffer_size)
        moved = U32(room)
        result = libbpf().bpf_map_lookup_batch(fd, token, token_out, keys, found, ct.byref(moved), None)
        if result < 0 and result != -errno.ENOENT:
            raise BatchRefusal(-result, f"read map {of.name}", len(values) // of.buffer_size)
        values += memoryview(found)[: moved.value * of.buffer_size]
        if result == -errno.ENOENT:  # the last slot is among them
            break
        token = token_out
    return bytes(values)


def _lookup_each(fd: int, of: Details) -> tuple[bytes, bytes]:
    keys, values = bytearray(), bytearray()
    at: ct.Array[ct.c_char] | None = None
    key, value = ct.create_string_buffer(of.key_size), ct.create_string_buffer(of.buffer_size)
    lib = libbpf()
    while True:
        result = lib.bpf_map_get_next_key(fd, at, key)
        if result == -errno.ENOENT:
            return bytes(keys), bytes(values)
        check(result, f"walk map {of.name}")
        found = lib.bpf_map_lookup_elem_flags(fd, key, value, 0)
        if found >= 0:
            keys += key.raw
            values += value.raw
        elif found != -errno.ENOENT:  # gone since: a prog array's empty slots look the same
            check(found, f"read map {of.name}")
        at = key


def _update_each(fd: int, of: Details, key_at: int, value_at: int, count: int, start: int, flags: int) -> int:
    call = libbpf().bpf_map_update_elem
    key_size, value_size = of.key_size, of.buffer_size
    for index in range(start, count):
        result = call(fd, key_at + index * key_size, value_at + index * value_size, flags)
        if result < 0:
            raise BatchRefusal(-result, f"update map {of.name}", index)
    return count


def _delete_each(fd: int, of: Details, key_at: int, start: int, count: int) -> int:
    call, deleted = libbpf().bpf_map_delete_elem, 0
    for index in range(start, count):
        result = call(fd, key_at + index * of.key_size)
        if result >= 0:
            deleted += 1
        elif result != -errno.ENOENT:
            raise BatchRefusal(-result, f"delete from map {of.name}", index)
    return deleted


def _count(of: Details, buffer: Buffer, size: int, what: str) -> int:
    if len(buffer) % size:
        raise ValueError(f"map {of.name}: {len(buffer)} bytes of {what} are no multiple of {size}")
    return len(buffer) // size


def _done(code: int, moved: int, asked: int) -> int:
    # A map without the operation leaves the count as it was given.
    return 0 if code in NO_BATCH and moved >= asked else moved


def _address(buffer: Buffer) -> int:
    """Address of the first byte. The caller's buffer stays alive for the whole call, and with it the address."""
    if isinstance(buffer, memoryview):
        if not buffer.contiguous:
            raise ValueError("the buffer is not contiguous")
        if buffer.readonly:
            return _address_of_readonly(buffer)
    if isinstance(buffer, bytes):
        return ct.cast(ct.c_char_p(buffer), ct.c_void_p).value or 0
    return ct.addressof(ct.c_char.from_buffer(buffer)) if len(buffer) else 0


def _address_of_readonly(buffer: memoryview) -> int:
    owner = buffer.obj
    if isinstance(owner, bytes) and buffer.nbytes == len(owner):
        return _address(owner)
    raise ValueError("a read-only view must cover a whole bytes object")
