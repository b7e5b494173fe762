"""Which nodes convert, and which of them gets a conversion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from agents.cluster import objects
from agents.cluster.objects import Object
from agents.imagecontroller.translate.jobs import Settings


class Nodes:
    """Those of the cluster, with how many conversions each has (`load`) and which have a Job that has not ended."""

    def __init__(
        self, nodes: Iterable[Object], load: Iterable[str], busy: Iterable[str], settings: Settings, now_s: float
    ) -> None:
        nodes = tuple(nodes)
        self._fit = {objects.name_of(node) for node in nodes if _is_fit(node, settings)}
        self._servers = {objects.name_of(node): server_of(node, settings.volume_server) for node in nodes}
        self._lost_at_s = {objects.name_of(node): _lost_at_s(node, settings) for node in nodes}
        self._now_s = now_s
        self._load, self._busy = Counter(load), set(busy)

    @property
    def count(self) -> int:
        """Of those that convert."""
        return len(self._fit)

    @property
    def are_there(self) -> bool:
        return bool(self._fit)

    def server(self, name: str) -> str:
        """Where others read the node's volumes; empty where that is not known."""
        return self._servers.get(name, "")

    def has(self, name: str) -> bool:
        """It is of the cluster, ready or not."""
        return name in self._lost_at_s

    def is_gone(self, name: str) -> bool:
        """Its Job will not go on there: it has left, or has not been ready for too long."""
        return self.gone_at_s(name) <= self._now_s

    def gone_at_s(self, name: str) -> float:
        """When it counts as gone, unless it comes back before; infinite for one that is ready."""
        return self._lost_at_s.get(name, float("-inf"))

    def take(self, preferred: str) -> str | None:
        """A node without a Job, which has one from then on. `preferred` has layers already, so it is waited for."""
        free = ({preferred} if preferred in self._fit else self._fit) - self._busy
        if not free:
            return None
        found = min(free, key=lambda name: (self._load[name], name))
        self._busy.add(found)
        self._load[found] += 1
        return found


def _is_fit(node: Object, settings: Settings) -> bool:
    labels = objects.labels_of(node)
    has_labels = all(labels.get(name) == value for name, value in settings.node_labels)
    spec: Object = node.get("spec") or {}
    is_open = not spec.get("unschedulable", False)
    return has_labels and is_open and objects.is_true(node, "Ready") and not objects.is_leaving(node)


def _lost_at_s(node: Object, settings: Settings) -> float:
    ready = objects.condition(node, "Ready")
    if ready is None or ready.get("status") == "True":
        return float("inf")
    return objects.seconds(str(ready.get("lastTransitionTime", ""))) + settings.node_patience_s


def server_of(node: Object, template: str) -> str:
    """By the node's first InternalIP."""
    addresses: list[Mapping[str, str]] = objects.status_of(node).get("addresses") or []
    found = next((one.get("address", "") for one in addresses if one.get("type") == "InternalIP"), "")
    if not template or not found:
        return ""
    address = f"[{found}]" if ":" in found else found
    return template.replace("{address}", address).replace("{node}", objects.name_of(node))
