"""Nodes that adopt what another one has converted: a real kube-apiserver, under deploy/'s roles, over TLS."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from agents.cluster.adoptions import Told, report
from tests.kubernetes.adopting import (
    ACCOUNT,
    MANIFEST,
    PODS,
    REPORTS,
    AdoptingNode,
    VolumeServing,
    certificates,
    client_on,
)
from tests.kubernetes.controlplane import ControlPlane, Object, RefusedError
from tests.kubernetes.kubelet import NODES, await_that
from tests.kubernetes.test_image_controller import (
    CONVERSIONS,
    Cluster,
    cluster,
    condition,
    installed,
    place,
)

__all__ = ["cluster", "installed"]
pytestmark = [pytest.mark.slow, pytest.mark.peer]
PLURALS: Final = {"validatingadmissionpolicys": "validatingadmissionpolicies"}


@pytest.fixture(scope="session")
def with_nodes(installed: ControlPlane) -> ControlPlane:
    """And what deploy/ has for nodes."""
    for document in yaml.safe_load_all(MANIFEST.read_text()):
        path = place(document)
        for wrong, right in PLURALS.items():
            path = path.replace(f"/{wrong}/", f"/{right}/")
        installed.client.apply(path, document)
    return installed


class Pair:
    """Node `one` converts and serves, node `two` adopts."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        self.certificates = certificates(folder / "certs")
        self.serving = VolumeServing(cluster.kubelet.store("one"), self.certificates)
        self.two = self.node("two")
        self.place("one", self.serving.address)

    def place(self, node: str, address: str) -> None:
        """Where the node is."""
        found = {"status": {"addresses": [{"type": "InternalIP", "address": address}]}}
        self.cluster.client.merge(f"{NODES}/{node}/status", found)

    def node(self, name: str) -> AdoptingNode:
        return AdoptingNode(self.cluster.plane, name, self.cluster.kubelet.store(name), self.certificates, self.folder)

    def start(self) -> None:
        self.cluster.start_controller(self.serving.template)
        self.serving.start()

    def convert(self, name: str, seed: int = 1, **spec: Any) -> str:
        """The image's name; it is ready."""
        source = self.cluster.gate.add(name, seed)
        self.cluster.convert(name, source, **spec)
        self.cluster.await_phase(name, "Succeeded")
        return source

    def server(self, name: str) -> str:
        return self.cluster.status(name).get("server", "")

    def adopted(self, name: str) -> Object:
        return self.cluster.status(name).get("adoption") or {}

    def await_names(self, *names: str, node: AdoptingNode | None = None) -> None:
        there = node or self.two
        await_that(f"{names} are what is there: {there.log[-2000:]}", lambda: there.names() == set(names))

    def delete(self, name: str) -> None:
        self.cluster.client.ask("DELETE", f"{CONVERSIONS}/{name}")

    def end(self) -> None:
        self.serving.end()
        self.two.stop()
        for path in (PODS, REPORTS):
            for one in self.cluster.client.get(path)["items"]:
                name = one["metadata"]["name"]
                if "adopt" in name:
                    body = {"gracePeriodSeconds": 0} if path == PODS else None
                    self.cluster.client.ask("DELETE", f"{path}/{name}", body)


@pytest.fixture
def pair(cluster: Cluster, with_nodes: ControlPlane, tmp_path: Path) -> Generator[Pair]:
    made = Pair(cluster, tmp_path)
    try:
        yield made
    finally:
        made.end()


def test_from_ready_to_adopted_and_away(pair: Pair) -> None:
    pair.start()
    pair.two.join()
    pair.two.start()
    web = pair.convert("web")
    pair.await_names(web)
    status = pair.cluster.status("web")
    assert status["server"] == f"nbds://127.0.0.1:{pair.serving.port}?tls-hostname=volumes.turnout-system"
    (image,) = pair.two.images()
    assert [(one["digest"], one["platform"]) for one in status["images"]] == [(image.manifest_digest, image.platform)]
    assert [one["name"] for one in status["blocks"]] == [volume.digest for volume in image.volumes]
    (record,) = pair.two.records()
    assert (record.conversion, record.server) == ("shop/web", status["server"])
    await_that("the cluster knows it", lambda: pair.adopted("web") == {"nodes": 1, "adopted": 1})
    told = condition(pair.cluster.status("web"), "Adopted")
    assert (told["status"], told["reason"], told["message"]) == ("True", "AllNodes", "1 of 1 nodes have adopted it")
    owner = pair.two.report()["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"]) == ("Node", "two")
    assert (pair.two.store / "tls" / "tls.key").read_bytes() == (pair.certificates / "nodes.key").read_bytes()
    pair.delete("web")
    await_that("it is let go", lambda: pair.two.records() == ())
    assert (pair.two.names(), pair.two.files()) == (set(), set())


