"""The agent's metrics, for Prometheus: counted from events, and what there is, looked up when somebody asks.

Names, units and labels are in docs/images.md; a test holds both to each other. Serving them is agents.metrics.server's.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from prometheus_client import Counter, Histogram
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from agents.metrics.families import Families
from agents.storage.io.conversionrecords import records
from agents.storage.io.events import Event, Kind
from agents.storage.io.files import held_bytes
from agents.storage.io.volumefiles import SUFFIX
from agents.storage.snapshotter import Snapshotter
from agents.storage.volumestatus import HERE, VolumeStatus
from agents.storage.wire.errors import ImageError

PREFIX: Final = "turnout_storage"
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LOG: Final = logging.getLogger(__name__)


class Metrics:
    """A listener of events. `registry` has everything."""

    def __init__(self) -> None:
        self._families = families = Families(PREFIX)
        self.registry, counter = families.registry, families.counter
        self._calls = counter("calls", "Calls of the snapshots API, by method and gRPC code.", "method", "code")
        self._call_seconds = self._histogram("call_seconds", "How long they took.", "method")
        self._attach_seconds = self._histogram("attach_seconds", "How long it took to mount a volume.", "place")
        self._detached = counter("detached_volumes", "Volumes that nobody needed any more and were unmounted.")
        self._disks = counter("attached_disks", "Clones that were shown as disks.")
        self._fetched = counter(
            "fetched_bytes",
            "Bytes of volumes on other nodes that were seen to be here before a container asked.",
            "why",
        )
        self._preloaded = counter("preloaded_bytes", "Bytes of files that were brought into memory for a start.")
        self._copies = counter("copies", "Copies of such volumes that were all here, by what came of it.", "result")
        self._daemons = counter("daemon_starts", "Storage daemons that were started.", "purpose", "reason")
        self._layers = counter("cached_layers", "Layers that were put into the layer cache.")

    def _histogram(self, name: str, text: str, label: str) -> Histogram:
        return self._families.histogram(name, text, label, buckets=_SECONDS)

    def hear(self, event: Event) -> None:
        match event.kind:
            case Kind.CALLED:
                method = str(event.fields["method"])
                self._calls.labels(method, event.fields["code"]).inc()
                self._call_seconds.labels(method).observe(float(event.fields["seconds"]))
            case Kind.VOLUME_ATTACHED:
                place = "elsewhere" if event.fields["at"] else "here"
                self._attach_seconds.labels(place).observe(float(event.fields["seconds"]))
            case Kind.FETCHED:
                self._fetched.labels(event.fields["why"]).inc(float(event.fields["bytes"]))
            case Kind.PRELOADED:
                self._preloaded.inc(float(event.fields["bytes"]))
            case Kind.DAEMON_STARTED:
                self._daemons.labels(event.fields["purpose"], event.fields["reason"]).inc()
            case _:
                self._plain(event.kind).inc()

    def _plain(self, kind: Kind) -> Counter:
        return {
            Kind.VOLUME_DETACHED: self._detached,
            Kind.DISK_ATTACHED: self._disks,
            Kind.COPY_COMPLETED: self._copies.labels("completed"),
            Kind.COPY_REFUSED: self._copies.labels("refused"),
            Kind.LAYER_CACHED: self._layers,
        }[kind]

    def look_at(self, snapshots: Snapshotter, root: Path, store: Path, layer_cache: Path | None) -> None:
        """What there is of these is told, from now on."""
        self.registry.register(_State(self._families, snapshots, root, store, layer_cache))


class _State(Collector):
    """Asks no daemon and no other node, so that a scrape never waits for one."""

    def __init__(
        self, families: Families, snapshots: Snapshotter, root: Path, store: Path, layer_cache: Path | None
    ) -> None:
        self._families, self._snapshots = families, snapshots
        self._root, self._store, self._layer_cache = root, store, layer_cache

    def describe(self) -> Iterable[Metric]:
        """Nothing is looked at before somebody asks."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """What cannot be read is left out of this answer, and the last figure says so."""
        parts: tuple[Callable[[], Iterable[Metric]], ...] = (
            self._counts,
            self._volumes,
            self._caches,
            self._conversions,
        )
        failures = 0
        for part in parts:
            try:
                yield from part()
            except (ImageError, OSError, sqlite3.Error) as error:
                failures += 1
                _LOG.warning("metrics lack a part: %s", error)
        yield self._families.gauge("scrape_failures", "Parts of this answer that could not be read.", failures)

    def _counts(self) -> Iterable[Metric]:
        counts = [((kind.name.lower(),), count) for kind, count in self._snapshots.counts().items()]
        return (self._families.by_labels("snapshots", "Snapshots, by kind.", ("kind",), counts),)

    def _volumes(self) -> Iterable[Metric]:
        volumes = self._snapshots.volumes()

        def told(name: str, text: str, value: Callable[[VolumeStatus], float | None]) -> Metric:
            values = [((one.volume, one.role), value(one)) for one in volumes]
            known = [(labels, number) for labels, number in values if number is not None]
            return self._families.by_labels(name, text, ("volume", "role"), known)

        return (
            told("volume_size_bytes", "Size.", lambda one: one.size),
            told("volume_here_bytes", "How much of it is on this node.", lambda one: one.here),
            told("volume_elsewhere", "1 if it is read from another node.", lambda one: one.at != HERE),
            told("volume_attached", "1 if it is mounted, or a clone shown.", _is_attached),
            told("volume_images", "Names of images that have it.", lambda one: len(one.images)),
            told("volume_references", "Active snapshots and views above it.", _references),
            told("volume_clones", "Clones of a disk that wait to be taken.", _clones),
        )

    def _caches(self) -> Iterable[Metric]:
        gauge = self._families.gauge
        copies = _held_bytes((self._root / "copies").glob("*"))
        cached = () if self._layer_cache is None else self._layer_cache.glob(f"*/*/*{SUFFIX}")
        return (
            gauge("copies_bytes", "What copies of volumes on other nodes take on the disk.", copies),
            gauge("layer_cache_bytes", "What the layer cache takes on the disk.", _held_bytes(cached)),
        )

    def _conversions(self) -> Iterable[Metric]:
        """Also those of other processes: they write down how far they are."""
        labels = ("source", "mode", "destination", "phase")
        by_labels = self._families.by_labels
        found = by_labels("conversion_progress_ratio", "How much of its phase a conversion has done.", labels)
        running = by_labels("conversion_running", "1 while a process is at it.", labels[:3])
        for record in records(self._store):
            names = [record.wanted.source, record.wanted.mode, record.wanted.destination]
            found.add_metric([*names, record.phase], record.progress / 100)
            running.add_metric(names, record.is_running)
        return found, running


def _is_attached(volume: VolumeStatus) -> bool:
    return volume.use is not None and volume.use.attached


def _references(volume: VolumeStatus) -> int:
    return 0 if volume.use is None else len(volume.use.containers)


def _clones(volume: VolumeStatus) -> int | None:
    return None if volume.use is None else volume.use.pool


def _held_bytes(paths: Iterable[Path]) -> int:
    """Files that go meanwhile take nothing."""
    total = 0
    for path in paths:
        try:
            total += held_bytes(path.stat())
        except FileNotFoundError:
            continue
    return total
