"""Pods of a RuntimeClass have Turnout's snapshotter, other pods another one."""

from __future__ import annotations

import pytest

from tests.images.archives import digest
from tests.images.containerd import chain_id
from tests.images.conversions import converted
from tests.images.node import FOR_A_RUNTIME_CLASS, busybox, file_layer, node_with
from tests.images.versions import Version

pytestmark = [pytest.mark.root, pytest.mark.peer, pytest.mark.slow]


@pytest.mark.parametrize("version", FOR_A_RUNTIME_CLASS, ids=lambda version: version.name)
def test_a_pod_of_a_runtime_class(version: Version) -> None:
    with node_with(version, FOR_A_RUNTIME_CLASS[version]) as node:
        other = node.image("other", busybox())
        node.pull(other)
        assert node.agent.names() == []
        layers = (busybox(), file_layer("etc/top", "from the volume\n"))
        name = node.image("web", *layers)
        converted(name, node.agent.store)
        node.lose(layers[1])
        node.pull(name, "turnout")
        assert chain_id([digest(layer) for layer in layers]) in node.agent.names()
        assert node.run_in_pod(name, "turnout", "/bin/busybox", "cat", "/etc/top") == ["from the volume"]
