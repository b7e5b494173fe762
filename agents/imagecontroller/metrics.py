"""The controller's metrics, for Prometheus: counted as it tells what it does, and what there is, looked up when asked.

Names, units and labels are in docs/images.md; a test holds both to each other. Labels have few values: no names of
ImageConversions or images, no messages. Called by `turnout agent image-controller`; agents.metrics.server shows them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from agents.cluster.observing import Restart
from agents.imagecontroller.io.observing import Observer, Seen
from agents.imagecontroller.translate.counting import Counts
from agents.imagecontroller.translate.deciding import OCCASIONS, Action, CreateJob, DeleteJob, Tell, WriteStatus
from agents.metrics.families import Families

PREFIX: Final = "turnout_image_controller"
_REQUEST_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15)
_ATTEMPT_S: Final = (1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
_RESULTS: Final = {"Converted": "succeeded", "Retrying": "failed", "ConversionFailed": "failed"}
_ACTIONS: Final[Mapping[type[Action], str]] = {
    CreateJob: "create_job",
    DeleteJob: "delete_job",
    WriteStatus: "write_status",
    Tell: "tell",
}


class Metrics(Observer):
    """`registry` has everything."""

    def __init__(self) -> None:
        self._families = families = Families(PREFIX)
        self.registry, counter = families.registry, families.counter
        self._events = counter("conversion_events", "What happened to ImageConversions.", "reason")
        self._attempts = families.histogram(
            "attempt_seconds", "From a Job's start to its end.", "result", buckets=_ATTEMPT_S
        )
        self._requests = counter(
            "requests", "Requests to the API server, by its answer's code.", "method", "resource", "code"
        )
        self._request_seconds = families.histogram(
            "request_seconds", "How long they took; of watches, to begin.", "method", buckets=_REQUEST_S
        )
        self._restarts = counter("watch_restarts", "Watches that were begun again.", "resource", "reason")
        self._reconciles = families.histogram(
            "reconcile_seconds", "Deciding, and carrying out what was decided.", buckets=_REQUEST_S
        )
        self._failures = counter("reconcile_errors", "Actions that failed, to be tried again.", "action")
        for reason in OCCASIONS:
            self._events.labels(reason)
        for result in _RESULTS.values():
            self._attempts.labels(result)
        for action in _ACTIONS.values():
            self._failures.labels(action)

    def answered(self, method: str, resource: str, code: str, seconds: float) -> None:
        self._requests.labels(method, resource, code).inc()
        self._request_seconds.labels(method).observe(seconds)

    def watch_restarted(self, resource: str, why: Restart) -> None:
        self._restarts.labels(resource, why.value).inc()

    def reconciled(self, seconds: float) -> None:
        self._reconciles.observe(seconds)

    def action_failed(self, action: Action) -> None:
        self._failures.labels(_ACTIONS[type(action)]).inc()

    def told(self, event: Tell) -> None:
        self._events.labels(event.reason).inc()
        result = _RESULTS.get(event.reason)
        if result is not None and event.took_s is not None:
            self._attempts.labels(result).observe(event.took_s)

    def look_at(self, look: Callable[[], Seen]) -> None:
        """What there is then is told, from now on."""
        self.registry.register(_State(self._families, look))


class _State(Collector):
    """Asks nobody: it is what the controller knows."""

    def __init__(self, families: Families, look: Callable[[], Seen]) -> None:
        self._families, self._look = families, look

    def describe(self) -> Iterable[Metric]:
        """Nothing is looked at before somebody asks."""
        return ()

    def collect(self) -> Iterator[Metric]:
        seen = self._look()
        yield self._families.gauge("leading", "1 while this one acts.", seen.is_leading)
        yield self._by(
            "resource", "watch_heard_timestamp_seconds", "When the API server last told of them.", seen.heard_at_s
        )
        if seen.counts is not None:
            yield from self._counts(seen.counts)

    def _counts(self, counts: Counts) -> Iterator[Metric]:
        gauge = self._families.gauge
        yield self._by("phase", "conversions", "ImageConversions, by phase.", counts.conversions)
        yield self._by("reason", "pending_conversions", "Those in phase Pending.", counts.pending)
        yield self._by("node", "running_jobs", "Jobs that have not ended, of nodes with Jobs.", counts.running_jobs)
        yield gauge("nodes", "Nodes that may convert.", counts.nodes)
        yield self._by("role", "volumes_bytes", "Volumes, each on a node once.", counts.volume_bytes)
        yield gauge("shared_volumes_bytes", "What sharing volumes saves beside these.", counts.shared_bytes)

    def _by(self, label: str, name: str, text: str, values: Mapping[str, float]) -> Metric:
        return self._families.by_labels(name, text, (label,), [((key,), value) for key, value in values.items()])
