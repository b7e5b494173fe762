"""`turnout crds` held against a real kube-apiserver: examples that it takes and gives back, and what it refuses."""

from __future__ import annotations

import copy
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from typer.testing import CliRunner

from cli.main import app
from compiler.policy.kinds import API_VERSION
from compiler.policy.loading import Loaded, load, load_text
from tests.kubernetes.controlplane import Client, ControlPlane, Object, RefusedError

pytestmark = [pytest.mark.slow, pytest.mark.peer]

EXAMPLES: Final = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
KINDS: Final = {
    "Network": "networks",
    "Node": "nodes",
    "Device": "devices",
    "Workload": "workloads",
    "DpuService": "dpuservices",
    "MeshRedirect": "meshredirects",
    "StorageSteering": "storagesteerings",
    "ImageConversion": "imageconversions",
}
OF_CLUSTER: Final = ("Network", "Node", "Device")


def documents(path: Path) -> list[Object]:
    found = [document for document in yaml.safe_load_all(path.read_text()) if document]
    return [document for document in found if document["apiVersion"] == API_VERSION]


def path_of(kind: str, namespace: str = "default") -> str:
    root = f"/apis/{API_VERSION}"
    return f"{root}/{KINDS[kind]}" if kind in OF_CLUSTER else f"{root}/namespaces/{namespace}/{KINDS[kind]}"


def place(document: Object) -> str:
    return path_of(document["kind"], document["metadata"].get("namespace", "default"))


def need_namespace(client: Client, name: str) -> None:
    if client.find(f"/api/v1/namespaces/{name}") is None:
        client.create("/api/v1/namespaces", {"metadata": {"name": name}})


def conditions(client: Client, name: str) -> dict[str, str]:
    found = client.get(f"{DEFINITIONS}/{name}").get("status", {}).get("conditions", [])
    return {condition["type"]: condition["status"] for condition in found}


@pytest.fixture
def cluster(running: ControlPlane, turnout_kinds: None) -> Generator[Client]:
    """With our kinds, and none of their objects, before and after."""
    yield running.client
    for kind, plural in KINDS.items():
        for item in running.client.get(f"/apis/{API_VERSION}/{plural}")["items"]:
            running.client.ask("DELETE", f"{place({**item, 'kind': kind})}/{item['metadata']['name']}")


def test_all_kinds_are_established_and_structural(cluster: Client) -> None:
    for plural in KINDS.values():
        found = conditions(cluster, f"{plural}.turnout.dev")
        assert found == {"NamesAccepted": "True", "Established": "True"}


def test_applying_them_again_changes_nothing(cluster: Client) -> None:
    for definition in yaml.safe_load_all(CliRunner().invoke(app, ["crds"]).stdout):
        path = f"{DEFINITIONS}/{definition['metadata']['name']}"
        before = cluster.get(path)["metadata"]["generation"]
        assert cluster.apply(path, definition)["metadata"]["generation"] == before


