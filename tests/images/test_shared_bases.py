"""Images that go on from the same layers have these once: stored, attached, and kept until the last of them goes."""

from __future__ import annotations

import subprocess
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from agents.storage.conversion import Converted
from agents.storage.io.housekeeping import collect
from agents.storage.io.store import Store
from agents.storage.snapshotter import Snapshotter
from agents.storage.translate.modes import BLOCK
from agents.storage.wire.snapshots import REF_LABEL, SnapshotExistsError
from tests.images.agent import mounted, mounted_below
from tests.images.archives import LayoutWriter, Tar, digest
from tests.images.containerd import chain_id
from tests.images.conversions import converted, turnout
from tests.images.node import Node, busybox, file_layer, node_for_all_pods
from tests.images.versions import DEBIAN

pytestmark = [pytest.mark.root, pytest.mark.peer, pytest.mark.slow]


@pytest.fixture(scope="module")
def node() -> Generator[Node]:
    with node_for_all_pods(DEBIAN) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_left(node: Node) -> Generator[None]:
    yield
    node.leave_nothing()


def _attached(node: Node) -> list[str]:
    return [place for place in mounted_below(node.folder) if "/attached/" in place]


def _store(folder: Path, name: str, *layers: bytes) -> Converted:
    layout = LayoutWriter(folder / name)
    layout.image(layers, name)
    return converted(layout.write(), folder / "store")


