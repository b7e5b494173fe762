"""Backends near to a client: which nodes and zones each is meant for, and who gets which.

Kubernetes' own words and rules: `spec.trafficDistribution` of core/v1 Service, hints of discovery.k8s.io/v1
EndpointSlice (`forNodes`, `forZones`), and what kube-proxy makes of them (KEP-2433 and KEP-3015). Its EndpointSlice
controller writes the hints of a Service; those of a DpuService are told here, by the same rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeVar

from compiler.diagnostic import Report
from compiler.policy import codes
from compiler.span import Span

ZONE_LABEL: Final = "topology.kubernetes.io/zone"
"""Of a node (Kubernetes, well-known labels)."""
SAME_NODE: Final = "PreferSameNode"

DistributionWord = Literal["PreferSameZone", "PreferSameNode", "PreferClose"]
"""PreferClose is the older name of PreferSameZone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """The names of nodes and of zones whose clients a backend is meant for; none of a kind: it is not said."""

    nodes: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()


NO_HINTS: Final = Hints()


class Hinted(Protocol):
    @property
    def address(self) -> object: ...

    @property
    def hints(self) -> Hints: ...


T = TypeVar("T", bound=Hinted)
_KINDS: Final[tuple[Callable[[Hints], tuple[str, ...]], ...]] = (lambda hints: hints.nodes, lambda hints: hints.zones)


def preferred(backends: tuple[T, ...], node: str, zone: str) -> tuple[T, ...]:
    """Those that clients on a node in a zone get.

    The ones for their node if there are any, else the ones for their zone; but hints of a kind count only if every
    backend has some. Else all. So no client is without a backend because of them.
    """
    for place, names_of in zip((node, zone), _KINDS, strict=True):
        if all(names_of(backend.hints) for backend in backends):
            near = tuple(backend for backend in backends if place in names_of(backend.hints))
            if near:
                return near
    return backends


def hints_for(distribution: str | None, node: str, zone: str) -> Hints:
    """Of a backend on a node in a zone, either of which may be empty: not known. None asks for nothing."""
    if distribution is None:
        return NO_HINTS
    zones = (zone,) if zone else ()
    return Hints(nodes=(node,) if node and distribution == SAME_NODE else (), zones=zones)


def check_distribution(groups: Iterable[Sequence[Hinted]], advice: str, span: Span, report: Report) -> None:
    """Warn, once, where it has no effect. Each group is the ready backends of a port in a family."""
    for group in groups:
        if any(all(names_of(backend.hints) for backend in group) for names_of in _KINDS):
            continue
        unknown = next(backend.address for backend in group if not backend.hints.zones)
        message = f"trafficDistribution has no effect: nothing says which clients {unknown} is meant for"
        report.add(codes.IGNORED_FIELD, span, message, hint=advice)
        return
