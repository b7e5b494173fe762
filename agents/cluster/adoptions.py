"""What nodes tell of the images that they have adopted, and how it is added up: one ConfigMap a node.

A node writes its own when something has changed, a few times a minute at most; so an ImageConversion, which every node
watches, changes as seldom, however many nodes there are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from agents.cluster import objects
from agents.cluster.objects import Object

LABEL: Final = "turnout.dev/adoptions"
NODE_KEY: Final = "node"
REPORT_KEY: Final = "adoptions"
MOST_MESSAGE_CHARACTERS: Final = 200
_MOST_NAMED: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Of one ImageConversion by one node: `content` is what it is to have, and why it has not, empty where it has."""

    content: str
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """How many `nodes` an ImageConversion concerns, how many of them have what it says, and what keeps some others."""

    nodes: int
    adopted: int
    problems: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        told = f"{self.adopted} of {self.nodes} nodes have adopted it"
        return "; ".join((told, *self.problems))


def content_of(conversion: Object) -> str:
    """What is to be adopted, in short: images and volumes by digest. The same until something else was converted."""
    status = objects.status_of(conversion)
    images = sorted(str(one.get("digest")) for one in status.get("images") or ())
    volumes = sorted(str(one.get("name")) for one in status.get("blocks") or ())
    return sha256(json.dumps([images, volumes]).encode()).hexdigest()[:16]


def report(namespace: str, node: Object, told: Mapping[str, Told]) -> Object:
    """The node's ConfigMap; it goes with the node."""
    text = {
        uid: {"content": one.content, **({"problem": one.problem[:MOST_MESSAGE_CHARACTERS]} if one.problem else {})}
        for uid, one in sorted(told.items())
    }
    name = objects.name_of(node)
    owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": objects.uid_of(node)}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": report_name(name),
            "namespace": namespace,
            "labels": {LABEL: "true"},
            "ownerReferences": [owner],
        },
        "data": {NODE_KEY: name, REPORT_KEY: json.dumps(text)},
    }


def report_name(node: str) -> str:
    return f"adoptions-{node}"


def add_up(conversions: Iterable[Object], reports: Iterable[Object], nodes: Iterable[str]) -> dict[str, Adopted]:
    """By uid of the ImageConversion, for those that any node tells of. What nodes tell that are gone does not count."""
    wanted = {objects.uid_of(one): content_of(one) for one in conversions}
    names = frozenset(nodes)
    there, adopted, problems = dict[str, int](), dict[str, int](), dict[str, list[str]]()
    for node, told in sorted(_parsed(one) for one in reports):
        if node not in names:
            continue
        for uid, one in told.items():
            if uid not in wanted:
                continue
            there[uid] = there.get(uid, 0) + 1
            if one.content == wanted[uid] and not one.problem:
                adopted[uid] = adopted.get(uid, 0) + 1
            elif one.problem and len(problems.setdefault(uid, [])) < _MOST_NAMED:
                problems[uid].append(f"{node}: {one.problem}")
    return {
        uid: Adopted(nodes=count, adopted=adopted.get(uid, 0), problems=tuple(problems.get(uid, ())))
        for uid, count in there.items()
    }


def _parsed(found: Object) -> tuple[str, dict[str, Told]]:
    """Of what cannot be read, nothing."""
    data: Mapping[str, Any] = found.get("data") or {}
    try:
        plain = json.loads(data.get(REPORT_KEY, "{}"))
        told = {
            str(uid): Told(content=str(one["content"]), problem=str(one.get("problem", "")))
            for uid, one in plain.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        return "", {}
    return str(data.get(NODE_KEY, "")), told
