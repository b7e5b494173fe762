"""`turnout show volumes` and `image volumes`: where volumes are, who has them, what is attached."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agents.storage.io.volumefiles import volume_path
from agents.storage.statusservice import ask_volumes
from agents.storage.translate.modes import BLOCK
from agents.storage.wire.errors import ImageError
from agents.storage.wire.snapshots import REF_LABEL
from tests.images.agent import Agent, Refused, running_agent, wait_until
from tests.images.archives import LayoutWriter, Tar, digest
from tests.images.conversions import converted, turnout
from tests.images.test_remote import Pair, pair

__all__ = ["pair"]
LAYER = Tar().add("etc/one", data=b"1" * 100_000).finished()


def show(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("turnout"), "show", "volumes", *arguments]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)


def shown(agent: Agent) -> list[dict[str, Any]]:
    done = show("--listen", agent.socket, "-o", "json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def claim(agent: Agent, layer: bytes) -> str:
    """What stands for the layer of the converted image."""
    with pytest.raises(Refused, match="ALREADY_EXISTS"):
        agent.call("Prepare", key="k8s.io/1/extract-1", labels={REF_LABEL: digest(layer)})
    return digest(layer)


def layout(folder: Path, *layers: bytes) -> Path:
    writer = LayoutWriter(folder)
    writer.image(layers)
    return writer.write()


@pytest.mark.root
@pytest.mark.slow
def test_who_has_a_volume_and_whether_it_is_attached(tmp_path: Path) -> None:
    source = layout(tmp_path / "layout", LAYER)
    with running_agent(tmp_path) as agent:
        assert shown(agent) == []
        (volume,) = converted(source, agent.store).image.volumes
        row = {
            "volume": volume.digest,
            "role": "root",
            "size": volume.size_bytes,
            "here": volume.size_bytes,
            "at": "this node",
            "traced": 0,
            "attached": False,
            "pool": None,
            "references": 1,
            "images": [f"oci:{source}"],
            "containers": [],
        }
        assert shown(agent) == [row]
        chain = claim(agent, LAYER)
        assert shown(agent) == [row]
        agent.call("Prepare", key="k8s.io/2/web", parent=chain)
        agent.call("View", key="looking", parent=chain)
        used = {**row, "attached": True, "references": 3, "containers": ["k8s.io/web", "looking"]}
        assert shown(agent) == [used]
        assert turnout("remove", f"oci:{source}", "--store", agent.store).returncode == 0
        left = {**used, "role": "", "references": 2, "images": []}
        assert shown(agent) == [left]
        for key in ("k8s.io/2/web", "looking", chain):
            agent.call("Remove", key=key)
        assert shown(agent) == []


@pytest.mark.root
@pytest.mark.slow
def test_disks_have_a_pool_of_clones(tmp_path: Path) -> None:
    source = layout(tmp_path / "layout", LAYER)
    with running_agent(tmp_path) as agent:
        converted(source, agent.store, mode=BLOCK.sized(1))
        chain = claim(agent, LAYER)
        wait_until(lambda: shown(agent)[0]["pool"] == 4, "no clones are made ahead")
        (row,) = shown(agent)
        assert (row["role"], row["attached"], row["containers"]) == ("disk", False, [])
        agent.call("Prepare", key="k8s.io/2/web", parent=chain)
        (row,) = shown(agent)
        assert (row["attached"], row["containers"]) == (True, ["k8s.io/web"])
        agent.call("Remove", key="k8s.io/2/web")
        assert shown(agent)[0]["attached"] is False
        agent.call("Remove", key=chain)
        assert shown(agent)[0]["pool"] is None


@pytest.mark.root
@pytest.mark.slow
def test_a_volume_on_another_node(pair: Pair) -> None:
    (before,) = pair.snapshots.volumes()
    assert (before.at, before.here) == (str(pair.address), 0)
    pair.snapshots.prepare("run", pair.chain, {})
    (volume,) = pair.snapshots.volumes()
    assert volume.use is not None
    assert (volume.use.attached, volume.use.containers) == (True, ("run",))
    wait_until(lambda: pair.snapshots.volumes()[0].at == "this node", "the copy is not made whole")
    (whole,) = pair.snapshots.volumes()
    assert whole.here == whole.size == before.size
    pair.server.close()
    assert pair.snapshots.volumes()[0].size == before.size


@pytest.mark.root
@pytest.mark.slow
def test_the_table_is_short_whoever_has_it(tmp_path: Path) -> None:
    source = layout(tmp_path / "layout", LAYER)
    with running_agent(tmp_path) as agent:
        (volume,) = converted(source, agent.store).image.volumes
        chain = claim(agent, LAYER)
        for number in range(5):
            agent.call("View", key=f"k8s.io/{number}/web-{number}", parent=chain)
        heading, row = show("--listen", agent.socket).stdout.splitlines()
        assert heading.split() == (
            ["VOLUME", "ROLE", "SIZE", "HERE", "AT", "TRACED", "ATTACHED", "POOL", "REFERENCES", "IMAGES", "CONTAINERS"]
        )
        size = str(volume.size_bytes)
        state = f"{volume.digest} root {size} {size} this node 0 True 6"
        assert " ".join(row.split()) == f"{state} oci:{source} k8s.io/web-0, k8s.io/web-1, k8s.io/web-2 and 2 more"


def test_without_an_agent(tmp_path: Path) -> None:
    socket = tmp_path / "s.sock"
    done = show("--listen", socket)
    said = f"turnout: error: no storage agent listens at {socket}; `turnout agent storage` is one\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


@pytest.mark.root
@pytest.mark.slow
def test_an_agent_that_died_or_hangs(tmp_path: Path) -> None:
    with running_agent(tmp_path) as agent:
        agent.send(signal.SIGSTOP)
        with pytest.raises(ImageError) as refused:
            ask_volumes(agent.socket, timeout_s=0.5)
        assert str(refused.value) == f"the storage agent at {agent.socket} does not answer within 0.5 s"
        agent.send(signal.SIGCONT)
        agent.kill()
        done = show("--listen", agent.socket)
        said = f"turnout: error: no storage agent listens at {agent.socket}; `turnout agent storage` is one\n"
        assert (done.returncode, done.stderr) == (1, said)


def test_what_the_store_alone_says(tmp_path: Path) -> None:
    source = layout(tmp_path / "layout", LAYER)
    (volume,) = converted(source, tmp_path / "store").image.volumes
    done = turnout("volumes", "--store", tmp_path / "store", "--root", tmp_path / "none", "-o", "json")
    size = volume.size_bytes
    row = {"volume": volume.digest, "size": size, "here": size, "at": "this node", "traced": 0}
    assert json.loads(done.stdout) == [row]
    volume_path(tmp_path / "store", volume.digest).unlink()
    done = turnout("volumes", "--store", tmp_path / "store", "--root", tmp_path / "none", "-o", "json")
    assert json.loads(done.stdout) == [{**row, "here": 0}]
