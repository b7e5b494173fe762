"""An agent's metrics: their registry and the beginning of their names, with figures of the process beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily


class Families:
    """Names come without `prefix`; of counters without `_total`."""

    def __init__(self, prefix: str) -> None:
        disable_created_metrics()
        self.registry = CollectorRegistry()
        self._prefix = prefix
        ProcessCollector(registry=self.registry)

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, namespace=self._prefix, registry=self.registry)

    def histogram(self, name: str, text: str, *labels: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(name, text, labels, namespace=self._prefix, registry=self.registry, buckets=buckets)

    def gauge(self, name: str, text: str, value: float) -> GaugeMetricFamily:
        """For a collector to tell, as `by_labels` is."""
        return GaugeMetricFamily(f"{self._prefix}_{name}", text, value=value)

    def by_labels(
        self, name: str, text: str, labels: Sequence[str], values: Iterable[tuple[Sequence[str], float]] = ()
    ) -> GaugeMetricFamily:
        found = GaugeMetricFamily(f"{self._prefix}_{name}", text, labels=labels)
        for of, value in values:
            found.add_metric(of, value)
        return found
