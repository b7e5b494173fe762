"""The Job of one attempt at one generation of an ImageConversion, and what can be read off a Job later.

Its name follows from these alone, so whoever makes it twice is told that it is there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from agents.cluster import objects
from agents.cluster.objects import Object
from agents.imagecontroller import wire

_NAME_CHARACTERS: Final = 36
"""Of the conversion's name: with what follows at most 63, so that Pods can carry the Job's name as a label."""
CREDENTIALS_FOLDER: Final = "/etc/turnout/registry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What all Jobs have in common. `namespace` is theirs, whatever namespace the conversion is in: they mount a folder
    of the node, which few namespaces may."""

    namespace: str
    image: str
    store: str = "/var/lib/turnout/images"
    account: str = "turnout-conversion"
    registry_secret: str = ""
    """Of type kubernetes.io/dockerconfigjson, in the same namespace."""
    options: tuple[str, ...] = ()
    """More of `turnout image convert`."""
    node_labels: tuple[tuple[str, str], ...] = ()
    """Nodes that convert have all of them."""
    attempts: int = 5
    first_wait_s: float = 10.0
    longest_wait_s: float = 600.0
    node_patience_s: float = 300.0
    """How long a node may be not ready before its Job is given to another one."""
    kept_s: int = 3600
    """How long a finished Job stays, for who wants to read its log."""
    volume_server: str = ""
    """Where other nodes read what a node has: {address} is the node's, {node} its name. Empty where they do not."""


def job_name(conversion: Object, attempt: int) -> str:
    stem = objects.name_of(conversion)[:_NAME_CHARACTERS].rstrip("-.")
    uid = sha256(objects.uid_of(conversion).encode()).hexdigest()[:8]
    return f"{stem}-{uid}-{objects.generation_of(conversion)}-{attempt}"


def make_job(conversion: Object, attempt: int, node: str, settings: Settings) -> Object:
    name = job_name(conversion, attempt)
    labels = {
        "app.kubernetes.io/name": "turnout-conversion",
        wire.UID_LABEL: objects.uid_of(conversion),
        wire.GENERATION_LABEL: str(objects.generation_of(conversion)),
        wire.ATTEMPT_LABEL: str(attempt),
    }
    annotations = {wire.CONVERSION_ANNOTATION: objects.key_of(conversion), wire.NODE_ANNOTATION: node}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": settings.namespace, "labels": labels, "annotations": annotations},
        "spec": {
            # Attempts are counted here and not by the Job: the next one may be on another node.
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": settings.kept_s,
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": _pod(conversion, name, node, settings),
            },
        },
    }


def _pod(conversion: Object, job: str, node: str, settings: Settings) -> Object:
    has_secret = bool(settings.registry_secret)
    return {
        "restartPolicy": "Never",
        "serviceAccountName": settings.account,
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": _only(node)}},
        "containers": [_container(conversion, job, settings)],
        "volumes": [
            {"name": "store", "hostPath": {"path": settings.store, "type": "DirectoryOrCreate"}},
            {"name": "scratch", "emptyDir": {}},
            *([_secret(settings.registry_secret)] if has_secret else []),
        ],
    }


def _only(node: str) -> Object:
    """By name, as DaemonSets do: the label `kubernetes.io/hostname` may be another one."""
    match = {"key": "metadata.name", "operator": "In", "values": [node]}
    return {"nodeSelectorTerms": [{"matchFields": [match]}]}


def _secret(name: str) -> Object:
    items = [{"key": ".dockerconfigjson", "path": "config.json"}]
    return {"name": "registry", "secret": {"secretName": name, "items": items}}


def _container(conversion: Object, job: str, settings: Settings) -> Object:
    has_secret = bool(settings.registry_secret)
    credentials = ["--credentials", f"{CREDENTIALS_FOLDER}/config.json"] if has_secret else []
    arguments = ["--policy", policy_text(conversion), "--report", f"{settings.namespace}/{job}"]
    return {
        "name": "convert",
        "image": settings.image,
        "command": ["turnout", "image", "convert"],
        "args": [*arguments, "--store", settings.store, *credentials, *settings.options],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            # Root of the node owns the store; beyond that it needs nothing that root may do.
            "runAsUser": 0,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [
            {"name": "store", "mountPath": settings.store},
            {"name": "scratch", "mountPath": "/tmp"},
            *([{"name": "registry", "mountPath": CREDENTIALS_FOLDER, "readOnly": True}] if has_secret else []),
        ],
    }


def policy_text(conversion: Object) -> str:
    """The conversion as a policy file would have it: what it asks for, and nothing of what the cluster adds."""
    metadata = {"name": objects.name_of(conversion), "namespace": objects.namespace_of(conversion)}
    asked = {name: conversion[name] for name in ("apiVersion", "kind", "spec")}
    return json.dumps({**asked, "metadata": metadata}, sort_keys=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What a Job says."""

    job: Object
    number: int
    generation: int
    node: str
    is_leaving: bool
    ended: str
    """Complete, Failed, or empty while it goes on."""
    started_at_s: float
    """0 where it is not known, as `ended_at_s` while it goes on."""
    ended_at_s: float
    report: dict[str, Any] | None
    """A status, as the conversion wrote it last; None where there is none that can be read."""

    @property
    def took_s(self) -> float | None:
        """From its Job's start to its end, in whole seconds, as Kubernetes has them."""
        is_known = 0 < self.started_at_s <= self.ended_at_s
        return self.ended_at_s - self.started_at_s if is_known else None


def read_job(job: Object) -> Attempt:
    ended, at_s = how_it_ended(job)
    return Attempt(
        job=job,
        number=_number(objects.label(job, wire.ATTEMPT_LABEL)),
        generation=_number(objects.label(job, wire.GENERATION_LABEL)),
        node=objects.annotation(job, wire.NODE_ANNOTATION),
        is_leaving=objects.is_leaving(job),
        ended=ended,
        started_at_s=objects.seconds(str(objects.status_of(job).get("startTime", ""))),
        ended_at_s=at_s,
        report=_report(objects.annotation(job, wire.REPORT_ANNOTATION)),
    )


def how_it_ended(job: Object) -> tuple[str, float]:
    """Complete or Failed, and when; empty while it goes on."""
    for kind in ("Complete", "Failed"):
        found = objects.condition(job, kind)
        if found is not None and found.get("status") == "True":
            return kind, objects.seconds(str(found.get("lastTransitionTime", "")))
    return "", 0.0


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _report(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None  # pyright: ignore[reportUnknownVariableType]
