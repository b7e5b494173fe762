"""CustomResourceDefinitions (apiextensions.k8s.io/v1) of the kinds of turnout.dev, made from the models.

What the models cannot say is written here: how `kubectl` calls a kind for short, and what `kubectl get` shows of it.
Called by `turnout crds`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from compiler.policy.kinds import API_VERSION
from compiler.policy.model import Model, NamespacedKind
from compiler.policy.structural import Schema, structural_schema
from compiler.policy.validation import MODELS

_GROUP, _VERSION = API_VERSION.split("/")


@dataclass(frozen=True, slots=True)
class Column:
    """What `kubectl get` shows: where it is in an object, and of which type; `wide` only with `-o wide`."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Names:
    """What kubectl knows a kind by, besides its own name. By `selectable` fields whoever lists or watches may choose
    (from Kubernetes 1.31; earlier ones leave that out)."""

    short: tuple[str, ...]
    columns: tuple[Column, ...] = ()
    selectable: tuple[str, ...] = ()


_AGE: Final = Column("Age", ".metadata.creationTimestamp", "date")
_NETWORK: Final = Column("Network", ".spec.network")
NAMES: Final[dict[str, Names]] = {
    "Network": Names(("tnet",), (Column("VNI", ".spec.vni", "integer"), Column("CIDR", ".spec.cidrs[0]"))),
    "Node": Names(("tnode",)),
    "Device": Names(
        ("tdev",),
        (
            Column("Node", ".spec.node"),
            Column("Profile", ".spec.profile"),
            Column("Address", ".spec.address", wide=True),
        ),
    ),
    "Workload": Names(
        ("twl",),
        (
            Column("Type", ".spec.type"),
            _NETWORK,
            Column("Node", ".spec.node"),
            Column("Address", ".spec.addresses[0]"),
        ),
    ),
    "DpuService": Names(("dsvc",), (Column("Type", ".spec.type"), _NETWORK, Column("Address", ".spec.addresses[0]"))),
    "MeshRedirect": Names(("meshr",), (_NETWORK, Column("Failure", ".spec.failure"))),
    "StorageSteering": Names(
        ("steer",), (_NETWORK, Column("Transport", ".spec.transport"), Column("Rate", ".spec.rate", wide=True))
    ),
    "ImageConversion": Names(
        ("imgc",),
        (
            Column("Source", ".spec.sourceImage"),
            Column("Phase", ".status.phase"),
            Column("Progress", ".status.progress", "integer"),
            Column("Ready", ".status.ready", "boolean"),
            Column("Node", ".status.node", wide=True),
            Column("Nodes", ".status.adoption.nodes", "integer", wide=True),
            Column("Adopted", ".status.adoption.adopted", "integer", wide=True),
        ),
        selectable=(".status.ready",),
    ),
}


def definitions() -> tuple[dict[str, Any], ...]:
    """One for each kind, in the order of docs/policies.md."""
    own = {kind: model for (api_version, kind), model in MODELS.items() if api_version == API_VERSION}
    return tuple(_definition(kind, model, NAMES[kind]) for kind, model in own.items())


def _definition(kind: str, model: type[Model], names: Names) -> dict[str, Any]:
    singular, plural = kind.lower(), f"{kind.lower()}s"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{_GROUP}"},
        "spec": {
            "group": _GROUP,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": singular,
                "shortNames": list(names.short),
                "categories": ["turnout"],
            },
            "scope": "Namespaced" if issubclass(model, NamespacedKind) else "Cluster",
            "versions": [_version(model, names)],
        },
    }


def _version(model: type[Model], names: Names) -> dict[str, Any]:
    return {
        "name": _VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _schema(model)},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(column) for column in (*names.columns, _AGE)],
        **({"selectableFields": [{"jsonPath": path} for path in names.selectable]} if names.selectable else {}),
    }


def _schema(model: type[Model]) -> Schema:
    """An object's own schema. Of metadata the API server checks everything itself, and wants nothing said."""
    schema = structural_schema(model)
    parts = schema["properties"]
    envelope = {name: {"type": "string"} for name in ("apiVersion", "kind")} | {"metadata": {"type": "object"}}
    return {
        "description": schema["description"],
        "type": "object",
        "required": [name for name in schema["required"] if name not in envelope],
        "properties": envelope | {name: part for name, part in parts.items() if name not in envelope},
    }


def _column(column: Column) -> dict[str, Any]:
    found: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.path}
    return {**found, "priority": 1} if column.wide else found
