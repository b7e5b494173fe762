"""Compressed files of volumes: what the kernel reads, in any order, is what was in the layer; fsck.erofs agrees."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.storage.conversion import PhaseCounter
from agents.storage.io import packing
from agents.storage.io.housekeeping import collect, faults
from agents.storage.io.mounts import decompress_at_once, mount, unmount
from agents.storage.io.store import Store
from agents.storage.io.trees import LayerFiles
from agents.storage.io.volumefiles import volume_path, work_bytes, write_volume
from agents.storage.translate.modes import EROFS, Mode
from tests.images.archives import LayoutWriter, Tar
from tests.images.conversions import converted, turnout

LZ4 = EROFS.compressed()
BLOCK, EXTENT = 4096, 32 << 10
BOUNDARIES = (1, 4064, 4065, BLOCK, BLOCK + 1, 4402, 4403, 2 * BLOCK, EXTENT, 3 * EXTENT // 2, 3 * EXTENT // 2 + 1)
SIZES = sorted({max(0, size + step) for size in (*BOUNDARIES, 3 * EXTENT, 1 << 20) for step in (-1, 0, 1)})


def _text(size: int, seed: int) -> bytes:
    words = random.Random(seed).choices([b"alpha ", b"beta ", b"gamma\n", b"%d " % seed], k=size // 5 + 1)
    return b"".join(words)[:size]


def _noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


def _mixed(size: int, seed: int) -> bytes:
    """Both by turns, in pieces that end within blocks and extents."""
    pieces = (kind(20_011, seed + place) for place in range(size // 40_000 + 1) for kind in (_text, _noise))
    return b"".join(pieces)[:size]


KINDS: Mapping[str, Callable[[int, int], bytes]] = {
    "text": _text,
    "noise": _noise,
    "mixed": _mixed,
    "zeros": lambda size, seed: bytes(size),
}


def _content(kind: str, size: int, seed: int) -> bytes:
    return KINDS[kind](size, seed)


contents = st.builds(
    _content,
    st.sampled_from(sorted(KINDS)),
    st.one_of(st.sampled_from(SIZES), st.integers(0, 300_000)),
    st.integers(0, 9),
)
ALL = {f"{kind}-{size}": make(size, size) for kind, make in KINDS.items() for size in SIZES}


def _written(files: Mapping[str, bytes], folder: Path, mode: Mode = LZ4) -> Path:
    """A volume of one layer with these files."""
    tar = Tar()
    for name, data in files.items():
        tar.add(name, data=data)
    layout = LayoutWriter(folder / "layout")
    layout.image([tar.finished()], compression="")
    return volume_path(folder / "store", converted(layout.write(), folder / "store", mode=mode).image.volumes[0].digest)


@contextmanager
def _mounted(volume: Path) -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="turnout-") as name:
        mount(volume, Path(name), None)
        try:
            yield Path(name)
        finally:
            unmount(Path(name))


def _mount_new(files: Mapping[str, bytes], folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return _written(files, folder)


@pytest.mark.root
def test_every_size_and_kind_is_read_as_it_was(tmp_path: Path) -> None:
    with _mounted(_written(ALL, tmp_path)) as root:
        assert {path.name: path.read_bytes() == ALL[path.name] for path in root.iterdir()} == dict.fromkeys(ALL, True)


@pytest.mark.root
@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=st.lists(contents, min_size=1, max_size=6),
    reads=st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.floats(0, 1), st.integers(1, 100_000)), max_size=30),
)
def test_reads_anywhere_in_any_order(
    tmp_path: Path, files: list[bytes], reads: list[tuple[int, bool, float, int]]
) -> None:
    """Each by pread or by a mapping, nothing of it in memory before; then everything."""
    with _mounted(_mount_new({str(number): data for number, data in enumerate(files)}, tmp_path / "new")) as root:
        for number, is_mapped, where, length in reads:
            data = files[number % len(files)]
            start = int(where * len(data))
            with (root / str(number % len(files))).open("rb") as stream:
                if not is_mapped:
                    assert os.pread(stream.fileno(), length, start) == data[start : start + length]
                elif data:
                    with mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ) as mapped:
                        assert mapped[start : start + length] == data[start : start + length]
        for number, data in enumerate(files):
            assert (root / str(number)).read_bytes() == data


@pytest.mark.root
def test_behind_the_end_of_a_mapped_file_is_nothing(tmp_path: Path) -> None:
    """Up to the end of its last page, as POSIX has it."""
    with _mounted(_written(ALL, tmp_path)) as root:
        for name, data in ALL.items():
            if len(data) % BLOCK:
                with (
                    (root / name).open("rb") as stream,
                    mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY) as mapped,
                ):
                    start = ctypes.c_char.from_buffer(mapped)
                    rest = ctypes.string_at(ctypes.addressof(start) + len(data), -len(data) % BLOCK)
                    del start
                assert rest == bytes(len(rest)), name


@pytest.mark.root
@pytest.mark.parametrize(("mode", "is_told"), [(LZ4, True), (EROFS, False)], ids=["lz4", "none"])
def test_who_reads_decompresses(tmp_path: Path, mode: Mode, is_told: bool) -> None:
    """The kernel is told so of each volume by itself, where there is something to decompress."""
    with _mounted(_written({"file": _text(100_000, 1)}, tmp_path, mode)) as root:
        number = root.stat().st_dev
        told = Path("/sys/fs/erofs", Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve().name)
        before = (told / "sync_decompress").read_text().strip()
        decompress_at_once(root)
        after = (told / "sync_decompress").read_text().strip()
        assert (before, after) == ("0", "1" if is_told else "0")
        assert (root / "file").read_bytes() == _text(100_000, 1)


@pytest.mark.peer
def test_debians_fsck_unpacks_the_same(tmp_path: Path) -> None:
    """It reads the format by a program of its own."""
    volume = _written(ALL, tmp_path)
    out = tmp_path / "out"
    subprocess.run(["fsck.erofs", f"--extract={out}", volume], check=True, capture_output=True)
    assert {path.name: path.read_bytes() == ALL[path.name] for path in out.iterdir()} == dict.fromkeys(ALL, True)


def test_what_shrinks_is_small_and_what_does_not_is_no_larger(tmp_path: Path) -> None:
    text, noise = (_written({"file": kind(1 << 20, 1)}, tmp_path / kind.__name__) for kind in (_text, _noise))
    assert text.stat().st_size < 600_000
    assert noise.stat().st_size <= (1 << 20) + 3 * BLOCK


def test_the_same_layers_give_the_same_bytes_on_any_number_of_cpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = _written(ALL, tmp_path / "several")
    monkeypatch.setattr(packing, "_MOST_THREADS", 1)
    assert _written(ALL, tmp_path / "one").name == several.name


def test_progress_ends_with_all_that_there_was_to_do(tmp_path: Path) -> None:
    archive = tmp_path / "layer.tar"
    tar = Tar()
    for name, data in ALL.items():
        tar.add(name, data=data)
    archive.write_bytes(tar.finished())
    seen: list[tuple[int, int]] = []
    with LayerFiles([archive]) as files:
        image = LZ4.plan(LZ4.tree(files.trees(["layer"])), bytes(16))
        counter = PhaseCounter("Converting", work_bytes(image), lambda _, done, total: seen.append((done, total)))
        written = write_volume(image, files, tmp_path, "recipe", counter)
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1]
    assert written.size_bytes == volume_path(tmp_path, written.digest).stat().st_size


@pytest.mark.root
@pytest.mark.slow
def test_another_compression_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    """And back: what an image has is what was asked for last."""
    store = tmp_path / "store"
    layout = LayoutWriter(tmp_path / "layout")
    layout.image([Tar().add("file", data=_text(1 << 20, 1)).finished()])
    layout.write()
    digests: list[str] = []
    for mode in (EROFS, LZ4, EROFS):
        done = converted(tmp_path / "layout", store, mode=mode)
        assert not done.was_there or mode is EROFS
        (volume,) = done.image.volumes
        assert (volume.size_bytes < 600_000) == mode.is_compressed
        with _mounted(volume_path(store, volume.digest)) as root:
            assert (root / "file").read_bytes() == _text(1 << 20, 1)
        assert converted(tmp_path / "layout", store, mode=mode).was_there
        digests.append(volume.digest)
    assert digests[0] == digests[2] != digests[1]
    with closing(Store(store)) as opened:
        assert [image.volumes[0].digest for image in opened.images()] == [digests[0]]
        collect(opened)
        assert list(faults(opened)) == []
    assert not volume_path(store, digests[1]).exists()


def test_the_command_compresses_as_it_is_told(tmp_path: Path) -> None:
    """By a policy, by an option, and by an option over the policy."""
    layout, store, policy = LayoutWriter(tmp_path / "layout"), tmp_path / "store", tmp_path / "policy.yaml"
    layout.image([Tar().add("file", data=_text(1 << 20, 1)).finished()])
    source = f"oci:{layout.write()}"
    policy.write_text(
        "apiVersion: turnout.dev/v1alpha1\nkind: ImageConversion\nmetadata: {name: web}\n"
        f"spec: {{sourceImage: {source!r}, compression: lz4, platforms: [linux/amd64]}}\n"
    )
    sizes: list[int] = []
    for what in (
        (source, "--platform", "linux/amd64"),
        (policy,),
        (policy, "--compression", "none"),
        (policy, "--mode", "overlayfs"),
        (policy, "--mode", "block"),
        (source, "--platform", "linux/amd64", "--compression", "lz4", "--mode", "overlayfs"),
    ):
        done = turnout("convert", *what, "--store", store, "-o", "json")
        assert done.returncode == 0, done.stderr
        sizes.append(json.loads(done.stdout)[0]["size"])
    assert [size < 600_000 for size in sizes] == [False, True, False, True, False, True]


def test_a_disk_is_not_compressed(tmp_path: Path) -> None:
    done = turnout("convert", "oci:x", "--mode", "overlaybd", "--compression", "lz4", "--store", tmp_path)
    assert done.returncode == 2
    message = "--compression lz4 is of modes erofs and overlayfs, and mode block writes a disk"
    assert message in " ".join(done.stderr.replace("│", " ").split())
