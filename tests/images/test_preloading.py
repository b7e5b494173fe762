"""What a trace knows of a volume's files: where they lie, and that a start finds them in memory."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from agents.storage.conversion import convert, no_progress
from agents.storage.io import mounts, tracing
from agents.storage.io.events import Event, Events, Kind
from agents.storage.io.filemaps import mapped_files
from agents.storage.io.mounts import reads_of
from agents.storage.io.preloading import Arrivals, Preloading
from agents.storage.io.remotevolumes import Ahead
from agents.storage.io.store import Store
from agents.storage.io.volumefiles import volume_path, write_trace
from agents.storage.snapshotter import Snapshotter
from agents.storage.translate.filereads import Mapped, file_reads
from agents.storage.translate.modes import EROFS, Mode
from agents.storage.wire.traces import FileRead, FileReads, Trace
from compiler.policy.imagenames import parse_image_name
from tests.images.agent import forget, wait_until
from tests.images.archives import LayoutWriter, Tar
from tests.images.conversions import AMD64
from tests.images.test_remote import FIRST, LAST, Pair, pair

__all__ = ["pair"]

pytestmark = [pytest.mark.root, pytest.mark.slow]
PAGE = mmap.PAGESIZE
LARGE, OTHER = os.urandom(3 << 20) + b"end", os.urandom(300_000)
TEXT = b"".join(b"%d lines of a text\n" % number for number in range(60_000))
LAYER = (
    Tar()
    .add("usr/lib/large", data=LARGE)
    .add("other", data=OTHER)
    .add("text", data=TEXT)
    .add("small", data=b"small")
    .add(b"odd \xff\n name", data=OTHER[::-1])
    .add("same", b"1", link="other")
    .add("leads", b"2", link="usr/lib/large")
    .add("device", b"3", device=(1, 3))
    .add("pipe", b"6")
    .finished()
)


def resident_bytes(path: Path, offset: int = 0, length: int | None = None) -> int:
    """How much of a part of a file is in memory, in whole pages (mincore(2))."""
    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_void_p
    length = path.stat().st_size - offset if length is None else length
    first = offset // PAGE * PAGE
    size = offset + length - first
    with path.open("rb") as stream:
        place = library.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, stream.fileno(), ctypes.c_long(first))
    pages = ctypes.create_string_buffer(-(-size // PAGE))
    assert library.mincore(ctypes.c_void_p(place), ctypes.c_size_t(size), pages) == 0
    library.munmap(ctypes.c_void_p(place), ctypes.c_size_t(size))
    return PAGE * sum(page[0] & 1 for page in zip(pages.raw, strict=True))


def volume_of(folder: Path, layer: bytes, mode: Mode) -> Path:
    layout = LayoutWriter(folder / "layout")
    layout.image([layer])
    store = Store(folder / "store")
    try:
        name = parse_image_name(f"oci:{layout.write()}")
        (volume,) = convert(name, AMD64, store, no_progress, mode=mode).image.volumes
    finally:
        store.close()
    return volume_path(folder / "store", volume.digest)


@pytest.fixture(params=["plain", "compressed"])
def mounted(tmp_path: Path, request: pytest.FixtureRequest) -> Generator[tuple[Path, Path]]:
    """A volume, and where it is mounted."""
    mode = EROFS.compressed() if request.param == "compressed" else EROFS
    volume, target = volume_of(tmp_path, LAYER, mode), tmp_path / "mounted"
    target.mkdir()
    mounts.mount(volume, target, None)
    try:
        yield volume, target
    finally:
        mounts.unmount(target)


def preload(
    target: Path, files: Sequence[FileRead], arrivals: Arrivals | None = None, most_bytes: int = 1 << 30
) -> tuple[Preloading, list[Event]]:
    told: list[Event] = []
    return Preloading("sha256:0", target, lambda: tuple(files), most_bytes, arrivals, Events(told.append)), told


def test_the_volume_has_each_file_where_it_is_said(mounted: tuple[Path, Path]) -> None:
    volume, target = mounted
    content, found = volume.read_bytes(), list(mapped_files(target))
    assert {one.path for one in found} == {b"usr/lib/large", b"text", b"small", b"odd \xff\n name"} | (
        {b"other"} if any(one.path == b"other" for one in found) else {b"same"}
    )
    for name in sorted({one.path for one in found}):
        parts = sorted(one for one in found if one.path == name)
        data = (target / os.fsdecode(name)).read_bytes()
        assert parts[0].offset == 0
        assert all(one.offset + one.length == after.offset for one, after in pairwise(parts))
        for one in parts:
            if not one.encoded:
                here = data[one.offset : one.offset + one.length]
                assert content[one.place : one.place + len(here)] == here
    assert any(one.encoded for one in found) == (len(content) < len(TEXT) + len(LARGE))


def test_what_was_read_is_in_memory_and_nothing_else(mounted: tuple[Path, Path]) -> None:
    _, target = mounted
    (large,) = [one for one in mapped_files(target) if one.path == b"usr/lib/large" and one.offset == 0]
    extents = ((large.place + (256 << 10), 2 << 20), (large.place, 64 << 10))
    files = [one for one in file_reads(extents, mapped_files(target)) if one.path == b"usr/lib/large"]
    assert files == [
        FileRead(0, b"usr/lib/large", 256 << 10, 2 << 20),
        FileRead(1, b"usr/lib/large", 0, 64 << 10),
    ]
    forget()
    path = target / "usr/lib/large"
    preloading, told = preload(target, files)
    preloading.wait(5)
    wait_until(lambda: resident_bytes(path, 256 << 10, 2 << 20) == 2 << 20, "it is not in memory")
    wait_until(lambda: resident_bytes(path, 0, 64 << 10) == 64 << 10, "it is not in memory")
    assert resident_bytes(path) == (2 << 20) + (64 << 10)
    assert resident_bytes(target / "other") == 0
    assert [(one.kind, one.fields["bytes"]) for one in told] == [(Kind.PRELOADED, (2 << 20) + (64 << 10))]


def test_no_more_than_allowed(mounted: tuple[Path, Path]) -> None:
    _, target = mounted
    files = [FileRead(0, b"other", at, PAGE) for at in range(0, 10 * PAGE, PAGE)]
    forget()
    preload(target, files, most_bytes=5 * PAGE)[0].wait(5)
    wait_until(lambda: resident_bytes(target / "other") == 5 * PAGE, "other bytes are in memory")


@pytest.mark.parametrize("name", [b"leads", b"device", b"pipe", b"usr", b"none", b"usr/lib/large/x", b"proc/version"])
def test_nothing_but_files_of_the_volume_is_opened(mounted: tuple[Path, Path], name: bytes) -> None:
    """A pipe would be waited for; a device may do what it likes when it is opened."""
    _, target = mounted
    forget()
    preloading, told = preload(target, [FileRead(0, name, 0, PAGE), FileRead(0, b"other", 0, PAGE)])
    preloading.wait(5)
    assert [one.fields["bytes"] for one in told] == [PAGE]


def test_it_comes_behind_what_arrives_and_can_be_ended(mounted: tuple[Path, Path]) -> None:
    _, target = mounted
    arrivals = Arrivals()
    files = [FileRead(number, b"other", number * PAGE, PAGE) for number in range(4)]
    forget()
    preloading, told = preload(target, files, arrivals)
    arrivals.reached(2)
    wait_until(lambda: resident_bytes(target / "other") == 2 * PAGE, "what has come is not in memory")
    preloading.wait(0.05)
    assert resident_bytes(target / "other") == 2 * PAGE
    preloading.stop()
    preloading.wait(5)
    assert [one.fields["bytes"] for one in told] == [2 * PAGE]
    mounts.unmount(target)  # no file is open any more
    mounts.mount(mounted[0], target, None)


def test_what_does_not_come_is_not_waited_for(mounted: tuple[Path, Path]) -> None:
    _, target = mounted
    arrivals = Arrivals()
    preloading, told = preload(target, [FileRead(0, b"other", 0, PAGE), FileRead(1, b"other", PAGE, PAGE)], arrivals)
    arrivals.reached(1)
    arrivals.end()
    preloading.wait(5)
    assert [one.fields["bytes"] for one in told] == [PAGE]


def test_where_the_kernel_does_not_say_where_files_lie_a_trace_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """EROFS before Linux 5.15."""

    def refused(root: Path) -> Iterator[Mapped]:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(tracing, "mapped_files", refused)
    volume = volume_of(tmp_path, LAYER, EROFS)
    assert tracing.files_of(tmp_path, volume, ((0, 4096),)) == ()
    assert "the trace has no files: Operation not supported" in caplog.text
    assert not mounts.is_mounted(tmp_path / "files")


def _open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_many_files_are_not_all_kept_open(tmp_path: Path) -> None:
    tar = Tar()
    for number in range(200):
        tar.add(f"{number}", data=os.urandom(5000))
    volume, target = volume_of(tmp_path, tar.finished(), EROFS), tmp_path / "mounted"
    target.mkdir()
    mounts.mount(volume, target, None)
    try:
        arrivals = Arrivals()
        files = [FileRead(number // 199, b"%d" % number, 0, 5000) for number in range(200)]
        before = _open_files()
        forget()
        preloading, _ = preload(target, files, arrivals)
        arrivals.reached(1)
        wait_until(lambda: resident_bytes(target / "198") == 2 * PAGE, "it is not in memory")
        assert _open_files() - before < 80
        preloading.stop()
        preloading.wait(5)
        assert _open_files() == before
    finally:
        mounts.unmount(target)


def _traced(pair: Pair, files: Callable[[Path], FileReads], folder: Path) -> str:
    """A trace of all of the volume, as adoption writes it; the volume's digest."""
    (path,) = (pair.there / "volumes").glob("*.erofs")
    target = folder / "looked-at"
    target.mkdir()
    mounts.mount(path, target, None)
    try:
        found = files(target)
    finally:
        mounts.unmount(target)
    digest, size = f"sha256:{path.stem}", path.stat().st_size
    write_trace(pair.here, Trace(volume=digest, size_bytes=size, extents=((0, size),), files=found))
    return digest


