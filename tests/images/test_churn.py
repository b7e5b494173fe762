"""Containers come and go while their daemons are killed: nothing is left, nobody that runs is disturbed."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

import pytest

from tests.images.agent import loops_below, mounted_below, wait_until
from tests.images.churn import Churn
from tests.images.node import Node, node_for_all_pods
from tests.images.versions import VERSIONS, Version

pytestmark = [pytest.mark.root, pytest.mark.peer, pytest.mark.slow]
CONTAINERS = int(os.environ.get("TURNOUT_CONTAINERS", "20"))
SEED = int(os.environ.get("TURNOUT_SEED", "1"))
ALWAYS_ELSEWHERE = ("--read-ahead", "0", "--no-local-copies")
"""A small volume on another node would be here before its server is killed."""


@pytest.mark.timeout(120 + 10 * CONTAINERS)
@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_nothing_is_left_and_nobody_disturbed(version: Version) -> None:
    with node_for_all_pods(version, *ALWAYS_ELSEWHERE) as node, closing(Churn(node, SEED)) as churn:
        churn.fill()
        bystander = churn.start_bystander()
        while churn.created < CONTAINERS:
            churn.step()
            churn.check_bystander(bystander)
        churn.end()
        _check_nothing_left(node)
        print(f"containerd {version.name}: {churn.created} containers, {churn.kills}")
        assert min(churn.kills.values()) > 0


def _check_nothing_left(node: Node) -> None:
    wait_until(lambda: node.agent.names() == [], "snapshots are left")
    assert node.agent.left() == []
    with closing(sqlite3.connect(node.agent.root / "snapshots.db")) as db:
        assert db.execute("SELECT count(*) FROM snapshots").fetchone() == (0,)
    assert mounted_below(node.folder) == []
    assert list((node.agent.root / "remote").iterdir()) == []
    wait_until(lambda: node.agent.daemon() is None, "the storage daemon stays without anything to do")
    wait_until(lambda: loops_below(node.folder) == [], "loop devices are left")
    for kind in ("container", "task", "leases", "image"):
        assert node.peer.ctr("-n", "k8s.io", kind, "list", "-q").split() == [], kind
