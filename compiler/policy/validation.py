"""From a document's nodes to a validated object of the right kind.

Decides by apiVersion and kind, opens lists, and leaves to `compiler.policy.refusals` the words for what a model
refused. Kubernetes objects that are not about services are named and passed over, so that a whole `kubectl get`
or a chart's output can be read.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic import ValidationError

from compiler.diagnostic import Report, did_you_mean, nearest
from compiler.policy import codes, imagekinds, kinds, kubernetes, meshkinds, networkpolicykinds, storagekinds
from compiler.policy.document import MappingNode, Node, ScalarNode, SequenceNode, node_to_plain
from compiler.policy.located import Located, Objects, find_entry, locate
from compiler.policy.model import Model
from compiler.policy.refusals import report_refusals
from compiler.policy.scalar import describe, shortened
from compiler.span import Span

MODELS: Final[dict[tuple[str, str], type[Model]]] = {
    (kinds.API_VERSION, "Network"): kinds.Network,
    (kinds.API_VERSION, "Node"): kinds.Node,
    (kinds.API_VERSION, "Device"): kinds.Device,
    (kinds.API_VERSION, "Workload"): kinds.Workload,
    (kinds.API_VERSION, "DpuService"): kinds.DpuService,
    (kinds.API_VERSION, "MeshRedirect"): meshkinds.MeshRedirect,
    (kinds.API_VERSION, "StorageSteering"): storagekinds.StorageSteering,
    (kinds.API_VERSION, "ImageConversion"): imagekinds.ImageConversion,
    ("v1", "Service"): kubernetes.KubernetesService,
    ("v1", "Namespace"): networkpolicykinds.Namespace,
    ("discovery.k8s.io/v1", "EndpointSlice"): kubernetes.EndpointSlice,
    ("networking.k8s.io/v1", "NetworkPolicy"): networkpolicykinds.NetworkPolicy,
}
_API_VERSIONS: Final = tuple(sorted({api_version for api_version, _ in MODELS}))

_CORE_KINDS: Final = frozenset(
    {"Binding", "ComponentStatus", "ConfigMap", "Endpoints", "Event", "LimitRange", "Node", "Pod"}
    | {"PersistentVolume", "PersistentVolumeClaim", "PodTemplate", "ReplicationController", "ResourceQuota"}
    | {"Secret", "ServiceAccount"}
)
_FOREIGN_GROUPS: Final = frozenset({"apps", "autoscaling", "batch", "policy"})
_TRAFFIC_KINDS: Final = frozenset(
    {"AdminNetworkPolicy", "BaselineAdminNetworkPolicy", "ClusterNetworkPolicy", "Ingress", "Gateway"}
    | {"HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "UDPRoute"}
)


def collect_objects(document: Node, objects: Objects, report: Report) -> None:
    """Validate a document, or each item of a list, into `objects`."""
    if not isinstance(document, MappingNode):
        words = describe(document.value) if isinstance(document, ScalarNode) else "a list"
        report.add(codes.NOT_AN_OBJECT, document.span, f"found {words}", expected="an object with apiVersion and kind")
        return
    api_version = _string_field(document, "apiVersion", report)
    kind = _string_field(document, "kind", report)
    if api_version is None or kind is None:
        return
    items = find_entry(document, "items")
    if kind.endswith("List") and items is not None:
        _collect_list(document, items.value, objects, report)
        return
    model = _model_of(document, api_version, kind, report)
    if model is not None:
        _collect_one(document, model, objects, report)


def _string_field(document: MappingNode, name: str, report: Report) -> str | None:
    entry = find_entry(document, name)
    span = locate(document, (name,))[1]
    if entry is None:
        report.add(codes.MISSING_FIELD, span, f"the object has no '{name}'", expected="apiVersion and kind")
        return None
    if isinstance(entry.value, ScalarNode) and isinstance(entry.value.value, str):
        return entry.value.value
    report.add(codes.WRONG_TYPE, span, f"{name}: found {describe(node_to_plain(entry.value))}", expected="a string")
    return None


def _collect_list(document: MappingNode, items: Node, objects: Objects, report: Report) -> None:
    for name, entry in document.entries.items():
        if name not in ("apiVersion", "kind", "metadata", "items"):
            hint = did_you_mean(name, ("apiVersion", "kind", "metadata", "items"))
            report.add(codes.UNKNOWN_FIELD, entry.span, f"a list has no field '{shortened(name)}'", hint=hint)
    if isinstance(items, SequenceNode):
        for item in items.items:
            collect_objects(item, objects, report)
    elif not (isinstance(items, ScalarNode) and items.value is None):
        report.add(codes.WRONG_TYPE, items.span, f"items: found {describe(node_to_plain(items))}", expected="a list")


def _model_of(document: MappingNode, api_version: str, kind: str, report: Report) -> type[Model] | None:
    model = MODELS.get((api_version, kind))
    if model is None and not _is_foreign(api_version, kind):
        _report_unknown(document, api_version, kind, report)
    elif model is None:
        _report_foreign(document, kind, report)
    return model


def _is_foreign(api_version: str, kind: str) -> bool:
    """Whether this is a Kubernetes object of its own right, rather than a kind of ours misspelt."""
    if api_version == "v1":
        return kind in _CORE_KINDS
    group, slash, _ = api_version.partition("/")
    if not slash or not (group in _FOREIGN_GROUPS or group.endswith(".k8s.io")):
        return False
    ours = [known for known_version, known in MODELS if known_version.partition("/")[0] == group]
    return not ours or nearest(kind, ours) is None


def _report_unknown(document: MappingNode, api_version: str, kind: str, report: Report) -> None:
    versions = [known for known, known_kind in MODELS if known_kind == kind]
    if versions:
        span = locate(document, ("apiVersion",))[1]
        message = f"{kind} is not known in apiVersion '{shortened(api_version)}'"
        report.add(codes.UNKNOWN_API_VERSION, span, message, expected=" or ".join(versions))
    elif api_version in _API_VERSIONS:
        known = [known_kind for known_version, known_kind in MODELS if known_version == api_version]
        span = locate(document, ("kind",))[1]
        message = f"'{shortened(kind)}' is not a kind of {api_version}"
        report.add(codes.UNKNOWN_KIND, span, message, expected=", ".join(known), hint=did_you_mean(kind, known))
    else:
        hint = did_you_mean(api_version, _API_VERSIONS)
        message = f"apiVersion '{shortened(api_version)}' is not known"
        expected = ", ".join(_API_VERSIONS)
        span = locate(document, ("apiVersion",))[1]
        report.add(codes.UNKNOWN_API_VERSION, span, message, expected=expected, hint=hint)


def _report_foreign(document: MappingNode, kind: str, report: Report) -> None:
    span: Span = locate(document, ("kind",))[1]
    if kind in _TRAFFIC_KINDS:
        report.add(codes.NOT_ENFORCED, span, f"{kind} is not enforced by Turnout: packets pass as if it were absent")
    else:
        report.add(codes.IGNORED_KIND, span, f"{kind} is not a policy of Turnout and is passed over")


def _collect_one(document: MappingNode, model: type[Model], objects: Objects, report: Report) -> None:
    plain: Any = node_to_plain(document)
    try:
        objects.add(Located(model.model_validate(plain), document))
    except ValidationError as error:
        report_refusals(error, model, document, report)
        objects.unreadable.add((plain["kind"], _raw_name(plain)))


def _raw_name(plain: dict[str, Any]) -> str:
    metadata = plain.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""  # pyright: ignore
