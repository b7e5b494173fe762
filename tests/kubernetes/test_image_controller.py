"""The controller of ImageConversions against a real kube-apiserver, under deploy/'s roles, with real conversions."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from agents.storage.adoption import adopt
from agents.storage.io.store import Store
from agents.storage.io.volumefiles import volume_path
from agents.storage.io.volumeserver import VolumeServer
from agents.storage.wire.remotes import Server
from tests.images.registry import free_port
from tests.kubernetes.controlplane import Client, ControlPlane, Object, RefusedError
from tests.kubernetes.gatedregistry import Gate, gated_registry
from tests.kubernetes.kubelet import JOBS, NAMESPACE, NODES, Kubelet, await_that

pytestmark = [pytest.mark.slow, pytest.mark.peer]

MANIFEST: Final = Path(__file__).parents[2] / "deploy" / "image-controller.yaml"
CONVERSIONS: Final = "/apis/turnout.dev/v1alpha1/namespaces/shop/imageconversions"
EVENTS: Final = "/api/v1/namespaces/shop/events"
LEASE: Final = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/turnout-image-controller"
GROUPS: Final = {"v1": "/api/v1", "apps/v1": "/apis/apps/v1"}
LEASE_S: Final = 3


def place(document: Object) -> str:
    version, kind = document["apiVersion"], document["kind"]
    root = GROUPS.get(version, f"/apis/{version}")
    namespace = document["metadata"].get("namespace")
    inside = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{inside}/{kind.lower()}s/{document['metadata']['name']}"


@pytest.fixture(scope="session")
def installed(running: ControlPlane, turnout_kinds: None) -> ControlPlane:
    """What deploy/ has, as `kubectl apply --server-side` does it; nobody runs the Deployment."""
    for document in yaml.safe_load_all(MANIFEST.read_text()):
        running.client.apply(place(document), document)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    running.client.apply("/api/v1/namespaces/shop", namespace)
    return running


@dataclass
class Cluster:
    plane: ControlPlane
    kubelet: Kubelet
    gate: Gate
    folder: Path
    controllers: list[subprocess.Popen[bytes]] = field(default_factory=list[subprocess.Popen[bytes]])

    @property
    def client(self) -> Client:
        return self.plane.client

    def start_controller(self, *options: str) -> subprocess.Popen[bytes]:
        """`turnout agent image-controller` with the token of its own account."""
        account = self.plane.client_of(NAMESPACE, "turnout-image-controller")
        kubeconfig = account.kubeconfig(self.folder / "controller.kubeconfig")
        program = str(Path(sys.executable).with_name("turnout"))
        command = [program, "agent", "image-controller", "--image", "turnout:test", "--namespace", NAMESPACE]
        settings = [f"--lease={LEASE_S}", "--first-wait=1", "--node-patience=2", f"--kubeconfig={kubeconfig}"]
        log = self.folder / f"controller-{len(self.controllers)}.log"
        with log.open("wb") as file:
            process = subprocess.Popen([*command, *settings, *options], stdout=file, stderr=file)
        self.controllers.append(process)
        return process

    def stop_controllers(self) -> None:
        for process in self.controllers:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == 0
        for number in range(len(self.controllers)):
            assert "Traceback" not in self.log(number), self.log(number)

    def log(self, number: int = 0) -> str:
        return (self.folder / f"controller-{number}.log").read_text()

    def convert(self, name: str, source: str, **spec: Any) -> Object:
        metadata = {"name": name, "namespace": "shop"}
        body = {"apiVersion": "turnout.dev/v1alpha1", "kind": "ImageConversion", "metadata": metadata}
        return self.client.create(
            CONVERSIONS, {**body, "spec": {"sourceImage": source, "platforms": ["linux/amd64"], **spec}}
        )

    def status(self, name: str) -> Object:
        return self.client.get(f"{CONVERSIONS}/{name}").get("status", {})

    def ready(self, name: str) -> Object:
        return condition(self.status(name), "Ready")

    def jobs(self) -> list[Object]:
        return self.client.get(JOBS)["items"]

    def await_phase(self, name: str, phase: str, seconds: float = 60) -> Object:
        await_that(f"{name} is {phase}: {self.status(name)}", lambda: self.status(name).get("phase") == phase, seconds)
        return self.status(name)

    def await_reason(self, name: str, reason: str) -> Object:
        await_that(f"{name}: {reason}", lambda: self.ready(name).get("reason") == reason)
        return self.ready(name)

    def await_lead(self, number: int) -> None:
        await_that("the controller leads", lambda: "we lead" in self.log(number))

    def reasons(self, name: str) -> list[str]:
        """Of the events about a conversion."""
        found = [one for one in self.client.get(EVENTS)["items"] if one["involvedObject"]["name"] == name]
        return sorted(one["reason"] for one in found)


def condition(status: Object, kind: str) -> Object:
    found: list[Object] = [one for one in status.get("conditions", ()) if one["type"] == kind]
    return found[0] if found else {}


@pytest.fixture
def cluster(installed: ControlPlane, tmp_path: Path) -> Generator[Cluster]:
    """With node `one`, and no controller yet. Everything is taken away at the end."""
    with gated_registry(tmp_path / "registry") as gate:
        (tmp_path / "registry").mkdir()
        kubelet = Kubelet(installed, tmp_path)
        found = Cluster(installed, kubelet, gate, tmp_path)
        kubelet.add_node("one")
        kubelet.start()
        try:
            yield found
            found.stop_controllers()
        finally:
            for process in found.controllers:
                process.kill()
                process.wait()
            clear(found)
            kubelet.stop()


def clear(cluster: Cluster) -> None:
    cluster.gate.opened.set()
    for path in (CONVERSIONS, EVENTS):
        cluster.client.ask("DELETE", path)
    for job in cluster.jobs():
        cluster.client.ask("DELETE", f"{JOBS}/{job['metadata']['name']}", {"propagationPolicy": "Foreground"})
    await_that("Jobs are gone", lambda: not cluster.jobs())
    for node in cluster.client.get(NODES)["items"]:
        cluster.client.ask("DELETE", f"{NODES}/{node['metadata']['name']}")
    if cluster.client.find(LEASE) is not None:
        cluster.client.ask("DELETE", LEASE)


def test_a_conversion_from_beginning_to_end(cluster: Cluster) -> None:
    cluster.start_controller()
    cluster.gate.opened.clear()
    made = cluster.convert("web", cluster.gate.add("1"))
    status = cluster.await_phase("web", "Pulling")
    assert status["node"] == "one"
    await_that("half of it is there", lambda: cluster.status("web")["progress"] in range(40, 60))
    assert condition(cluster.status("web"), "Ready")["reason"] == "InProgress"
    cluster.gate.opened.set()
    status = cluster.await_phase("web", "Succeeded")
    assert (status["progress"], status["ready"], status["node"]) == (100, True, "one")
    assert status["observedGeneration"] == made["metadata"]["generation"] == 1
    ready, failed = (condition(status, kind) for kind in ("Ready", "Failed"))
    assert (ready["status"], ready["reason"], failed["status"]) == ("True", "Converted", "False")
    (block,) = status["blocks"]
    assert (block["role"], block["platform"]) == ("root", "linux/amd64")
    assert block["name"] == volumes(cluster, "one")["127.0.0.1"]
    assert cluster.reasons("web") == ["Converted", "Started"]
    (job,) = cluster.jobs()
    assert job["metadata"]["name"].startswith("web-")
    assert job["spec"]["ttlSecondsAfterFinished"] == 3600


def volumes(cluster: Cluster, node: str) -> dict[str, str]:
    """Digests of first volumes in a node's store, by the host in the image's name."""
    store = Store(cluster.kubelet.store(node))
    try:
        return {name.partition(":")[0]: image.volumes[0].digest for image in store.images() for name in image.names}
    finally:
        store.close()


def test_one_at_a_time_on_a_node_and_on_all_nodes_at_once(cluster: Cluster) -> None:
    cluster.kubelet.add_node("two")
    cluster.start_controller()
    cluster.gate.opened.clear()
    for number in range(4):
        cluster.convert(f"web-{number}", cluster.gate.add(str(number), seed=number))
    await_that("both nodes convert", lambda: len(cluster.kubelet.started) == 2)
    await_that(
        "the others wait",
        lambda: (
            sorted(cluster.ready(f"web-{number}").get("reason", "") for number in range(4))
            == ["InProgress", "InProgress", "Waiting", "Waiting"]
        ),
    )
    cluster.gate.opened.set()
    for number in range(4):
        cluster.await_phase(f"web-{number}", "Succeeded")
    assert cluster.kubelet.most_at_once == {"one": 1, "two": 1}
    assert sorted(node for node, _ in cluster.kubelet.started) == ["one", "one", "two", "two"]


def test_what_fails_is_tried_again_and_says_why(cluster: Cluster) -> None:
    cluster.start_controller("--attempts=3", "--first-wait=4")
    source = f"{cluster.gate.host}/shop/web:later"
    cluster.convert("web", source)
    message = cluster.await_reason("web", "Retrying")["message"]
    assert message.startswith("attempt 1 of 3: ")
    assert "MANIFEST_UNKNOWN: manifest unknown; the next one at 2" in message
    cluster.gate.add("later")
    status = cluster.await_phase("web", "Succeeded")
    assert condition(status, "Failed")["status"] == "False"
    assert {"Retrying", "Converted"} <= set(cluster.reasons("web"))


def test_what_fails_too_often_has_failed_until_it_is_changed(cluster: Cluster) -> None:
    cluster.start_controller("--attempts=2")
    cluster.convert("web", f"{cluster.gate.host}/shop/web:none")
    status = cluster.await_phase("web", "Failed")
    failed = condition(status, "Failed")
    assert (failed["status"], failed["reason"]) == ("True", "ConversionFailed")
    assert failed["message"].endswith("MANIFEST_UNKNOWN: manifest unknown")
    assert (status["ready"], status["blocks"]) == (False, [])
    assert [name[-4:] for _, name in cluster.kubelet.started] == ["-1-1", "-1-2"]
    for job in cluster.jobs():  # as if their time were over
        cluster.client.ask("DELETE", f"{JOBS}/{job['metadata']['name']}", {"propagationPolicy": "Background"})
    cluster.client.merge(f"{CONVERSIONS}/web", {"spec": {"sourceImage": cluster.gate.add("there")}})
    status = cluster.await_phase("web", "Succeeded")
    assert status["observedGeneration"] == 2
    assert [name[-4:] for _, name in cluster.kubelet.started] == ["-1-1", "-1-2", "-2-1"]


def test_a_spec_that_is_changed_while_a_job_runs(cluster: Cluster) -> None:
    cluster.start_controller()
    cluster.gate.opened.clear()
    cluster.convert("web", cluster.gate.add("old"))
    cluster.await_phase("web", "Pulling")
    cluster.client.merge(f"{CONVERSIONS}/web", {"spec": {"sourceImage": cluster.gate.add("new", seed=2)}})
    await_that("the second one runs", lambda: len(cluster.kubelet.started) == 2)
    cluster.gate.opened.set()
    status = cluster.await_phase("web", "Succeeded")
    assert status["observedGeneration"] == 2
    assert [name[-4:] for _, name in cluster.kubelet.started] == ["-1-1", "-2-1"]
    assert cluster.kubelet.most_at_once == {"one": 1}
    await_that("the first Job is gone", lambda: len(cluster.jobs()) == 1)


def test_a_conversion_that_is_deleted_while_a_job_runs(cluster: Cluster) -> None:
    cluster.start_controller()
    cluster.gate.opened.clear()
    cluster.convert("web", cluster.gate.add("1"))
    cluster.await_phase("web", "Pulling")
    cluster.client.ask("DELETE", f"{CONVERSIONS}/web")
    await_that("its Job is gone", lambda: not cluster.jobs())
    (process,) = cluster.kubelet.processes.values()
    assert process.poll() is not None
    cluster.convert("web", cluster.gate.add("1"))
    cluster.gate.opened.set()
    assert cluster.await_phase("web", "Succeeded")["ready"]


def test_volumes_stay_when_a_conversion_is_deleted(cluster: Cluster) -> None:
    cluster.start_controller()
    cluster.convert("web", cluster.gate.add("1"))
    cluster.await_phase("web", "Succeeded")
    cluster.client.ask("DELETE", f"{CONVERSIONS}/web")
    await_that("its Job is gone", lambda: not cluster.jobs())
    assert len(volumes(cluster, "one")) == 1


def test_a_node_that_goes(cluster: Cluster) -> None:
    cluster.start_controller()
    cluster.gate.opened.clear()
    cluster.convert("web", cluster.gate.add("1"))
    cluster.await_phase("web", "Pulling")
    cluster.kubelet.remove_node("one")
    assert cluster.await_reason("web", "NoNode")["message"] == "no ready node may convert"
    cluster.kubelet.add_node("two")
    cluster.gate.opened.set()
    status = cluster.await_phase("web", "Succeeded")
    assert status["node"] == "two"
    assert "NodeGone" in cluster.reasons("web")


def test_a_node_that_goes_from_which_another_one_has_adopted(cluster: Cluster) -> None:
    """That one converts: what it has read from the node that is gone does not count."""
    cluster.start_controller()
    cluster.convert("web", cluster.gate.add("1"))
    cluster.await_phase("web", "Succeeded")
    here, there = cluster.kubelet.store("two"), cluster.kubelet.store("one")
    adopt_all(there, here)
    cluster.kubelet.remove_node("one")
    cluster.kubelet.add_node("two")
    cluster.client.ask("DELETE", f"{CONVERSIONS}/web")
    cluster.convert("web", cluster.gate.add("1"))
    status = cluster.await_phase("web", "Succeeded")
    assert (status["node"], status["ready"]) == ("two", True)
    (block,) = status["blocks"]
    assert volume_path(here, block["name"]).read_bytes() == volume_path(there, block["name"]).read_bytes()


def adopt_all(there: Path, here: Path) -> None:
    address = Server(host="127.0.0.1", port=free_port())
    with tempfile.TemporaryDirectory() as folder:
        served = Path(folder) / "store"  # a short path, since there are sockets below it
        served.symlink_to(there)
        server, store = VolumeServer(served, address), Store(here)
        try:
            server.publish()
            (image,) = adopt(address, (), store)
            assert not volume_path(here, image.volumes[0].digest).exists()
        finally:
            store.close()
            server.close()


def test_a_node_that_is_not_ready_for_too_long(cluster: Cluster) -> None:
    cluster.kubelet.add_node("two", **{"example.com/converts": "yes"})
    cluster.kubelet.add_node("three")
    cluster.start_controller("--node-label=example.com/converts=yes")
    cluster.gate.opened.clear()
    cluster.convert("web", cluster.gate.add("1"))
    assert cluster.await_phase("web", "Pulling")["node"] == "two"
    cluster.client.merge(f"{NODES}/one", {"metadata": {"labels": {"example.com/converts": "yes"}}})
    cluster.kubelet.gone.add("two")
    cluster.kubelet.set_ready("two", False)
    cluster.gate.opened.set()
    assert cluster.await_phase("web", "Succeeded")["node"] == "one"


def test_a_policy_that_contradicts_itself(cluster: Cluster) -> None:
    """The API server takes it, since each field is right."""
    cluster.start_controller()
    cluster.convert("web", cluster.gate.add("1"), virtualSizeByGB=1)
    status = cluster.await_phase("web", "Failed")
    failed = condition(status, "Failed")
    assert failed["reason"] == "InvalidSpec"
    assert failed["message"].startswith("virtualSizeByGB is the size of a disk, and mode erofs makes none, error E")
    assert (cluster.jobs(), cluster.reasons("web")) == ([], ["InvalidSpec"])
    cluster.client.merge(f"{CONVERSIONS}/web", {"spec": {"imageMode": "block"}})
    (block,) = cluster.await_phase("web", "Succeeded")["blocks"]
    assert block["role"] == "disk"


def test_a_job_that_the_server_refuses(cluster: Cluster) -> None:
    """Said at each conversion, and tried again: a controller with a good image goes on."""
    cluster.start_controller("--image=")
    for name in ("web", "more"):
        cluster.convert(name, cluster.gate.add(name))
        assert (
            "spec.template.spec.containers[0].image: Required value"
            in cluster.await_reason(name, "JobRefused")["message"]
        )
    assert (cluster.jobs(), cluster.reasons("web")) == ([], [])
    cluster.stop_controllers()
    cluster.start_controller()
    for name in ("web", "more"):
        cluster.await_phase(name, "Succeeded")


def test_a_controller_that_is_killed_is_taken_over_from(cluster: Cluster) -> None:
    first = cluster.start_controller()
    cluster.gate.opened.clear()
    cluster.convert("web", cluster.gate.add("1"))
    cluster.await_phase("web", "Pulling")
    cluster.start_controller()
    first.kill()
    first.wait()
    cluster.gate.opened.set()
    cluster.await_phase("web", "Succeeded")
    assert len(cluster.kubelet.started) == 1
    assert cluster.client.get(LEASE)["spec"]["leaseTransitions"] == 1


@pytest.mark.parametrize("seed", range(4))
def test_a_controller_that_is_killed_at_any_instant(seed: int, cluster: Cluster) -> None:
    """Three of them, one after the other, some time after they have begun to lead; the fourth goes on to the end."""
    instants = random.Random(seed)
    cluster.convert("web", cluster.gate.add("1"))
    for number in range(3):
        process = cluster.start_controller()
        cluster.await_lead(number)
        time.sleep(instants.choice((0.0, 0.02, 0.05, 0.1, 0.2, instants.uniform(0.3, 2.0))))
        process.kill()
        process.wait()
        cluster.client.ask("DELETE", LEASE)  # so that the next one need not wait
    cluster.start_controller()
    cluster.await_lead(3)
    cluster.await_phase("web", "Succeeded")
    assert len(cluster.kubelet.started) == 1
    assert len({job["metadata"]["name"] for job in cluster.jobs()}) == 1
    told = cluster.reasons("web")  # one that dies between what it does and the event takes that along
    assert told == sorted({"Converted", "Started"} & set(told))


def test_an_api_server_that_is_restarted(cluster: Cluster) -> None:
    cluster.start_controller()
    cluster.gate.opened.clear()
    cluster.convert("web", cluster.gate.add("1"))
    cluster.await_phase("web", "Pulling")
    cluster.plane.restart()
    cluster.gate.opened.set()
    cluster.await_phase("web", "Succeeded")
    cluster.convert("more", cluster.gate.add("2", seed=2))
    cluster.await_phase("more", "Succeeded")
    assert len(cluster.kubelet.started) == 2


def test_what_its_roles_do_not_let_it_do(cluster: Cluster) -> None:
    cluster.convert("web", "registry.example.com/web:1")
    controller, job = (
        cluster.plane.client_of(NAMESPACE, name) for name in ("turnout-image-controller", "turnout-conversion")
    )
    spec = {"spec": {"imageMode": "block"}}
    for client, method, path, body in (
        (controller, "PATCH", f"{CONVERSIONS}/web", spec),
        (controller, "DELETE", f"{CONVERSIONS}/web", None),
        (controller, "GET", "/apis/batch/v1/namespaces/shop/jobs", None),
        (controller, "GET", f"/api/v1/namespaces/{NAMESPACE}/secrets", None),
        (job, "PATCH", f"{CONVERSIONS}/web/status", {"status": {"ready": True}}),
        (job, "GET", JOBS, None),
        (job, "POST", JOBS, {}),
    ):
        with pytest.raises(RefusedError) as refused:
            client.ask(method, path, body, "application/merge-patch+json" if method == "PATCH" else "application/json")
        assert refused.value.code == 403, (method, path)


def test_the_job_is_what_the_conversion_asks_for(cluster: Cluster) -> None:
    cluster.kubelet.holds = True
    cluster.start_controller("--registry-secret=passwords", "--convert-option=--mirror=docker.io=127.0.0.1:1")
    cluster.convert("web", "registry.example.com/shop/web:1", destImage="registry.example.com/fast/web:1")
    await_that("there is a Job", lambda: bool(cluster.jobs()))
    (job,) = cluster.jobs()
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["turnout", "image", "convert"]
    arguments = dict(zip(container["args"][::2], container["args"][1::2], strict=False))
    policy = json.loads(arguments.pop("--policy"))
    assert policy["spec"]["destImage"] == "registry.example.com/fast/web:1"
    assert arguments == {
        "--report": f"{NAMESPACE}/{job['metadata']['name']}",
        "--store": "/var/lib/turnout/images",
        "--credentials": "/etc/turnout/registry/config.json",
    }
    assert container["args"][-1] == "--mirror=docker.io=127.0.0.1:1"
    assert job["spec"]["backoffLimit"] == 0
