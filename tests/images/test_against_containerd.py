"""What is mounted from a converted image is what containerd unpacks; what it refuses is refused."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agents.storage.conversion import convert, no_progress
from agents.storage.io.mounts import mount, mount_disk, mount_layers, mount_over_each_other, unmount
from agents.storage.io.store import Store
from agents.storage.io.volumefiles import find_volume
from agents.storage.translate.division import MOST_VOLUMES
from agents.storage.translate.modes import EROFS, MODES, Mode
from agents.storage.translate.platforms import parse_platform
from agents.storage.wire.errors import ImageError
from compiler.policy.imagenames import parse_image_name
from tests.images.archives import LayoutWriter, Tar, digest
from tests.images.comparison import differences, facts
from tests.images.containerd import Containerd, UnpackingError
from tests.images.conversions import converted
from tests.images.nasty import IMAGES, REFUSED, sparse_content

pytestmark = [pytest.mark.root, pytest.mark.peer, pytest.mark.slow]
AMD64 = parse_platform("linux/amd64")
WAYS = {**MODES, **{f"{mode.name}-lz4": mode.compressed() for mode in MODES.values() if not mode.is_disk}}


@contextmanager
def _converted(folder: Path, mode: Mode = EROFS, upper: Path | None = None) -> Generator[Path]:
    store = Store(folder / "store")
    result = convert(parse_image_name(f"oci:{folder / 'layout'}"), AMD64, store, no_progress, mode=mode)
    target = folder / "converted"
    target.mkdir(exist_ok=True)
    path, *others = (find_volume(store.folder, volume.digest) for volume in result.image.volumes)
    if others:
        mount_over_each_other([path, *others], target, upper)
    elif mode.is_disk:
        mount_disk(path, target)
    elif mode.name == EROFS.name:
        mount(path, target, upper)
    else:
        mount_layers(path, len(result.image.layers), target, upper)
    try:
        yield target
    finally:
        unmount(target)
        store.close()


@pytest.mark.parametrize("name", IMAGES)
def test_a_converted_image_is_what_containerd_unpacks(name: str, peer: Containerd, tmp_path: Path) -> None:
    """In every mode, compressed or not, and with a writable layer over what can only be read."""
    layers = IMAGES[name]()
    layout = LayoutWriter(tmp_path / "layout")
    layout.image(layers, f"example.com/{name}:1")
    archive = layout.write_archive(tmp_path / "image.tar")
    with peer.mounted(layers, archive, tmp_path / "unpacked") as unpacked:
        expected = facts(unpacked.root)
        assert expected  # an empty image would prove nothing
        for way, mode in WAYS.items():
            for upper in (None,) if mode.is_disk else (None, tmp_path / way):
                with _converted(tmp_path, mode, upper) as mounted:
                    assert differences(expected, facts(mounted), unpacked.started_ns) == [], (way, upper)


@pytest.mark.parametrize("name", sorted(IMAGES.keys() - {"lowest"}))
def test_a_divided_image_is_what_containerd_unpacks(name: str, peer: Containerd, tmp_path: Path) -> None:
    """Each of its layers is where another image ends, so it lies on several volumes, one over the other. A
    layer below all makes its chain IDs new to containerd, which else would not unpack it again."""
    layers = [Tar().add("divided").finished(), *IMAGES[name]()]
    for count in range(1, len(layers)):
        below = LayoutWriter(tmp_path / str(count))
        below.image(layers[:count])
        converted(below.write(), tmp_path / "store")
    layout = LayoutWriter(tmp_path / "layout")
    layout.image(layers, f"example.com/{name}-divided:1")
    archive = layout.write_archive(tmp_path / "image.tar")
    with peer.mounted(layers, archive, tmp_path / "unpacked") as unpacked:
        expected = facts(unpacked.root)
        for way in ("erofs", "erofs-lz4"):
            for upper in (None, tmp_path / way):
                with _converted(tmp_path, WAYS[way], upper) as root:
                    assert differences(expected, facts(root), unpacked.started_ns) == [], (way, upper)
            found = converted(tmp_path / "layout", tmp_path / "store", mode=WAYS[way])
            assert found.was_there
            assert len(found.image.volumes) == min(len(layers), MOST_VOLUMES)


@pytest.mark.parametrize("name", REFUSED)
def test_what_containerd_refuses_is_refused(name: str, peer: Containerd, tmp_path: Path) -> None:
    make, message = REFUSED[name]
    layers = make()
    layout = LayoutWriter(tmp_path / "layout")
    layout.image(layers, f"example.com/{name}:1", compression="")
    archive = layout.write_archive(tmp_path / "image.tar")
    with pytest.raises(UnpackingError):
        peer.unpack(archive)
    store = Store(tmp_path / "store")
    with pytest.raises(ImageError) as refused:
        convert(parse_image_name(f"oci-archive:{archive}"), AMD64, store, no_progress)
    number = len(layers)
    assert str(refused.value) == f"layer {number} of {number}, {digest(layers[-1])}: {message}"
    assert store.images() == ()
    assert list((tmp_path / "store" / "volumes").iterdir()) == []
    store.close()


def test_the_sparse_image_is_what_it_should_be(tmp_path: Path) -> None:
    layout = LayoutWriter(tmp_path / "layout")
    layout.image(IMAGES["sparse"]())
    layout.write()
    with _converted(tmp_path) as mounted:
        for name in ("s00/x", "s01/x", "s10/x"):
            assert (mounted / name).read_bytes() == sparse_content()
        assert (mounted / "hole").read_bytes() == bytes(5_000_001)