def test_nodes_hear_nothing_of_conversions_that_are_under_way(pair: Pair) -> None:
    """The API server chooses by status.ready: else each step of progress would go to every node."""
    pair.start()
    pair.two.join()
    pair.cluster.gate.opened.clear()
    pair.cluster.convert("web", pair.cluster.gate.add("web"))
    pair.cluster.await_phase("web", "Pulling")
    client = client_on(pair.cluster.plane, "two")
    path = "/apis/turnout.dev/v1alpha1/imageconversions?fieldSelector=status.ready%3Dtrue"
    assert client.get(path)["items"] == []
    pair.cluster.gate.opened.set()
    pair.cluster.await_phase("web", "Succeeded")
    assert [one["metadata"]["name"] for one in client.get(path)["items"]] == ["web"]


def test_labels_choose_nodes_and_may_change(pair: Pair) -> None:
    pair.start()
    pair.two.join(disk="slow")
    pair.two.start()
    pair.convert("all", 1)
    web = pair.convert("web", 2, nodeSelector={"disk": "fast"})
    await_that("the other one is there", lambda: len(pair.two.names()) == 1)
    assert web not in pair.two.names()
    pair.cluster.client.merge(f"{NODES}/two", {"metadata": {"labels": {"disk": "fast"}}})
    await_that("it is there as well", lambda: web in pair.two.names())
    pair.cluster.client.merge(f"{NODES}/two", {"metadata": {"labels": {"disk": None}}})
    await_that("it is gone", lambda: web not in pair.two.names())


def test_who_was_away_catches_up(pair: Pair) -> None:
    """A node that joins later, and one whose adopter was not there when something was deleted, or came."""
    pair.start()
    first, second = pair.convert("first", 1), pair.convert("second", 2)
    pair.two.join()
    pair.two.start()
    pair.await_names(first, second)
    pair.two.stop()
    pair.delete("first")
    third = pair.convert("third", 3)
    assert pair.two.names() == {first, second}
    pair.two.start()
    pair.await_names(second, third)


def test_the_api_server_is_killed(pair: Pair) -> None:
    """What is there stays meanwhile; afterwards changes are followed again."""
    pair.start()
    first = pair.convert("first", 1)
    pair.two.join()
    pair.two.start()
    pair.await_names(first)
    pair.cluster.plane.restart()
    assert pair.two.names() == {first}
    second = pair.convert("second", 2)
    pair.await_names(first, second)


def test_the_server_of_volumes_is_gone_and_comes_back(pair: Pair) -> None:
    pair.start()
    web = pair.convert("web")
    pair.serving.stop()
    pair.two.join()
    pair.two.start()
    await_that("it is said", lambda: pair.adopted("web") == {"nodes": 1, "adopted": 0})
    told = condition(pair.cluster.status("web"), "Adopted")
    problem = f"two: {pair.server('web')}: Connection refused"
    assert (told["status"], told["reason"]) == ("False", "NoNode")
    assert told["message"] == f"0 of 1 nodes have adopted it; {problem}"
    assert pair.two.files() == set()
    pair.serving.start()
    pair.await_names(web)


def test_a_daemon_that_serves_and_dies_ends_the_command(pair: Pair) -> None:
    """So that whoever keeps it running starts it again: a later daemon would not listen."""
    pair.serving.start()
    number = int((pair.serving.store / "serving" / "daemon.pid").read_text())
    assert pair.serving.process is not None
    os.kill(number, signal.SIGKILL)
    assert pair.serving.process.wait(30) == 1
    assert pair.serving.process.stderr is not None
    gone = f"turnout: error: nbds://127.0.0.1:{pair.serving.port}: the storage daemon that served it is gone\n"
    assert pair.serving.process.stderr.read().decode() == gone


def test_the_node_that_has_converted_is_removed(pair: Pair) -> None:
    """Another one converts, and nodes read there."""
    pair.start()
    web = pair.convert("web")
    pair.two.join()
    pair.two.start()
    pair.await_names(web)
    pair.serving.stop()
    three = VolumeServing(
        pair.cluster.kubelet.store("three"), pair.certificates, port=pair.serving.port, address="127.0.0.2"
    )
    try:
        three.start()
        pair.cluster.kubelet.add_node("three")
        pair.place("three", three.address)
        pair.cluster.kubelet.remove_node("one")
        await_that("it is there", lambda: pair.server("web").startswith(f"nbds://127.0.0.2:{three.port}"))
        await_that("it is followed", lambda: {one.server for one in pair.two.records()} == {pair.server("web")})
        assert pair.two.names() == {web}
        assert "NodeGone" in pair.cluster.reasons("web")
    finally:
        three.end()


