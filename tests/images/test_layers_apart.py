"""Layers as containerd's EROFS snapshotter takes them, each a volume: overlaid, they are what containerd unpacks."""

from __future__ import annotations

import subprocess
from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from agents.storage.io.chains import converted_names
from agents.storage.io.mounts import mount, unmount
from agents.storage.layercache import LayerCache
from tests.images.archives import LayoutWriter, compressed, digest
from tests.images.comparison import differences, facts
from tests.images.containerd import Containerd
from tests.images.conversions import converted
from tests.images.nasty import IMAGES

pytestmark = [pytest.mark.root, pytest.mark.peer, pytest.mark.slow]
UNDESCRIBED = {
    "attributes": ["b'dir': xattrs is {}, should be {'user.on-directory': b'yes'}"],
    "parents": [
        "b'a': mode is '0o40755', should be '0o40750'",
        "b'a': owner is (0, 0), should be (11, 12)",
        "b'a/b': mode is '0o40755', should be '0o40700'",
        "b'a/b': owner is (0, 0), should be (13, 0)",
    ],
}
"""Folders that an upper layer enters without describing them: a layer by itself cannot say what they are below."""


def _published(folder: Path, layers: Sequence[bytes]) -> list[Path]:
    """Entries of a cache, lowest first, where there is one."""
    with closing(LayerCache(folder / "cache", folder / "store")) as cache:
        cache.publish(frozenset(key for key, _ in converted_names(folder / "store")))
        entries = [cache.entry(digest(layer)) for layer in layers]
    return [entry for entry in entries if entry.exists()]


@contextmanager
def _stacked(volumes: Sequence[Path], folder: Path) -> Generator[Path]:
    """As containerd mounts them, read-only. overlayfs wants two folders at least."""
    target, empty = folder / "stacked", folder / "empty"
    places = [folder / f"layer-{number}" for number in reversed(range(len(volumes)))]
    for place in (target, empty, *places):
        place.mkdir()
    with ExitStack() as mounted:
        for volume, place in zip(reversed(volumes), places, strict=True):
            mount(volume, place, None)
            mounted.callback(unmount, place)
        options = f"lowerdir={':'.join(map(str, (*places, empty)))}"
        subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", target], check=True)
        mounted.callback(subprocess.run, ["umount", target], check=True)
        yield target


@pytest.mark.parametrize("name", [name for name in IMAGES if name != "lowest"])
def test_layers_give_what_containerd_unpacks(name: str, peer: Containerd, tmp_path: Path) -> None:
    layers = IMAGES[name]()
    layout = LayoutWriter(tmp_path / "layout")
    layout.image(layers, f"example.com/{name}:1")
    archive = layout.write_archive(tmp_path / "image.tar")
    converted(tmp_path / "layout", tmp_path / "store")
    volumes = _published(tmp_path, layers)
    assert len(volumes) == len(layers)
    with peer.mounted(layers, archive, tmp_path / "unpacked") as unpacked, _stacked(volumes, tmp_path) as root:
        found = differences(facts(unpacked.root), facts(root), unpacked.started_ns)
        assert found == UNDESCRIBED.get(name, [])


def test_what_only_the_lowest_layer_may_hold_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A file and its whiteout: the layer might be another image's upper one, where that is refused."""
    layers = IMAGES["lowest"]()
    layout = LayoutWriter(tmp_path / "layout")
    layout.image(layers)
    layout.write()
    converted(tmp_path / "layout", tmp_path / "store")
    assert _published(tmp_path, layers) == []
    reason = f"layer {digest(compressed(layers[0], 'gzip'))}: entry '.wh.a': the layer holds 'a' as well"
    assert caplog.messages == [f"layer cache {tmp_path / 'cache'} lacks layers: oci:{tmp_path / 'layout'}: {reason}"]