def test_every_kind_is_described(cluster: Client) -> None:
    """What `kubectl explain` shows."""
    for plural in KINDS.values():
        schema = cluster.get(f"{DEFINITIONS}/{plural}.turnout.dev")["spec"]["versions"][0]["schema"]
        assert schema["openAPIV3Schema"]["description"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_taken_and_given_back(example: Path, cluster: Client) -> None:
    """What the server has made of them is the same policy as the file."""
    written = documents(example)
    for document in written:
        need_namespace(cluster, document["metadata"].get("namespace", "default"))
        cluster.create(place(document), document)
    back = [cluster.get(f"{place(document)}/{document['metadata']['name']}") for document in written]
    assert all("resourceVersion" in one["metadata"] for one in back)
    assert shown(load_text(yaml.safe_dump_all(back))) == shown(load_text(yaml.safe_dump_all(written)))
    assert not load([example]).is_refused


def shown(loaded: Loaded) -> tuple[Any, list[str]]:
    """Places are left out of the comparison of policies; of diagnostics what they say."""
    return loaded.policies, [diagnostic.message for diagnostic in loaded.diagnostics]


def good(kind: str) -> Object:
    """The first one of the examples; an image conversion is in none."""
    if kind == "ImageConversion":
        spec = {"sourceImage": "registry.example.com/shop/web:1", "platforms": ["linux/arm64"]}
        metadata = {"name": "web", "namespace": "default"}
        return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
    found = (document for path in EXAMPLES for document in documents(path) if document["kind"] == kind)
    return {"spec": {}, **next(found)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_one_of_each_kind(kind: str, cluster: Client) -> None:
    document = good(kind)
    need_namespace(cluster, document["metadata"].get("namespace", "default"))
    created = cluster.create(place(document), {**document, "status": {}})
    assert created["spec"] == document["spec"]


WRONG: Final[list[tuple[str, list[str | int], Any, str]]] = [
    ("Network", ["vni"], 0, "spec.vni"),
    ("Network", ["vni"], 1 << 24, "spec.vni"),
    ("Network", ["vni"], "seven", "spec.vni"),
    ("Network", ["vni"], None, "spec.vni"),
    ("Network", ["cidrs"], [], "spec.cidrs"),
    ("Network", ["cidrs"], ["10.0.0.0"], "spec.cidrs[0]"),
    ("Network", ["cidrs"], "10.0.0.0/8", "spec.cidrs"),
    ("Network", ["gateways"], ["10.0.0.1", "fd00::1", "10.0.0.2"], "spec.gateways"),
    ("Network", ["mtu"], 1279, "spec.mtu"),
    ("Network", ["id"], 65_536, "spec.id"),
    ("Node", ["addresses"], ["10.0.0.0.1"], "spec.addresses[0]"),
    ("Device", ["profile"], "vpp", "spec.profile"),
    ("Device", ["node"], "Node_One", "spec.node"),
    ("Device", ["deviceId"], 0, "spec.deviceId"),
    ("Device", ["ports", 0, "type"], "trunk", "spec.ports[0].type"),
    ("Device", ["ports", 0, "id"], 512, "spec.ports[0].id"),
    ("Device", ["ports", 0, "vlan"], 4095, "spec.ports[0].vlan"),
    ("Device", ["underlay", "mac"], "02-00:00:00:00:01", "spec.underlay.mac"),
    ("Device", ["underlay", "address"], "192.168.50.1", "spec.underlay.address"),
    ("Workload", ["type"], "Container", "spec.type"),
    ("Workload", ["addresses"], ["10.1.0.1", "fd00::1", "10.1.0.2"], "spec.addresses"),
    ("Workload", ["addresses"], ["here"], "spec.addresses[0]"),
    ("DpuService", ["type"], "NodeProxy", "spec.type"),
    ("DpuService", ["ports"], [], "spec.ports"),
    ("DpuService", ["ports", 0, "port"], 65_536, "spec.ports[0].port"),
    ("DpuService", ["ports", 0, "protocol"], "ICMP", "spec.ports[0].protocol"),
    ("DpuService", ["algorithm"], "Fastest", "spec.algorithm"),
    ("DpuService", ["selector"], {"app": 7}, "spec.selector.app"),
    ("DpuService", ["backends"], [{"address": "10.1.0.1", "weight": 101}], "spec.backends[0].weight"),
    ("DpuService", ["sourceRanges"], {"allow": ["all"]}, "spec.sourceRanges.allow[0]"),
    ("MeshRedirect", ["failure"], "ajar", "spec.failure"),
    ("MeshRedirect", ["limit"], {"burst": 7}, "spec.limit.connectionsPerSecond"),
    ("MeshRedirect", ["httpPorts"], [0], "spec.httpPorts[0]"),
    ("MeshRedirect", ["outbound"], {"include": [{"ports": [True]}]}, "spec.outbound.include[0].ports[0]"),
    ("StorageSteering", ["transport"], "FC", "spec.transport"),
    ("StorageSteering", ["burst"], 1, "spec.burst"),
    ("StorageSteering", ["class"], ["EF"], "spec.class"),
    ("StorageSteering", ["targets", 0, "health"], "ill", "spec.targets[0].health"),
    ("ImageConversion", ["sourceImage"], None, "spec.sourceImage"),
    ("ImageConversion", ["imageMode"], "squashfs", "spec.imageMode"),
    ("ImageConversion", ["virtualSizeByGB"], 0, "spec.virtualSizeByGB"),
    ("ImageConversion", ["compression"], "lz5", "spec.compression"),
    ("ImageConversion", ["platforms"], ["arm64"], "spec.platforms[0]"),
    ("ImageConversion", ["signedBy"], ["key"] * 11, "spec.signedBy"),
]


@pytest.mark.parametrize(("kind", "where", "value", "field"), WRONG, ids=lambda part: str(part)[:40])
def test_wrong_ones_are_refused_by_field(
    kind: str, where: list[str | int], value: Any, field: str, cluster: Client
) -> None:
    """None stands for a field that is missing."""
    document = copy.deepcopy(good(kind))
    need_namespace(cluster, document["metadata"].get("namespace", "default"))
    part: Any = document["spec"]
    for step in where[:-1]:
        part = part[step]
    part[where[-1]] = value
    if value is None:
        del part[where[-1]]
    with pytest.raises(RefusedError) as refused:
        cluster.create(place(document), document)
    assert (refused.value.code, refused.value.reason) == (422, "Invalid")
    assert field in refused.value.fields
    assert load_text(yaml.safe_dump(document)).is_refused


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_fields_are_refused_where_that_is_asked_for(kind: str, cluster: Client) -> None:
    document = copy.deepcopy(good(kind))
    need_namespace(cluster, document["metadata"].get("namespace", "default"))
    document["spec"]["unheardOf"] = 1
    with pytest.raises(RefusedError, match=r'unknown field "spec.unheardOf"'):
        cluster.create(place(document), document)


def test_what_get_shows(cluster: Client) -> None:
    """Columns of `kubectl get imgc`; a status is written through its subresource alone."""
    place_ = path_of("ImageConversion")
    cluster.create(place_, good("ImageConversion"))
    status = {"phase": "Pulling", "progress": 40, "ready": False, "node": "one"}
    assert "status" not in cluster.merge(f"{place_}/web", {"status": status})
    assert cluster.merge(f"{place_}/web/status", {"status": status})["status"] == status
    with pytest.raises(RefusedError) as refused:
        cluster.merge(f"{place_}/web/status", {"status": {"progress": 101}})
    assert refused.value.fields == ["status.progress"]
    table = cluster.ask("GET", place_, accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    names = [column["name"] for column in table["columnDefinitions"]]
    assert names == ["Name", "Source", "Phase", "Progress", "Ready", "Node", "Nodes", "Adopted", "Age"]
    assert table["rows"][0]["cells"][:6] == ["web", "registry.example.com/shop/web:1", "Pulling", 40, False, "one"]


def test_short_names_are_told_apart(cluster: Client) -> None:
    found = cluster.get(f"/apis/{API_VERSION}")["resources"]
    short = [name for resource in found for name in resource.get("shortNames", ())]
    assert len(short) == len(set(short)) == len(KINDS)
    assert {resource["name"] for resource in found if not resource["namespaced"] and "/" not in resource["name"]} == {
        KINDS[kind] for kind in OF_CLUSTER
    }
