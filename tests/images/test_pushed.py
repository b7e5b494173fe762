"""Pushed images in a real registry: containerd pulls and runs them as any, and starts them without their layers."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

from agents.storage.conversion import convert
from agents.storage.io.store import Store
from agents.storage.publication import Published, publish
from agents.storage.translate.platforms import parse_platform
from compiler.policy.imagenames import parse_destination, parse_image_name
from tests.images.conversions import turnout
from tests.images.node import Node, busybox, file_layer, node_for_all_pods
from tests.images.versions import VERSIONS

pytestmark = [pytest.mark.root, pytest.mark.peer, pytest.mark.slow]


@pytest.fixture(scope="module", params=VERSIONS, ids=[version.name for version in VERSIONS])
def node(request: pytest.FixtureRequest) -> Generator[Node]:
    with node_for_all_pods(request.param) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_left(node: Node) -> Generator[None]:
    yield
    node.leave_nothing()


def _pushed(node: Node, source: str, dest: str) -> str:
    """Digest of the index."""
    done = turnout("convert", source, "--dest", dest, "--store", node.agent.store, "-o", "json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)[0]["pushed"].partition("@")[2]


def test_a_pushed_image_is_an_ordinary_one(node: Node) -> None:
    """Pulled with all its layers and unpacked by containerd's own snapshotter, by tag and by digest."""
    name = node.image("plain", busybox(), file_layer("etc/top", "as it was\n"))
    found = _pushed(node, name, f"{node.host}/copies/plain:1")
    local = ["--local"] if "--local" in node.peer.ctr("image", "pull", "--help") else []
    for number, dest in enumerate((f"{node.host}/copies/plain:1", f"{node.host}/copies/plain@{found}")):
        node.peer.ctr("-n", "k8s.io", "image", "pull", "--plain-http", *local, "--snapshotter", "overlayfs", dest)
        options = ["run", "--rm", "--snapshotter", "overlayfs", dest, f"plain{number}"]
        assert node.peer.ctr("-n", "k8s.io", *options, "/bin/busybox", "cat", "/etc/top") == "as it was\n"


def test_a_pushed_image_starts_without_its_layers(node: Node) -> None:
    layers = (busybox(), file_layer("etc/top", "from the volume"))
    dest = f"{node.host}/copies/lost:1"
    _pushed(node, node.image("lost", *layers), dest)
    node.lose(layers[1])
    node.pull(dest)
    assert node.run(dest, "lost", "busybox cat /etc/top") == "from the volume"


def test_layers_are_mounted(node: Node) -> None:
    """In the registry's own storage a blob is there once, and both repositories have it."""
    layers = (busybox(), file_layer("etc/mounted", "x" * 10_000))
    name, dest = node.image("mounted", *layers), f"{node.host}/copies/mounted:1"
    published = _publish(name, dest, node.agent.store)
    assert (published.there, published.mounted, published.sent) == (0, 3, 0)
    again = _publish(name, dest, node.agent.store)
    assert (again.there, again.mounted, again.sent, again.digest) == (3, 0, 0, published.digest)


def _publish(name: str, dest: str, folder: Path) -> Published:
    with closing(Store(folder)) as store:
        source = parse_image_name(name)
        return publish(source, [convert(source, parse_platform("linux/amd64"), store)], parse_destination(dest), store)


def test_what_is_pushed_is_what_was_converted(node: Node) -> None:
    """Blobs and manifests keep their digests, whatever wrote them."""
    name = node.image("same", busybox())
    dest = f"{node.host}/copies/same:1"
    _pushed(node, name, dest)
    done = turnout("convert", dest, "--store", node.agent.store, "-o", "json")
    (row,) = json.loads(done.stdout)
    assert (row["made"], set(row["names"].split(", "))) == ("before", {name, dest})
