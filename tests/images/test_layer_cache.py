"""containerd's own EROFS snapshotter starts converted images from the layers that the agent keeps for it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from agents.storage.io.volumefiles import volume_path
from tests.images.agent import Agent, loops_below, mounted_below, wait_until
from tests.images.archives import Tar, digest
from tests.images.containerd import chain_id
from tests.images.conversions import converted, turnout
from tests.images.node import Node, busybox, file_layer, node_with_layer_cache, sleeping

pytestmark = [pytest.mark.root, pytest.mark.peer, pytest.mark.slow]


@pytest.fixture(scope="module")
def node() -> Generator[Node]:
    with node_with_layer_cache() as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_left(node: Node) -> Generator[None]:
    yield
    node.remove_all()
    wait_until(lambda: mounted_below(node.folder) == [], "mounts are left")
    wait_until(lambda: loops_below(node.folder) == [], "loop devices are left")


def _entry(node: Node, layer: bytes) -> Path:
    name = digest(layer).removeprefix("sha256:")
    return node.folder / "cache" / "sha256" / name[:2] / f"{name}.erofs"


def _wait_for(node: Node, *layers: bytes) -> None:
    for layer in layers:
        wait_until(_entry(node, layer).exists, "the agent does not publish a layer")


def test_an_image_starts_without_its_layers(node: Node) -> None:
    """Whiteouts and opaque folders hide what lies below, though each layer is a volume of its own."""
    hiding = Tar().add("etc/.wh.gone").add("opt/.wh..wh..opq").add("opt/new", data=b"new")
    below = Tar().add("etc/gone", data=b"x").add("etc/kept", data=b"kept\n").add("opt/old", data=b"x")
    layers = (busybox(), bytes(below.data), bytes(hiding.data))
    name = node.image("web", *layers)
    converted(name, node.agent.store)
    _wait_for(node, *layers)
    node.lose(*layers)
    node.pull(name)
    said = node.run(
        name, "web", "cd /; busybox cat etc/kept; busybox ls etc opt; echo x > etc/kept; busybox cat etc/kept"
    )
    assert said.split() == ["kept", "etc:", "kept", "opt:", "new", "x"]
    assert node.agent.names() == []
    chain = chain_id([digest(layer) for layer in layers])
    info = json.loads(node.peer.ctr("-n", "k8s.io", "snapshots", "--snapshotter", "erofs", "info", chain))
    assert info["Labels"]["io.containerd.erofs.v1/blob.ref"] == str(_entry(node, layers[-1]))


def test_a_pod_starts_without_its_layers(node: Node) -> None:
    layers = (busybox(), file_layer("etc/top", "from the cache\n"))
    name = node.image("pod", *layers)
    sandbox = node.image("sandbox", busybox(), sleeping())
    for image in (name, sandbox):
        converted(image, node.agent.store)
    _wait_for(node, *layers, sleeping())
    node.lose(*layers, sleeping())
    node.pull(name)
    assert node.run_in_pod(name, "", "/bin/busybox", "cat", "/etc/top") == ["from the cache"]


def test_an_image_of_one_layer_is_its_volume(node: Node) -> None:
    """Attached once more, not stored once more."""
    layer = bytes(Tar().add("lib/one", data=b"1" * 10_000).data)
    image = converted(node.image("one", layer), node.agent.store).image
    _wait_for(node, layer)
    assert volume_path(node.agent.store, image.volumes[0].digest).samefile(_entry(node, layer))


def test_images_share_entries(node: Node) -> None:
    base, first, second = busybox(), file_layer("etc/first", "1"), file_layer("etc/second", "2")
    converted(node.image("first", base, first), node.agent.store)
    _wait_for(node, base, first)
    before = _entry(node, base).stat()
    converted(node.image("second", base, second), node.agent.store)
    _wait_for(node, second)
    after = _entry(node, base).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_layer_that_cannot_be_had_is_said_and_the_others_go_on(node: Node) -> None:
    lost, other = file_layer("etc/lost", "x"), file_layer("etc/other", "x")
    name = node.image("lost", lost)
    node.agent.kill()
    converted(name, node.agent.store)
    node.lose(lost)
    node.agent.start()
    start = f"layer cache {node.folder}/cache lacks layers: {name}: "
    wait_until(lambda: start in node.agent.log, "nothing is said of the lost layer")
    converted(node.image("other", other), node.agent.store)
    _wait_for(node, other)
    assert not _entry(node, lost).exists()


def test_of_an_image_some_of_whose_layers_are_lost_the_others_are_there(node: Node) -> None:
    first, lost, last = (file_layer(f"etc/some{number}", "x") for number in range(3))
    name = node.image("some", first, lost, last)
    node.agent.kill()
    converted(name, node.agent.store)
    node.lose(lost)
    node.agent.start()
    _wait_for(node, first, last)
    start = f"layer cache {node.folder}/cache lacks layers: {name}: "
    wait_until(lambda: start in node.agent.log, "nothing is said of the lost layer")
    assert list((node.folder / "cache" / "work" / "layers").iterdir()) == []


def test_an_entry_goes_when_neither_image_nor_containerd_has_it(node: Node) -> None:
    """First it is nobody's but containerd's, which can still start the image."""
    base, layer = busybox(), file_layer("etc/passing", "still there\n")
    converted(node.image("based", base), node.agent.store)
    name = node.image("passing", base, layer)
    converted(name, node.agent.store)
    _wait_for(node, base, layer)
    node.pull(name)
    assert turnout("remove", name, "--store", node.agent.store).returncode == 0
    unused = _entry(node, file_layer("etc/unused", "x"))
    unused.parent.mkdir(parents=True)
    unused.touch()
    wait_until(lambda: not unused.exists(), "an entry that nobody has stays")
    assert node.run(name, "passing", "cd /; busybox cat etc/passing") == "still there\n"
    node.remove_all()
    wait_until(lambda: not _entry(node, layer).exists(), "the entry stays")
    wait_until(lambda: not any((node.folder / "cache" / "work" / "leaving").iterdir()), "something is left")
    assert not _entry(node, layer).parent.exists()
    assert _entry(node, base).exists()


def test_without_containerd_entries_stay(node: Node) -> None:
    layer = file_layer("etc/staying", "x")
    name = node.image("staying", layer)
    converted(name, node.agent.store)
    _wait_for(node, layer)
    node.peer.end()
    try:
        assert turnout("remove", name, "--store", node.agent.store).returncode == 0
        kept = f"layer cache {node.folder}/cache keeps what nobody may need: containerd at {node.peer.socket}: "
        wait_until(lambda: kept in node.agent.log, "nothing is said")
        assert _entry(node, layer).exists()
    finally:
        node.peer.start()
    wait_until(lambda: not _entry(node, layer).exists(), "the entry stays")


def test_a_second_agent_does_not_fill_the_same_cache(node: Node) -> None:
    other = node.folder / "other"
    other.mkdir()
    cache = node.folder / "cache"
    command = Agent(other, "--layer-cache", cache).command(other / "s.sock")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"turnout: error: {cache}/work/lock: another agent fills this layer cache\n"
