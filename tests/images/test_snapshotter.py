"""containerd with the snapshotter: converted images start without a pull, others as ever, nothing is left."""

from __future__ import annotations

import subprocess
from collections.abc import Generator
from contextlib import suppress

import pytest

from agents.storage.translate.modes import OVERLAYFS
from tests.images.agent import Refused, mounted, mounted_below
from tests.images.archives import Tar, digest
from tests.images.containerd import chain_id
from tests.images.conversions import converted, turnout
from tests.images.node import Node, busybox, file_layer, node_for_all_pods, sleeping
from tests.images.versions import VERSIONS

pytestmark = [pytest.mark.root, pytest.mark.peer, pytest.mark.slow]
REF = "containerd.io/snapshot.ref"


@pytest.fixture(scope="module", params=VERSIONS, ids=[version.name for version in VERSIONS])
def node(request: pytest.FixtureRequest) -> Generator[Node]:
    with node_for_all_pods(request.param) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_left(node: Node) -> Generator[None]:
    yield
    node.leave_nothing()


def test_a_converted_image_runs_without_its_layers(node: Node) -> None:
    layers = (busybox(), file_layer("etc/two", "second"), file_layer("etc/three", "third"))
    name = node.image("whole", *layers)
    converted(name, node.agent.store)
    node.lose(*layers)
    node.pull(name)
    chains = [chain_id([digest(layer) for layer in layers[: count + 1]]) for count in range(3)]
    infos = {info.labels[REF]: info for info in node.agent.infos()}
    assert [(infos[chain].name, infos[chain].parent, infos[chain].kind) for chain in chains] == [
        (chain, parent, 3) for chain, parent in zip(chains, ["", *chains], strict=False)
    ]
    assert node.run(name, "one", "busybox cat /etc/two /etc/three; echo x > /etc/two; busybox cat /etc/two") == (
        "secondthirdx\n"
    )
    assert node.run(name, "two", "busybox cat /etc/two") == "second"


def test_a_pod_of_a_converted_image(node: Node) -> None:
    layers = (busybox(), file_layer("etc/top", "from the volume\n"))
    name = node.image("pod", *layers)
    converted(name, node.agent.store)
    node.image("sandbox", busybox(), sleeping())
    node.lose(layers[1])
    node.pull(name)
    assert node.run_in_pod(name, "", "/bin/busybox", "cat", "/etc/top") == ["from the volume"]


def test_containers_share_one_volume(node: Node) -> None:
    layers = (busybox(),)
    name = node.image("shared", *layers)
    converted(name, node.agent.store)
    node.pull(name)
    chain = chain_id([digest(layers[0])])
    for key in ("a", "b"):
        node.agent.call("Prepare", key=key, parent=chain)
    attached = [place for place in mounted_below(node.folder) if "/attached/" in place]
    assert len(attached) == 1
    with (
        mounted(node.agent.call("Mounts", key="a"), node.folder / "a") as first,
        mounted(node.agent.call("Mounts", key="b"), node.folder / "b") as second,
    ):
        (first / "new").touch()
        assert not (second / "new").exists()
        assert (first / "bin/busybox").read_bytes() == (second / "bin/busybox").read_bytes()
    node.agent.call("Remove", key="a")
    assert [place for place in mounted_below(node.folder) if "/attached/" in place] == attached
    node.agent.call("Remove", key="b")
    assert [place for place in mounted_below(node.folder) if "/attached/" in place] == []


def test_an_unconverted_image_is_unpacked(node: Node) -> None:
    name = node.image("plain", busybox(), file_layer("etc/plain", "as ever"))
    node.pull(name)
    assert node.run(name, "plain", "busybox cat /etc/plain") == "as ever"


def test_an_unconverted_image_goes_on_from_a_converted_ones_lower_layers(node: Node) -> None:
    base, middle = busybox(), file_layer("etc/middle", "of both")
    whole = node.image("converted", base, middle, file_layer("etc/top", "converted"))
    other = node.image("other", base, middle, file_layer("etc/top", "other"))
    converted(whole, node.agent.store)
    node.pull(whole)
    node.pull(other)
    assert node.run(other, "other", "busybox cat /etc/middle /etc/top") == "of bothother"
    assert node.run(whole, "whole", "busybox cat /etc/middle /etc/top") == "of bothconverted"


def test_an_image_converted_after_its_base_was_unpacked_has_exact_parents(node: Node) -> None:
    base, top = busybox(), file_layer("etc/top", "converted later")
    plain = node.image("base", base)
    node.pull(plain)
    unpacked = node.agent.infos()[0].name
    whole = node.image("later", base, top)
    converted(whole, node.agent.store)
    node.lose(top)
    node.pull(whole)
    chain = chain_id([digest(base), digest(top)])
    (info,) = node.agent.infos(f'labels."{REF}"=={chain}')
    assert info.parent == unpacked
    assert node.run(whole, "later", "busybox cat /etc/top") == "converted later"


