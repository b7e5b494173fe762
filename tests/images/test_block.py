"""Containers on clones of an image's disk: started without a pull, what they synced survives every kill."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

from agents.storage.io.disks import AHEAD
from agents.storage.translate.modes import BLOCK
from tests.images.agent import loops_below, mounted, mounted_below, wait_until
from tests.images.archives import digest
from tests.images.containerd import chain_id
from tests.images.conversions import converted
from tests.images.node import Node, busybox, file_layer, node_for_all_pods
from tests.images.versions import DEBIAN

pytestmark = [pytest.mark.root, pytest.mark.peer, pytest.mark.slow]
SMALL = BLOCK.sized(1)


@pytest.fixture(scope="module")
def node() -> Generator[Node]:
    if shutil.which("qemu-storage-daemon") is None:
        pytest.skip("qemu-storage-daemon is not installed; ./setup installs it")
    with node_for_all_pods(DEBIAN) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_left(node: Node) -> Generator[None]:
    yield
    node.leave_nothing()
    wait_until(lambda: node.agent.daemon() is None, "the storage daemon stays without anything to do")
    assert [place for place in mounted_below(node.folder) if "/exports/" in place] == []


def _pulled(node: Node, name: str, *layers: bytes) -> tuple[str, str]:
    """An image in mode block that has lost its layers; its name, and the chain ID of all of it."""
    image = node.image(name, *layers)
    converted(image, node.agent.store, mode=SMALL)
    node.lose(*layers)
    node.pull(image)
    return image, chain_id([digest(layer) for layer in layers])


def _pool(node: Node) -> list[Path]:
    return list((node.agent.root / "pool").glob("*.qcow2"))


def test_a_container_writes_to_a_clone(node: Node) -> None:
    image, _ = _pulled(node, "disk", busybox(), file_layer("etc/two", "second"))
    script = "busybox cat /etc/two; busybox grep ' / ' /proc/mounts; echo x > /etc/two; busybox cat /etc/two"
    lines = node.run(image, "one", script)
    assert lines.startswith("second/dev/loop")
    assert " / ext4 rw," in lines
    assert lines.endswith("x\n")
    assert node.run(image, "two", "busybox cat /etc/two") == "second"


def test_clones_are_made_ahead_and_taken(node: Node) -> None:
    _, chain = _pulled(node, "pool", busybox())
    wait_until(lambda: len(_pool(node)) == AHEAD, "no clones are made ahead")
    ahead = {path.stat().st_ino for path in _pool(node)}
    node.agent.call("Prepare", key="many-0", parent=chain)
    (taken,) = (path.stat().st_ino for path in (node.agent.root / "disks").iterdir())
    assert taken in ahead
    for key in range(1, AHEAD + 2):
        node.agent.call("Prepare", key=f"many-{key}", parent=chain)
    assert len(list((node.agent.root / "disks").iterdir())) == AHEAD + 2
    wait_until(lambda: len(_pool(node)) == AHEAD, "the pool is not filled again")
    for key in range(AHEAD + 2):
        node.agent.call("Remove", key=f"many-{key}")


def test_an_unconverted_image_goes_on_from_a_disk(node: Node) -> None:
    """Its layers are unpacked into clones, which are cloned in turn."""
    base = busybox()
    _pulled(node, "base", base)
    other = node.image("above", base, file_layer("etc/a", "first"), file_layer("etc/b", "second"))
    node.pull(other)
    assert node.run(other, "above", "busybox cat /etc/a /etc/b") == "firstsecond"
    assert node.run(other, "again", "busybox rm /etc/a; busybox ls /etc") == "b\n"


def test_a_killed_agent_leaves_containers_alone(node: Node) -> None:
    _, chain = _pulled(node, "killed", busybox())
    node.agent.call("Prepare", key="running", parent=chain)
    with mounted(node.agent.call("Mounts", key="running"), node.folder / "mnt") as root:
        daemon = node.agent.daemon()
        assert daemon is not None
        node.agent.kill()
        (root / "etc/kept").write_text("written while it was away")
        stray = node.agent.root / "disks" / "999999.qcow2"
        stray.touch()
        node.restart_agent(chain)
        assert not stray.exists()
        assert node.agent.daemon() == daemon
        assert (root / "etc/kept").read_text() == "written while it was away"
    with mounted(node.agent.call("Mounts", key="running"), node.folder / "mnt") as root:
        assert (root / "etc/kept").read_text() == "written while it was away"
    node.agent.call("Remove", key="running")


def test_what_was_synced_survives_a_killed_daemon(node: Node) -> None:
    _, chain = _pulled(node, "crash", busybox())
    node.agent.call("Prepare", key="running", parent=chain)
    with mounted(node.agent.call("Mounts", key="running"), node.folder / "mnt") as root:
        with (root / "etc/kept").open("w") as stream:
            stream.write("synced")
            stream.flush()
            os.fsync(stream.fileno())
        node.agent.end_daemon()
    wait_until(lambda: loops_below(node.folder) == [], "a loop device is left")
    with mounted(node.agent.call("Mounts", key="running"), node.folder / "mnt") as root:
        assert (root / "etc/kept").read_text() == "synced"
    assert node.agent.call("Usage", key="running").inodes == 1
    node.agent.end_daemon()
    node.agent.call("Remove", key="running")
