"""The adopter's metrics, for Prometheus. Names and units are in docs/images.md; a test holds both to each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from agents.cluster.observing import Restart
from agents.imageadopter.observing import Observer, Result, Seen
from agents.metrics.families import Families

PREFIX: Final = "turnout_image_adopter"
_REQUEST_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15)
_ADOPTION_S: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


class Metrics(Observer):
    """`registry` has everything."""

    def __init__(self) -> None:
        self._families = families = Families(PREFIX)
        self.registry, counter = families.registry, families.counter
        self._tries = counter("adoptions", "What came of adopting ImageConversions, and letting them go.", "result")
        self._adoption_seconds = families.histogram(
            "adoption_seconds", "From hearing of volumes until containers start from them.", buckets=_ADOPTION_S
        )
        self._requests = counter(
            "requests", "Requests to the API server, by its answer's code.", "method", "resource", "code"
        )
        self._request_seconds = families.histogram(
            "request_seconds", "How long they took; of watches, to begin.", "method", buckets=_REQUEST_S
        )
        self._restarts = counter("watch_restarts", "Watches that were begun again.", "resource", "reason")
        for result in Result:
            self._tries.labels(result.value)

    def answered(self, method: str, resource: str, code: str, seconds: float) -> None:
        self._requests.labels(method, resource, code).inc()
        self._request_seconds.labels(method).observe(seconds)

    def watch_restarted(self, resource: str, why: Restart) -> None:
        self._restarts.labels(resource, why.value).inc()

    def tried(self, result: Result) -> None:
        self._tries.labels(result.value).inc()

    def adopted(self, seconds: float) -> None:
        self._adoption_seconds.observe(seconds)

    def look_at(self, look: Callable[[], Seen]) -> None:
        """What there is then is told, from now on."""
        self.registry.register(_State(self._families, look))


class _State(Collector):
    """Asks nobody: it is what the adopter knows."""

    def __init__(self, families: Families, look: Callable[[], Seen]) -> None:
        self._families, self._look = families, look

    def describe(self) -> Iterable[Metric]:
        """Nothing is looked at before somebody asks."""
        return ()

    def collect(self) -> Iterator[Metric]:
        seen, gauge = self._look(), self._families.gauge
        yield gauge("wanted_conversions", "ImageConversions that concern this node.", seen.wanted)
        yield gauge("adopted_conversions", "Those of them that are here.", seen.adopted)
        heard = [((resource,), at_s) for resource, at_s in seen.heard_at_s.items()]
        text = "When the API server last told of them."
        yield self._families.by_labels("watch_heard_timestamp_seconds", text, ("resource",), heard)
