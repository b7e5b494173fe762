"""Maps against the kernel: single entries, batches and their fall-backs, per-CPU values, shared memory, pins."""

from __future__ import annotations

import ctypes as ct
import errno
import struct
from pathlib import Path

import pytest

from runtime.bpf import batches
from runtime.bpf.bpffs import is_bpffs, mount_bpffs, remove_pin, remove_tree, unmount_bpffs
from runtime.bpf.constants import MapFlag, MapType, Update
from runtime.bpf.errors import ENOTSUPP, BatchRefusal, KernelRefusal
from runtime.bpf.library import LinkInfo, MapInfo, ProgramInfo, libbpf
from runtime.bpf.maps import Map, MapShape, possible_cpus

pytestmark = pytest.mark.root
MANY = 10_000


def make(kind: MapType, entries: int, value_size: int = 8, key_size: int = 4, flags: MapFlag = MapFlag.NONE) -> Map:
    shape = MapShape(name="tbpf", type=kind, key_size=key_size, value_size=value_size, max_entries=entries, flags=flags)
    return Map.create(shape)


def keys_of(*numbers: int) -> bytes:
    return struct.pack(f"={len(numbers)}I", *numbers)


def test_single_entries() -> None:
    with make(MapType.HASH, 2) as table:
        assert table.lookup(keys_of(1)) is None
        table.update(keys_of(1), b"12345678")
        assert table.lookup(keys_of(1)) == b"12345678"
        with pytest.raises(KernelRefusal, match=r"update map tbpf: File exists \(EEXIST\)"):
            table.update(keys_of(1), bytes(8), Update.NOEXIST)
        with pytest.raises(KernelRefusal, match="ENOENT"):
            table.update(keys_of(2), bytes(8), Update.EXIST)
        assert table.delete(keys_of(1))
        assert not table.delete(keys_of(1))
        assert list(table.items()) == []


def test_a_full_map_says_so() -> None:
    with make(MapType.HASH, 1) as table:
        table.update(keys_of(1), bytes(8))
        with pytest.raises(KernelRefusal, match="E2BIG") as caught:
            table.update(keys_of(2), bytes(8))
        assert caught.value.errno == errno.E2BIG


@pytest.mark.parametrize(("key", "value"), [(b"123", bytes(8)), (bytes(4), bytes(7)), (bytes(5), bytes(9))])
def test_short_buffers_never_reach_the_kernel(key: bytes, value: bytes) -> None:
    with make(MapType.HASH, 1) as table, pytest.raises(ValueError, match="map tbpf has a"):
        table.update(key, value)


def test_details() -> None:
    with make(MapType.PERCPU_ARRAY, 3, value_size=12) as table:
        details = table.details
        assert (details.name, details.type, details.key_size, details.value_size) == ("tbpf", 6, 4, 12)
        assert (details.max_entries, details.buffer_size) == (3, 16 * possible_cpus())
        with Map.by_id(details.id) as again:
            assert again.details == details
    table.close()
    with pytest.raises(KernelRefusal, match="ask about map of fd -1: "):
        Map(-1)