def _all(target: Path) -> FileReads:
    size = 1 << 40
    return file_reads(((0, size),), mapped_files(target))


def test_containers_of_a_volume_elsewhere_wait_for_no_daemon(pair: Pair, tmp_path: Path) -> None:
    """What the trace names is read without one read of the device."""
    _traced(pair, _all, tmp_path)
    pair.snapshots.prepare("run", pair.chain, {})
    wait_until(lambda: resident_bytes(pair.volume / "last") >= len(LAST), "it is not brought into memory")
    wait_until(lambda: resident_bytes(pair.volume / "first") >= len(FIRST), "it is not brought into memory")
    before = reads_of(pair.volume).done
    assert (pair.volume / "first").read_bytes() == FIRST
    assert (pair.volume / "last").read_bytes() == LAST
    assert reads_of(pair.volume).done == before
    pair.end()
    assert list((pair.root / "attached").iterdir()) == []


def test_so_do_those_of_a_volume_here(tmp_path: Path, pair: Pair) -> None:
    """Its trace is in the store where it was recorded."""
    digest = _traced(pair, _all, tmp_path)
    (path,) = (pair.there / "volumes").glob("*.erofs")
    os.link(path, volume_path(pair.here, digest))
    forget()
    pair.snapshots.prepare("run", pair.chain, {})
    assert list((pair.root / "remote").iterdir()) == []
    wait_until(lambda: resident_bytes(pair.volume / "last") >= len(LAST), "it is not brought into memory")
    pair.end()
    assert list((pair.root / "attached").iterdir()) == []


def test_without_reading_ahead_nothing_is(tmp_path: Path, pair: Pair) -> None:

    _traced(pair, _all, tmp_path)
    pair.snapshots.close()
    pair.snapshots = Snapshotter(pair.root, pair.here, ahead=Ahead(most_bytes=0))
    pair.snapshots.prepare("run", pair.chain, {})
    forget()
    assert resident_bytes(pair.volume / "last") == 0
