"""Which nodes convert, and which of them gets a conversion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from agents.imagecontroller import wire
from agents.imagecontroller.translate.jobs import Settings
from agents.imagecontroller.wire import Object


class Nodes:
    """Those of the cluster, with how many conversions each has (`load`) and which have a Job that has not ended."""

    def __init__(
        self, nodes: Iterable[Object], load: Iterable[str], busy: Iterable[str], settings: Settings, now_s: float
    ) -> None:
        nodes = tuple(nodes)
        self._fit = {wire.name_of(node) for node in nodes if _is_fit(node, settings)}
        self._lost_at_s = {wire.name_of(node): _lost_at_s(node, settings) for node in nodes}
        self._now_s = now_s
        self._load, self._busy = Counter(load), set(busy)

    @property
    def count(self) -> int:
        """Of those that convert."""
        return len(self._fit)

    @property
    def are_there(self) -> bool:
        return bool(self._fit)

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
    labels = wire.labels_of(node)
    has_labels = all(labels.get(name) == value for name, value in settings.node_labels)
    spec: Object = node.get("spec") or {}
    is_open = not spec.get("unschedulable", False)
    return has_labels and is_open and wire.is_true(node, "Ready") and not wire.is_leaving(node)


def _lost_at_s(node: Object, settings: Settings) -> float:
    ready = wire.condition(node, "Ready")
    if ready is None or ready.get("status") == "True":
        return float("inf")
    return wire.seconds(str(ready.get("lastTransitionTime", ""))) + settings.node_patience_s