def _large(name: str, size: int) -> bytes:
    return Tar().add(name, data=digest(name.encode()).encode() * (size // 71)).finished()


def test_a_shared_base_is_stored_once(tmp_path: Path) -> None:
    """Two images of 4 MB with 3.5 MB in common take 4.5 MB; the base goes with the last that has it."""
    base = (_large("one", 2_000_000), _large("two", 1_500_000))
    first = _store(tmp_path, "base", *base).image
    web = _store(tmp_path, "web", *base, _large("web", 500_000)).image
    job = _store(tmp_path, "job", *base, _large("job", 500_000), file_layer("job-two", "2")).image
    assert [(volume.role, volume.layers) for volume in web.volumes] == [("root", 2), ("changes", 3)]
    assert web.volumes[0].digest == job.volumes[0].digest == first.volumes[0].digest
    files = list((tmp_path / "store" / "volumes").iterdir())
    assert len(files) == 3
    alone = web.size_bytes + job.size_bytes
    assert sum(path.stat().st_size for path in files) == alone - first.size_bytes < 0.6 * alone
    store = Store(tmp_path / "store")
    for image, left in ((first, 3), (web, 2), (job, 0)):
        store.remove(image)
        collect(store)
        assert len(list((tmp_path / "store" / "volumes").iterdir())) == left
    store.close()


def test_the_history_says_where_a_base_ends(tmp_path: Path) -> None:
    """The first image of its kind is divided where its layers were made at different times."""
    layers = [_large(str(number), 100_000) for number in range(6)]
    times = ["2024-01-01T00:00:00Z"] * 2 + ["2024-02-01T00:00:00.123456789Z"] * 3 + ["2024-02-09T00:00:00Z"]
    history = [{"created": times[0], "empty_layer": True}, *({"created": time} for time in times)]
    layout = LayoutWriter(tmp_path / "layout")
    layout.image(layers, history=history)
    found = converted(layout.write(), tmp_path / "store")
    assert [(volume.role, volume.layers) for volume in found.image.volumes] == [
        ("root", 2),
        ("changes", 5),
        ("changes", 6),
    ]
    other = _store(tmp_path, "other", *layers[:5], _large("other", 100_000)).image
    assert [volume.digest for volume in other.volumes[:2]] == [volume.digest for volume in found.image.volumes[:2]]


def test_an_image_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    layers = [_large(str(number), 100_000) for number in range(3)]
    whole = _store(tmp_path, "whole", *layers).image
    assert len(whole.volumes) == 1
    _store(tmp_path, "base", *layers[:2])
    again = _store(tmp_path, "whole", *layers)
    assert (again.was_there, again.image) == (True, whole)


def test_containers_share_the_base(node: Node) -> None:
    base = (busybox(), file_layer("etc/base", "of both"))
    images: dict[str, tuple[str, str]] = {}
    converted(node.image("base", *base), node.agent.store)
    for name in ("left", "right"):
        top = Tar().add("etc/top", data=name.encode()).add(f"etc/.wh.{'base' if name == 'right' else 'none'}")
        layers = (*base, bytes(top.data), file_layer("etc/last", name))
        image = node.image(name, *layers)
        converted(image, node.agent.store)
        node.lose(*layers[2:])
        images[name] = image, chain_id([digest(layer) for layer in layers])
    node.lose(*base)
    for image, _ in images.values():
        node.pull(image)
    for name, (_, chain) in images.items():
        node.agent.call("Prepare", key=name, parent=chain)
    assert len(_attached(node)) == 3
    with mounted(node.agent.call("Mounts", key="left"), node.folder / "mnt") as root:
        assert [(root / "etc" / name).read_text() for name in ("top", "last")] == ["left", "left"]
        assert (root / "etc/base").read_text() == "of both"
    with mounted(node.agent.call("Mounts", key="right"), node.folder / "mnt") as root:
        assert not (root / "etc/base").exists()
    node.agent.kill()
    for place in _attached(node):
        subprocess.run(["umount", place], check=True)
    node.restart_agent(images["left"][1])
    assert len(_attached(node)) == 3
    node.agent.call("Remove", key="left")
    assert len(_attached(node)) == 2
    node.agent.call("Remove", key="right")
    assert _attached(node) == []


def test_an_unconverted_image_goes_on_from_a_shared_base_without_its_layers(node: Node) -> None:
    base = (busybox(), file_layer("etc/shared", "fetched never"))
    converted(node.image("kept", *base), node.agent.store)
    whole = node.image("converted", *base, file_layer("etc/top", "converted"))
    converted(whole, node.agent.store)
    other = node.image("other", *base, file_layer("etc/top", "other"))
    node.lose(*base)
    node.pull(whole)
    node.pull(other)
    assert node.run(other, "other", "busybox cat /etc/shared /etc/top") == "fetched neverother"
    assert node.run(whole, "whole", "busybox cat /etc/shared /etc/top") == "fetched neverconverted"


def test_changes_lie_over_what_another_image_left_hollow(node: Node) -> None:
    """The chain IDs of the base came with an image in mode block, where they have no content; it comes when needed."""
    base = (busybox(), file_layer("etc/hollow", "filled"))
    layers = (*base, file_layer("etc/top", "disk"))
    first = node.image("first", *layers)
    converted(first, node.agent.store, mode=BLOCK.sized(1))
    node.pull(first)
    converted(node.image("base-of-both", *base), node.agent.store)
    second_layers = (*base, file_layer("etc/top", "volumes"))
    second = node.image("second", *second_layers)
    converted(second, node.agent.store)
    node.lose(*base, layers[-1], second_layers[-1])
    node.pull(second)
    chain = chain_id([digest(layer) for layer in second_layers])
    (info,) = node.agent.infos(f'labels."{REF_LABEL}"=={chain}')
    node.agent.call("Prepare", key="over", parent=info.name)
    with mounted(node.agent.call("Mounts", key="over"), node.folder / "mnt") as root:
        assert [(root / "etc" / name).read_text() for name in ("hollow", "top")] == ["filled", "volumes"]
    node.agent.call("Remove", key="over")


def test_what_a_volume_holds_already_is_not_attached_of_another_image(tmp_path: Path) -> None:
    """`next` parts from `shop` in the middle of the volume that holds what shop changes. Their common snapshot has a
    volume of its own, which containers of shop do not need."""
    base = _large("base", 100_000)
    two, three = Tar().add("a", data=b"2").add("b", data=b"2"), Tar().add(".wh.a").add("c", data=b"3")
    shop = (base, two.finished(), three.finished(), Tar().add("b", data=b"4").finished())
    later = (*shop[:3], _large("later", 100_000))
    _store(tmp_path, "web", base, _large("web", 100_000))
    images = {"shop": _store(tmp_path, "shop", *shop).image, "later": _store(tmp_path, "later", *later).image}
    ends = {name: [volume.layers for volume in image.volumes] for name, image in images.items()}
    assert ends == {"shop": [1, 4], "later": [1, 3, 4]}
    root = tmp_path / "root"
    snapshots = Snapshotter(root, tmp_path / "store")
    try:
        for layers in (shop, later):
            _claim(snapshots, [digest(layer) for layer in layers])
        for name, layers, count in (("shop", shop, 2), ("later", later, 3)):
            mounts = snapshots.prepare(name, chain_id([digest(layer) for layer in layers]), {})
            expected = {volume.digest.removeprefix("sha256:") for volume in images[name].volumes}
            assert {place.name for place in (root / "attached").iterdir()} == expected
            (lower,) = (one for one in mounts[0].options if one.startswith("lowerdir="))
            assert lower.count(":") + 1 == count
            target = tmp_path / f"mnt-{name}"
            target.mkdir()
            subprocess.run(["mount", "-t", "overlay", "-o", ",".join(mounts[0].options), "overlay", target], check=True)
            try:
                found = {path.name: path.read_bytes()[:1] for path in target.iterdir()}
            finally:
                subprocess.run(["umount", target], check=True)
            top = {"b": b"4"} if name == "shop" else {"b": b"2", "later": b"s"}
            assert found == {"base": b"s", "c": b"3", **top}
            held = {one.volume for one in snapshots.volumes() if one.use is not None and one.use.containers == (name,)}
            assert held == {volume.digest for volume in images[name].volumes}
            snapshots.remove(name)
            assert list((root / "attached").iterdir()) == []
    finally:
        snapshots.close()


def _claim(snapshots: Snapshotter, diff_ids: Sequence[str]) -> None:
    """As containerd asks for the layers of an image that it pulls."""
    parent = ""
    for count in range(1, len(diff_ids) + 1):
        chain = chain_id(diff_ids[:count])
        with pytest.raises(SnapshotExistsError):
            snapshots.prepare(f"extract-{count}-{chain}", parent, {REF_LABEL: chain})
        parent = chain


def test_a_divided_image_is_mounted_by_hand(tmp_path: Path) -> None:
    base = (_large("one", 100_000),)
    _store(tmp_path, "base", *base)
    _store(tmp_path, "divided", *base, Tar().add("two", data=b"2").add(".wh.one").finished())
    target, store = tmp_path / "mnt", tmp_path / "store"
    target.mkdir()
    done = turnout("mount", f"oci:{tmp_path / 'divided'}", target, "--store", store)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in target.iterdir()] == ["two"]
    assert turnout("unmount", target).returncode == 0
    assert mounted_below(tmp_path) == []