@pytest.mark.parametrize("kind", [MapType.HASH, MapType.LRU_HASH, MapType.ARRAY, MapType.LPM_TRIE])
def test_ten_thousand_entries(kind: MapType) -> None:
    trie = kind is MapType.LPM_TRIE
    flags = MapFlag.NO_PREALLOC if trie else MapFlag.NONE
    prefix = keys_of(32) if trie else b""
    keys = b"".join(prefix + struct.pack(">I" if trie else "=I", n) for n in range(MANY))
    values = struct.pack(f"={MANY}Q", *range(MANY))
    room = MANY if kind is MapType.ARRAY else 2 * MANY  # an LRU evicts before it is full
    with make(kind, room, key_size=8 if trie else 4, flags=flags) as table:
        assert table.update_batch(keys, values) == MANY
        got_keys, got_values = table.lookup_batch()
        size = table.details.key_size
        got = {
            got_keys[n * size : (n + 1) * size]: got_values[n * 8 : (n + 1) * 8] for n in range(len(got_values) // 8)
        }
        assert got == {keys[n * size : (n + 1) * size]: values[n * 8 : (n + 1) * 8] for n in range(MANY)}
        if kind is not MapType.ARRAY:
            assert table.delete_batch(keys[: size * 100]) == 100
            assert table.delete_batch(keys) == MANY - 100  # absent ones are passed over
            assert table.lookup_batch() == (b"", b"")


@pytest.mark.parametrize("missing", [ENOTSUPP, errno.EINVAL, errno.EOPNOTSUPP])
def test_a_kernel_without_batches(missing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        return -missing

    for name in ("update", "delete", "lookup"):
        monkeypatch.setattr(libbpf(), f"bpf_map_{name}_batch", refuse)
    keys, values = keys_of(*range(100)), struct.pack("=100Q", *range(100))
    with make(MapType.HASH, 100) as table:
        assert table.update_batch(keys, values) == 100
        assert dict(table.items()) == {keys_of(n): struct.pack("=Q", n) for n in range(100)}
        assert table.delete_batch(keys_of(5, 5, 777, 6)) == 2
        with pytest.raises(BatchRefusal, match=r"update map tbpf \(stopped after 2 entries\): .*E2BIG") as caught:
            table.update_batch(keys_of(200, 201, 202), bytes(24))
        assert caught.value.done == 2


def test_a_batch_that_stops_tells_how_far_it_came() -> None:
    with make(MapType.HASH, 10) as table:
        with pytest.raises(BatchRefusal) as caught:
            table.update_batch(keys_of(*range(20)), bytes(160))
        assert (caught.value.errno, caught.value.done) == (errno.E2BIG, 10)
        assert len(table.lookup_batch()[0]) == 40


def test_batches_with_conditions() -> None:
    with make(MapType.HASH, 10) as table:
        assert table.update_batch(keys_of(1, 2), bytes(16), Update.NOEXIST) == 2
        with pytest.raises(BatchRefusal) as caught:
            table.update_batch(keys_of(3, 2, 4), bytes(24), Update.NOEXIST)
        assert (caught.value.errno, caught.value.done) == (errno.EEXIST, 1)
        with pytest.raises(BatchRefusal):
            table.update_batch(keys_of(9), bytes(8), Update.EXIST)


def test_buffers_of_any_kind() -> None:
    keys, values = keys_of(1, 2), b"aaaaaaaabbbbbbbb"
    with make(MapType.HASH, 4) as table:
        buffers: tuple[batches.Buffer, ...] = (
            values,
            bytearray(values),
            memoryview(values),
            memoryview(bytearray(values)),
        )
        for buffer in buffers:
            assert table.update_batch(keys, buffer) == 2
            assert table.lookup(keys_of(2)) == b"bbbbbbbb"
            table.delete_batch(keys)
        with pytest.raises(ValueError, match="no multiple of 4"):
            table.update_batch(b"12345", bytes(8))
        with pytest.raises(ValueError, match="2 keys, 8 bytes of values"):
            table.update_batch(keys, bytes(8))
        with pytest.raises(ValueError, match="must cover a whole bytes object"):
            table.update_batch(memoryview(keys)[:4], bytes(8))
        assert table.update_batch(b"", b"") == 0
        assert table.delete_batch(b"") == 0


def test_a_crowded_bucket_grows_the_read() -> None:
    """A hash of four entries may hold all four in one bucket; each read starts with room for what there is."""
    with make(MapType.HASH, 4) as table:
        table.update_batch(keys_of(1, 2, 3, 4), bytes(32))
        for room in (1, 2, 3):
            assert len(_read_with_room(table, room)) == 16


def _read_with_room(table: Map, room: int) -> bytes:
    before = batches.FIRST_LOOKUP
    batches.FIRST_LOOKUP = room
    try:
        return table.lookup_batch()[0]
    finally:
        batches.FIRST_LOOKUP = before


def test_per_cpu_values() -> None:
    cpus = possible_cpus()
    with make(MapType.PERCPU_HASH, 4, value_size=6) as table:
        values = tuple(bytes([cpu]) * 6 for cpu in range(cpus))
        table.update(keys_of(1), table.join_per_cpu(values))
        stored = table.lookup(keys_of(1))
        assert stored is not None
        assert len(stored) == 8 * cpus
        assert table.split_per_cpu(stored) == values
        assert table.update_batch(keys_of(2, 3), stored * 2) == 2
        assert {key: table.split_per_cpu(v) for key, v in table.items()} == {keys_of(n): values for n in (1, 2, 3)}


def test_shared_memory() -> None:
    with make(MapType.ARRAY, 600, value_size=12, flags=MapFlag.MMAPABLE) as array, array.memory() as memory:
        array.update(keys_of(599), b"from syscall")
        assert memory[599 * 16 : 599 * 16 + 12] == b"from syscall"
        memory[16:28] = b"from memory!"
        assert array.lookup(keys_of(1)) == b"from memory!"
    with make(MapType.HASH, 4) as table, pytest.raises(OSError):
        table.memory()


def test_maps_in_maps() -> None:
    with make(MapType.ARRAY, 4) as inner, make(MapType.ARRAY, 4) as other:
        shape = MapShape(
            name="outer", type=MapType.ARRAY_OF_MAPS, key_size=4, value_size=4, max_entries=2, inner_fd=inner.fd
        )
        with Map.create(shape) as outer:
            assert outer.details.holds_fds
            outer.update_fd(keys_of(1), other.fd)
            stored = outer.lookup(keys_of(1))
            assert stored is not None
            assert int.from_bytes(stored, "little") == other.details.id
            assert dict(outer.items()) == {keys_of(1): stored}


def test_a_frozen_map_is_read_only() -> None:
    with make(MapType.ARRAY, 1) as array:
        array.freeze()
        with pytest.raises(KernelRefusal, match="EPERM"):
            array.update(keys_of(0), bytes(8))


def test_pins_survive_and_go(pins: Path) -> None:
    with make(MapType.HASH, 4) as table:
        (pins / "turnout").mkdir()
        table.pin(pins / "turnout" / "table")
        table.update(keys_of(1), b"survived")
        with pytest.raises(KernelRefusal, match="EEXIST"):
            table.pin(pins / "turnout" / "table")
        with pytest.raises(ValueError, match="no dot"):
            table.pin(pins / "v1.table")
    with Map.pinned(pins / "turnout" / "table") as again:
        assert again.lookup(keys_of(1)) == b"survived"
    assert remove_tree(pins / "turnout") == 1
    assert remove_tree(pins / "turnout") == 0
    assert not remove_pin(pins / "turnout")
    with pytest.raises(KernelRefusal, match=r"open pinned map .*ENOENT"):
        Map.pinned(pins / "turnout" / "table")


def test_mounting_twice_is_once(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "bpf"
    assert not is_bpffs(path)
    assert mount_bpffs(path)
    try:
        assert not mount_bpffs(path)
        assert is_bpffs(path)
        (path / "folder").mkdir()
        assert not unmount_bpffs(path / "folder")
    finally:
        assert unmount_bpffs(path)
    assert not unmount_bpffs(path)
    assert not is_bpffs(path)
    (path / "precious").write_text("not a pin")
    with pytest.raises(KernelRefusal, match="in no BPF file system; nothing is removed"):
        remove_tree(path)


def test_structures_have_the_size_of_the_kernels() -> None:
    assert (ct.sizeof(MapInfo), ct.sizeof(ProgramInfo), ct.sizeof(LinkInfo)) == (88, 224, 88)
