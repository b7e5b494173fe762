"""Containers on a node that has adopted what another one has converted: a real kube-apiserver and containerd."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from agents.storage.io.adoptionrecords import adoption_records
from tests.images.node import Node, busybox, file_layer, node_for_all_pods
from tests.images.versions import DEBIAN
from tests.kubernetes.adopting import AdoptingNode
from tests.kubernetes.controlplane import ControlPlane
from tests.kubernetes.kubelet import await_that
from tests.kubernetes.test_image_adopter import Pair, with_nodes
from tests.kubernetes.test_image_controller import Cluster, cluster, installed

__all__ = ["cluster", "installed", "with_nodes"]
pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.peer]
SECONDS: Final = 60


@dataclass
class Second:
    """Node `two` with containerd and the storage agent; `one` converts what is in the registry, and serves it."""

    pair: Pair
    node: Node

    @property
    def adopter(self) -> AdoptingNode:
        return self.pair.two

    def convert(self, name: str, source: str) -> None:
        """Until the other node has it."""
        self.pair.cluster.convert(name, source)
        self.pair.cluster.await_phase(name, "Succeeded")
        await_that(f"{source} is adopted: {self.adopter.log}", lambda: source in self.adopter.names(), SECONDS)

    def delete(self, name: str) -> None:
        self.pair.delete(name)
        key = f"shop/{name}"
        there = self.adopter.store
        await_that("it is let go", lambda: key not in {one.conversion for one in adoption_records(there)}, SECONDS)


@pytest.fixture
def second(cluster: Cluster, with_nodes: ControlPlane, tmp_path: Path) -> Generator[Second]:
    pair = Pair(cluster, tmp_path)
    folder = pair.certificates
    tls = [f"--tls-ca={folder}/ca.pem", f"--tls-cert={folder}/nodes.pem", f"--tls-key={folder}/nodes.key"]
    with node_for_all_pods(DEBIAN, *tls) as node:
        pair.two.store = node.agent.store
        try:
            pair.start()
            pair.two.join()
            pair.two.start()
            yield Second(pair, node)
        finally:
            pair.end()
        node.leave_nothing()


def test_a_container_starts_from_what_another_node_has_converted(second: Second) -> None:
    layers = (busybox(), file_layer("etc/top", "from the other node"))
    name = second.node.image("web", *layers)
    second.convert("web", name)
    second.node.lose(*layers)
    began = time.monotonic()
    second.node.pull(name)
    assert second.node.run(name, "adopted-one", "busybox cat /etc/top") == "from the other node"
    assert time.monotonic() - began < SECONDS
    second.delete("web")
    assert second.node.run(name, "adopted-two", "busybox cat /etc/top") == "from the other node"


def test_two_images_with_one_base_and_one_of_them_goes(second: Second) -> None:
    base = busybox()
    names = [second.node.image(f"web{number}", base, file_layer("etc/top", f"web {number}")) for number in (1, 2)]
    second.convert("base", second.node.image("base", base))
    for number, name in enumerate(names, 1):
        second.convert(f"web{number}", name)
    first, *others = ({volume.digest for volume in image.volumes} for image in second.adopter.images())
    assert len(first.intersection(*others)) == 1
    second.delete("base")
    second.delete("web1")
    second.node.lose(base)
    second.node.pull(names[1])
    assert second.node.run(names[1], "adopted-one", "busybox cat /etc/top") == "web 2"


def test_without_its_server_an_image_is_what_it_was_before(second: Second) -> None:
    """Pulled, where it was not; and where it was, its layers are fetched."""
    layers = [(busybox(), file_layer("etc/top", f"image {number}")) for number in (1, 2)]
    first, other = (second.node.image(f"web{number}", *of) for number, of in enumerate(layers, 1))
    for number, name in enumerate((first, other), 1):
        second.convert(f"web{number}", name)
    second.node.pull(first)
    second.pair.serving.stop()
    time.sleep(10)  # that it was there counts as long
    second.node.pull(other)
    assert second.node.run(other, "adopted-one", "busybox cat /etc/top") == "image 2"
    assert second.node.run(first, "adopted-two", "busybox cat /etc/top") == "image 1"