def test_layers_that_are_kept_apart_are_parents_without_a_pull(node: Node) -> None:
    hiding = Tar().add("etc/.wh.middle").add("etc/top", data=b"apart")
    base, middle, top = busybox(), file_layer("etc/middle", "of both"), bytes(hiding.data)
    whole = node.image("apart", base, middle, top)
    other = node.image("beside", base, middle, file_layer("etc/other", "not converted"))
    converted(whole, node.agent.store, mode=OVERLAYFS)
    node.lose(base, middle, top)
    node.pull(whole)
    node.pull(other)
    assert node.run(whole, "whole", "busybox ls /etc; busybox cat /etc/top").splitlines()[-2:] == ["top", "apart"]
    assert node.run(other, "other", "busybox cat /etc/middle /etc/other") == "of bothnot converted"
    chain = chain_id([digest(layer) for layer in (base, middle, top)])
    with mounted(node.agent.call("View", key="look", parent=chain), node.folder / "mnt") as root:
        assert sorted(path.name for path in (root / "etc").iterdir()) == ["top"]
    with suppress(Refused):  # containerd knows nothing of this one, so its collector may have been first
        node.agent.call("Remove", key="look")


def test_lower_layers_that_cannot_be_had_are_refused_in_words(node: Node) -> None:
    base = file_layer("etc/lost", "x")
    whole = node.image("gone", base, file_layer("etc/top", "1"))
    converted(whole, node.agent.store)
    node.lose(base)
    chain = digest(base)
    with pytest.raises(Refused) as refused:
        node.agent.call("Prepare", key="unpack", parent="", labels={REF: chain})
    assert refused.value.args == (
        "ALREADY_EXISTS",
        f"target snapshot {chain} exists: it belongs to a converted image",
    )
    with pytest.raises(Refused) as refused:
        node.agent.call("Prepare", key="other", parent=chain)
    start = f"snapshot {chain} is part of a converted image; its own layers are needed now: {whole}: "
    assert (refused.value.code, refused.value.text[: len(start)]) == ("UNAVAILABLE", start)
    assert node.agent.names() == [chain]
    node.agent.call("Remove", key=chain)


def test_a_volume_stays_while_a_snapshot_has_it(node: Node) -> None:
    layers = (busybox(),)
    name = node.image("removed", *layers)
    converted(name, node.agent.store)
    node.pull(name)
    assert turnout("remove", name, "--store", node.agent.store).returncode == 0
    assert node.run(name, "removed", "echo still here") == "still here\n"


def test_a_killed_agent_goes_on(node: Node) -> None:
    layers = (busybox(), file_layer("etc/top", "x"))
    name = node.image("killed", *layers)
    converted(name, node.agent.store)
    node.pull(name)
    chain = chain_id([digest(layer) for layer in layers])
    node.agent.call("Prepare", key="running", parent=chain)
    with mounted(node.agent.call("Mounts", key="running"), node.folder / "mnt") as root:
        (root / "etc/kept").write_text("written before")
        node.agent.kill()
        assert (root / "etc/top").read_text() == "x"
        (root / "etc/kept").write_text("written while it was away")
        stray = node.agent.root / "snapshots" / "999999" / "fs"
        stray.mkdir(parents=True)
        node.restart_agent(chain)
        assert not stray.exists()
        assert node.agent.call("Stat", key="running").info.parent == chain
    with mounted(node.agent.call("Mounts", key="running"), node.folder / "mnt") as root:
        assert (root / "etc/kept").read_text() == "written while it was away"
    assert node.run(name, "again", "busybox cat /etc/top") == "x"
    node.agent.call("Remove", key="running")


def test_after_a_reboot_volumes_are_attached_again(node: Node) -> None:
    layers = (busybox(), file_layer("etc/top", "after reboot"))
    name = node.image("reboot", *layers)
    converted(name, node.agent.store)
    node.pull(name)
    chain = chain_id([digest(layer) for layer in layers])
    node.agent.call("Prepare", key="kept", parent=chain)
    node.agent.kill()
    attached = [place for place in mounted_below(node.folder) if "/attached/" in place]
    subprocess.run(["umount", *attached], check=True)
    node.restart_agent(chain)
    assert [place for place in mounted_below(node.folder) if "/attached/" in place] == attached
    with mounted(node.agent.call("Mounts", key="kept"), node.folder / "mnt") as root:
        assert (root / "etc/top").read_text() == "after reboot"
    node.agent.call("Remove", key="kept")
