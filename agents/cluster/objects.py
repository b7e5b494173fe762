"""Objects of a cluster as the API server writes them, and where it has them.

Objects stay the dictionaries that JSON gives: of Jobs and Nodes a handful of fields is looked at. What is read of them
is read here, so that everybody agrees what a missing field means.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

Object = dict[str, Any]
"""Never changed by who is given one."""

CONVERSIONS: Final = "/apis/turnout.dev/v1alpha1/imageconversions"
NODES: Final = "/api/v1/nodes"


def configmaps_path(namespace: str, name: str = "") -> str:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    return f"{path}/{name}" if name else path


def conversion_path(namespace: str, name: str) -> str:
    return f"/apis/turnout.dev/v1alpha1/namespaces/{namespace}/imageconversions/{name}"


def events_path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/events"


def lease_path(namespace: str, name: str = "") -> str:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
    return f"{path}/{name}" if name else path


RESOURCES: Final = ("imageconversions", "jobs", "nodes", "events", "leases", "configmaps")
"""Plurals of what we ask for."""


def resource_of(path: str) -> str:
    """What kind a path below one of ours is about."""
    parts = path.strip("/").split("/")
    parts = parts[3 if parts[0] == "apis" else 2 :]
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        parts = parts[2:]
    return parts[0] if parts and parts[0] in RESOURCES else "other"


def name_of(found: Object) -> str:
    return str(found["metadata"]["name"])


def namespace_of(found: Object) -> str:
    return str(found["metadata"].get("namespace", ""))


def key_of(found: Object) -> str:
    return f"{namespace_of(found)}/{name_of(found)}"


def uid_of(found: Object) -> str:
    return str(found["metadata"]["uid"])


def generation_of(found: Object) -> int:
    return int(found["metadata"].get("generation", 0))


def version_of(found: Object) -> int:
    """resourceVersion, which grows with each change (comparable in all servers that we meet)."""
    text = str(found["metadata"].get("resourceVersion", ""))
    return int(text) if text.isdecimal() else 0


def label(found: Object, name: str) -> str:
    return labels_of(found).get(name, "")


def labels_of(found: Object) -> Mapping[str, str]:
    return found["metadata"].get("labels") or {}


def annotation(found: Object, name: str) -> str:
    annotations: Mapping[str, str] = found["metadata"].get("annotations") or {}
    return annotations.get(name, "")


def is_leaving(found: Object) -> bool:
    return bool(found["metadata"].get("deletionTimestamp"))


def status_of(found: Object) -> Mapping[str, Any]:
    return found.get("status") or {}


def condition(found: Object, kind: str) -> Mapping[str, Any] | None:
    """The condition of that type."""
    for one in status_of(found).get("conditions") or ():
        if one.get("type") == kind:
            return one
    return None


def is_true(found: Object, kind: str) -> bool:
    one = condition(found, kind)
    return one is not None and one.get("status") == "True"


def seconds(text: str) -> float:
    """Of RFC 3339, in seconds since 1970; 0 for what is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def timestamp(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_timestamp(at_s: float) -> str:
    """MicroTime (meta/v1)."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
