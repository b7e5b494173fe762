"""How much there is of what: ImageConversions by phase, Jobs by node, volumes. For figures.

What labels are made of is a list that is written here, but for names of nodes that have a Job: nobody who may write an
ImageConversion can make more of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agents.cluster import objects
from agents.cluster.objects import Object
from agents.imagecontroller import wire
from agents.imagecontroller.translate.deciding import World
from agents.imagecontroller.translate.jobs import Settings, how_it_ended
from agents.imagecontroller.translate.nodes import Nodes

PHASES: Final = ("Pending", "Pulling", "Converting", "Publishing", "Succeeded", "Failed")
NEW: Final = "New"
"""Nothing has been said of it yet."""
REASONS: Final = (NEW, "InProgress", "Waiting", "NoNode", "Replacing", "JobRefused", "Retrying")
"""Why a conversion is Pending."""
ROLES: Final = ("root", "changes", "layers", "disk")
OTHER: Final = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    conversions: Mapping[str, int]
    """By phase."""
    pending: Mapping[str, int]
    """By reason."""
    running_jobs: Mapping[str, int]
    """By node; of those that have a Job, ended or not."""
    nodes: int
    """That may convert."""
    volume_bytes: Mapping[str, int]
    """By role, each volume of a node once."""
    shared_bytes: int
    """What it would be more if ImageConversions shared no volumes."""


def count(world: World, settings: Settings, now_s: float) -> Counts:
    bytes_of, shared = _volumes(world.conversions)
    return Counts(
        conversions=_counted(PHASES, map(_phase, world.conversions)),
        pending=_counted(REASONS, (_reason(one) for one in world.conversions if _phase(one) == "Pending")),
        running_jobs=_running(world.jobs),
        nodes=Nodes(world.nodes, (), (), settings, now_s).count,
        volume_bytes=bytes_of,
        shared_bytes=shared,
    )


def _phase(conversion: Object) -> str:
    return str(objects.status_of(conversion).get("phase") or "Pending")


def _reason(conversion: Object) -> str:
    ready = objects.condition(conversion, "Ready")
    return NEW if ready is None else str(ready.get("reason"))


def _counted(known: Collection[str], found: Iterable[str]) -> dict[str, int]:
    """Zeros too, so that what has not happened yet can be asked for."""
    counts = Counter(one if one in known else OTHER for one in found)
    return dict.fromkeys(known, 0) | counts


def _running(jobs: Sequence[Object]) -> dict[str, int]:
    running: dict[str, int] = {}
    for job in jobs:
        node, (ended, _) = objects.annotation(job, wire.NODE_ANNOTATION), how_it_ended(job)
        running[node] = running.get(node, 0) + (not ended)
    return running


def _volumes(conversions: Iterable[Object]) -> tuple[dict[str, int], int]:
    sizes: dict[tuple[str, str], tuple[str, int]] = {}
    told = 0
    for conversion in conversions:
        status = objects.status_of(conversion)
        for block in status.get("blocks") or ():
            size = _size(block)
            told += size
            sizes[str(status.get("node")), str(block.get("name"))] = str(block.get("role")), size
    bytes_of: dict[str, int] = dict.fromkeys(ROLES, 0)
    for role, size in sizes.values():
        known = role if role in ROLES else OTHER
        bytes_of[known] = bytes_of.get(known, 0) + size
    return bytes_of, told - sum(bytes_of.values())


def _size(block: Mapping[str, Any]) -> int:
    size = block.get("sizeBytes")
    return size if isinstance(size, int) else 0
