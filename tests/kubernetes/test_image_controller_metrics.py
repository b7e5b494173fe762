"""The image controller's figures and probes, asked from outside while a real kube-apiserver has it work."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from agents.imagecontroller.metrics import PREFIX
from tests.images.registry import free_port
from tests.kubernetes.controlplane import Client
from tests.kubernetes.kubelet import JOBS, await_that
from tests.kubernetes.test_image_controller import MANIFEST, Cluster, cluster, installed

__all__ = ["cluster", "installed"]
pytestmark = [pytest.mark.slow, pytest.mark.peer]
Found = Mapping[tuple[str, frozenset[tuple[str, str]]], float]
PROMETHEUS: Final = "text/plain; version=0.0.4; charset=utf-8"
VOLUME: Final = "volumes_bytes"
SEEN_S: Final = 6
"""What waits for its next attempt is to be seen waiting, by a scrape on a busy machine; Jobs end at whole seconds."""


def deployment() -> dict[str, Any]:
    (found,) = (one for one in yaml.safe_load_all(MANIFEST.read_text()) if one["kind"] == "Deployment")
    return found


def container() -> dict[str, Any]:
    (found,) = deployment()["spec"]["template"]["spec"]["containers"]
    return found


class Pod:
    """What the Deployment has said of where it is asked, at ports that are free here: by their names."""

    def __init__(self) -> None:
        self.ports = {port["name"]: free_port() for port in container()["ports"]}
        self._free = {str(port["containerPort"]): str(self.ports[port["name"]]) for port in container()["ports"]}

    def options(self) -> list[str]:
        asked = [text for text in container()["args"] if text.startswith(("--metrics", "--health"))]
        return [self._moved(text) for text in asked]

    def _moved(self, text: str) -> str:
        stem, colon, port = text.rpartition(":")
        return f"{stem}:{self._free[port]}" if colon else text

    def ask(self, port: str, path: str) -> tuple[int, str, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[port], timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.getheader("Content-Type", ""), answer.read().decode()
        except OSError:  # it does not listen yet
            return 0, "", ""
        finally:
            connection.close()

    def probe(self, name: str) -> tuple[int, str]:
        asked = container()[f"{name}Probe"]["httpGet"]
        code, _, text = self.ask(asked["port"], asked["path"])
        return code, text

    def scrape(self) -> Found:
        """As Prometheus is told to by annotations."""
        annotations = deployment()["spec"]["template"]["metadata"]["annotations"]
        assert annotations["prometheus.io/scrape"] == "true"
        (port,) = (one["name"] for one in container()["ports"] if str(one["containerPort"]) == _port(annotations))
        code, kind, text = self.ask(port, annotations["prometheus.io/path"])
        assert code in (0, 200)
        assert kind in ("", PROMETHEUS)
        return {
            (sample.name.removeprefix(f"{PREFIX}_"), frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """-1 where there is no such figure."""
        return self.scrape().get((name, frozenset(labels.items())), -1)

    def total(self, name: str, **labels: str) -> float:
        """Of all that have these labels."""
        wanted = frozenset(labels.items())
        return sum(number for (one, of), number in self.scrape().items() if one == name and wanted <= of)

    def await_value(self, wanted: float, name: str, **labels: str) -> None:
        await_that(f"{name} {labels} is {wanted}", lambda: self.value(name, **labels) == wanted)


def _port(annotations: Mapping[str, str]) -> str:
    return annotations["prometheus.io/port"]


def test_a_life_with_what_waits_runs_ends_and_fails(cluster: Cluster) -> None:
    pod = Pod()
    cluster.kubelet.holds = True
    cluster.gate.opened.clear()
    cluster.start_controller("--attempts=2", f"--first-wait={SEEN_S}", *pod.options())
    pod.await_value(1, "leading")
    assert (pod.probe("liveness"), pod.probe("readiness")) == ((200, "ok\n"), (200, "ok\n"))
    pod.await_value(1, "nodes")
    assert pod.total("conversions") == 0
    _waits_and_runs(cluster, pod)
    _ends(cluster, pod)
    _fails(cluster, pod)
    _says_no_name_and_no_message(cluster, pod)


def _waits_and_runs(cluster: Cluster, pod: Pod) -> None:
    source = cluster.gate.add("1")
    cluster.convert("web", source)
    pod.await_value(1, "pending_conversions", reason="InProgress")
    cluster.convert("more", source)
    pod.await_value(1, "pending_conversions", reason="Waiting")
    assert pod.value("conversions", phase="Pending") == 2
    assert pod.value("running_jobs", node="one") == 1
    assert pod.value("conversion_events_total", reason="Started") == 1
    assert pod.value("requests_total", method="POST", resource="jobs", code="201") == 1
    cluster.kubelet.holds = False
    pod.await_value(1, "conversions", phase="Pulling")
    assert pod.value("conversions", phase="Succeeded") == 0
    assert pod.value("attempt_seconds_count", result="succeeded") == 0


def _ends(cluster: Cluster, pod: Pod) -> None:
    """The second one has the volume of the first."""
    cluster.gate.opened.set()
    pod.await_value(2, "conversions", phase="Succeeded")
    pod.await_value(2, "conversion_events_total", reason="Converted")
    assert pod.value("attempt_seconds_count", result="succeeded") == 2
    assert pod.total("pending_conversions") == 0
    assert pod.value("running_jobs", node="one") == 0
    (block,) = cluster.status("web")["blocks"]
    assert pod.value(VOLUME, role="root") == block["sizeBytes"] == pod.value("shared_volumes_bytes")
    cluster.client.ask("DELETE", "/apis/turnout.dev/v1alpha1/namespaces/shop/imageconversions/more")
    pod.await_value(0, "shared_volumes_bytes")
    assert pod.value(VOLUME, role="root") == block["sizeBytes"]


def _fails(cluster: Cluster, pod: Pod) -> None:
    cluster.convert("none", f"{cluster.gate.host}/shop/web:none")
    pod.await_value(1, "pending_conversions", reason="Retrying")
    pod.await_value(1, "conversions", phase="Failed")
    pod.await_value(1, "conversion_events_total", reason="ConversionFailed")
    assert pod.value("conversion_events_total", reason="Retrying") == 1
    assert pod.value("conversion_events_total", reason="Started") == 4
    assert pod.value("attempt_seconds_count", result="failed") == 2
    cluster.convert("wrong", "registry.example.com/web:1", virtualSizeByGB=1)
    pod.await_value(2, "conversions", phase="Failed")
    pod.await_value(1, "conversion_events_total", reason="InvalidSpec")
    assert pod.value("reconcile_seconds_count") > 5
    assert pod.total("reconcile_errors_total") == 0
    now_s = time.time()
    for resource in ("imageconversions", "jobs", "nodes"):
        assert now_s - 300 < pod.value("watch_heard_timestamp_seconds", resource=resource) <= now_s
    assert pod.value("process_resident_memory_bytes") > 1e6


def _says_no_name_and_no_message(cluster: Cluster, pod: Pod) -> None:
    """Of all that users write; and figures are many for many nodes alone."""
    text = pod.ask("metrics", "/metrics")[2]
    written = json.dumps(cluster.client.get("/apis/turnout.dev/v1alpha1/imageconversions"))
    for secret in ("shop", "web", cluster.gate.host, "MANIFEST_UNKNOWN", "virtualSizeByGB"):
        assert secret in written
        assert secret not in text
    assert len(pod.scrape()) < 400


def test_one_that_waits_for_the_lease(cluster: Cluster) -> None:
    """It is ready, and tells of itself alone; what the first one knew, it knows once it leads."""
    first, second = Pod(), Pod()
    leader = cluster.start_controller(*first.options())
    first.await_value(1, "leading")
    cluster.start_controller(*second.options())
    await_that("the second one is ready", lambda: second.probe("readiness")[0] == 200)
    cluster.convert("web", cluster.gate.add("1"))
    first.await_value(1, "conversions", phase="Succeeded")
    assert (second.value("leading"), second.value("conversions", phase="Succeeded")) == (0, -1)
    assert second.value("requests_total", method="WATCH", resource="imageconversions", code="200") >= 1
    leader.kill()
    leader.wait()
    second.await_value(1, "conversions", phase="Succeeded")
    assert second.value("leading") == 1
    assert second.value("conversion_events_total", reason="Converted") == 0  # the first one did it


def test_an_api_server_that_goes_and_comes_back(cluster: Cluster) -> None:
    pod = Pod()
    cluster.start_controller(*pod.options())
    pod.await_value(1, "leading")
    cluster.plane.restart()
    await_that("watches go on", lambda: pod.total("watch_restarts_total", reason="broken") >= 3)
    assert pod.probe("liveness")[0] == pod.probe("readiness")[0] == 200
    cluster.convert("web", cluster.gate.add("1"))
    pod.await_value(1, "conversions", phase="Succeeded")


def test_a_job_that_the_server_refuses(cluster: Cluster) -> None:
    pod = Pod()
    cluster.start_controller("--image=", *pod.options())
    cluster.convert("web", cluster.gate.add("1"))
    pod.await_value(1, "pending_conversions", reason="JobRefused")
    assert pod.value("reconcile_errors_total", action="create_job") >= 1
    assert pod.value("requests_total", method="POST", resource="jobs", code="422") >= 1
    assert pod.value("conversion_events_total", reason="Started") == 0
    assert cluster.client.get(JOBS)["items"] == []


def test_an_api_server_that_never_answers(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alive, and not ready: another process would not mend it."""

    def nowhere(client: Client, path: Path) -> Path:
        return _kubeconfig(Client("https://127.0.0.1:1", client.authority, client.token), path)

    _kubeconfig = Client.kubeconfig
    monkeypatch.setattr(Client, "kubeconfig", nowhere)
    pod = Pod()
    cluster.start_controller(*pod.options())
    await_that("it is not ready", lambda: pod.probe("readiness")[0] == 500)
    assert pod.probe("readiness")[1].splitlines() == [
        "imageconversions: not listed yet",
        "jobs: not listed yet",
        "nodes: not listed yet",
    ]
    assert pod.probe("liveness") == (200, "ok\n")
    assert pod.value("leading") == 0
    assert pod.value("watch_heard_timestamp_seconds", resource="jobs") == 0
    await_that(
        "requests are counted", lambda: pod.value("requests_total", method="GET", resource="leases", code="none") > 0
    )