def test_what_is_not_exactly_what_the_cluster_says_is_refused(pair: Pair) -> None:
    pair.start()
    pair.convert("web")
    pair.cluster.stop_controllers()
    (block,) = pair.cluster.status("web")["blocks"]
    other = {**block, "name": f"sha256:{'0' * 64}"}
    path = f"{CONVERSIONS}/web/status"
    pair.cluster.client.merge(path, {"status": {"blocks": [other]}})
    pair.two.join()
    pair.two.start()
    await_that("it is said", lambda: "is not adopted" in pair.two.log)
    digest = pair.cluster.status("web")["images"][0]["digest"]
    said = f"image {digest} has the volumes {block['name']}, and the ImageConversion says {other['name']}"
    assert f"shop/web is not adopted: {pair.server('web')}: {said}; tried again in " in pair.two.log
    assert (pair.two.images(), pair.two.files()) == ((), set())
    nothing = {"digest": f"sha256:{'1' * 64}", "platform": "linux/amd64"}
    pair.cluster.client.merge(path, {"status": {"images": [nothing]}})
    await_that("it is said", lambda: f"has no image {nothing['digest']} in mode erofs" in pair.two.log)
    right = {"images": [{**nothing, "digest": digest}], "blocks": [block]}
    server = pair.server("web")
    plain = f"nbd://127.0.0.1:{pair.serving.port}"
    pair.cluster.client.merge(path, {"status": {**right, "server": plain}})
    clear = f"{plain} is to be read in the clear, and this node has certificates: expected nbds://"
    await_that("it is said", lambda: clear in pair.two.log)
    assert (pair.two.images(), pair.two.files()) == ((), set())
    pair.cluster.client.merge(path, {"status": {"server": server}})
    await_that("it is there", lambda: len(pair.two.images()) == 1)


def test_what_is_converted_anew_is_followed(pair: Pair) -> None:
    """With other volumes, and where the tag means another image by then."""
    pair.start()
    pair.two.join()
    pair.two.start()
    web = pair.convert("web")
    pair.await_names(web)
    (before,) = pair.two.images()
    pair.cluster.client.merge(f"{CONVERSIONS}/web", {"spec": {"compression": "lz4"}})
    await_that("it has other volumes", lambda: [one.compression for one in pair.two.images()] == ["lz4"])
    (after,) = pair.two.images()
    assert after.manifest_digest == before.manifest_digest
    await_that("the others are gone", lambda: pair.two.files() == {_nbd(one.digest) for one in after.volumes})


def _nbd(digest: str) -> str:
    return f"{digest.removeprefix('sha256:')}.nbd"


def test_killed_while_it_adopts_and_lets_go(pair: Pair) -> None:
    """At any instant, again and again: in the end there is what the cluster says, and nothing else."""
    pair.start()
    sources = [pair.convert(f"web-{number}", number) for number in range(6)]
    pair.two.join()
    chance = random.Random(7)
    for round_ in range(12):
        pair.two.start()
        await_that("it has begun", lambda: pair.two.beginnings == round_ + 1)  # noqa: B023  asked at once
        time.sleep(chance.uniform(0, 0.4))
        pair.two.kill()
        if round_ == 5:
            for number in range(3):
                pair.delete(f"web-{number}")
    pair.two.start()
    pair.await_names(*sources[3:])
    kept = {f"shop/web-{number}" for number in (3, 4, 5)}
    await_that("others are let go", lambda: {record.conversion for record in pair.two.records()} == kept)
    expected = {_nbd(volume.digest) for image in pair.two.images() for volume in image.volumes}
    assert pair.two.files() == expected


def test_a_node_tells_of_itself_alone(pair: Pair) -> None:
    for node in (pair.two, pair.node("three")):
        node.join()
    two, three = (pair.cluster.client.get(f"{NODES}/{name}") for name in ("two", "three"))
    client = client_on(pair.cluster.plane, "two")
    told = {"uid": Told(content="x")}
    client.create(REPORTS, report("turnout-system", two, told))
    with pytest.raises(RefusedError) as refused:
        client.create(REPORTS, report("turnout-system", three, told))
    assert (refused.value.code, "a node tells of itself alone" in str(refused.value)) == (422, True)
    with pytest.raises(RefusedError) as refused:
        client.merge(f"{REPORTS}/adoptions-two", {"data": {"node": "three"}})
    assert "a node tells of itself alone" in str(refused.value)
    for path in (CONVERSIONS, "/api/v1/namespaces/turnout-system/secrets", REPORTS):
        with pytest.raises(RefusedError) as refused:
            client.ask("DELETE", path)
        assert refused.value.code == 403
    assert ACCOUNT in str(refused.value)