def test_the_examples_name_what_the_deployment_has() -> None:
    template = deployment()["spec"]["template"]
    ports = {port["name"] for port in container()["ports"]}
    assert {container()[f"{name}Probe"]["httpGet"]["port"] for name in ("liveness", "readiness", "startup")} <= ports
    monitor, policy = (
        yaml.safe_load((MANIFEST.parent / f"image-controller-{name}.yaml").read_text())
        for name in ("podmonitor", "networkpolicy")
    )
    for selector in (monitor["spec"]["selector"], policy["spec"]["podSelector"]):
        assert selector["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert [one["port"] for one in monitor["spec"]["podMetricsEndpoints"]] == ["metrics"]
    assert [one["port"] for one in policy["spec"]["ingress"][0]["ports"]] == ["metrics"]


@pytest.mark.parametrize("whose", ["image-controller", "image-nodes"])
def test_the_network_policy_is_one(whose: str, cluster: Cluster) -> None:
    document = yaml.safe_load((MANIFEST.parent / f"{whose}-networkpolicy.yaml").read_text())
    path = "/apis/networking.k8s.io/v1/namespaces/turnout-system/networkpolicies"
    cluster.client.create(path, document)
    cluster.client.ask("DELETE", f"{path}/{document['metadata']['name']}")
