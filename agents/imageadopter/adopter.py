"""Has this node's store follow the ImageConversions of the cluster. Called by `turnout agent image-adopter`.

What the cluster says is watched; what is here is read from the store at every look. So it may be killed, or be away,
for as long as it likes: the next look finds what is missing, and what is over.
"""

from __future__ import annotations

import logging
import random
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Final

from agents.cluster import objects
from agents.cluster.adoptions import Told
from agents.cluster.apiserver import ApiServer
from agents.cluster.objects import Object
from agents.cluster.watching import Watched
from agents.imageadopter.observing import Observer, Result, Seen
from agents.imageadopter.pacing import Tries
from agents.imageadopter.reporting import Reporter
from agents.imageadopter.wanted import wanted_of
from agents.storage.clusteradoption import WantedAdoption, adopt_exactly, catalog_of, has_adopted, let_go
from agents.storage.io.adoptionrecords import AdoptionRecord, ImageKey, adoption_records
from agents.storage.io.nbdtls import NbdTls
from agents.storage.io.store import Store
from agents.storage.wire.errors import ImageError
from agents.storage.wire.remotes import CatalogImage, Server

_LOG: Final = logging.getLogger(__name__)
_LOOK_S: Final = 30.0
"""At the latest: somebody may have removed an image."""
_SETTLE_S: Final = 0.05
_AGAIN_S: Final = 5.0
_REFRESH_S: Final = 1800.0
"""Adopted again, since there may be new traces."""
STUCK_S: Final = 300.0
"""Without a sign of life. It looks each 30 s, and waits for no server or store longer than some seconds."""
_READY: Final = "status.ready=true"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`kept_s`: how long what nobody asks for any more stays, so that it is there when it was only converted anew, and
    a mistake that takes ImageConversions away for a moment has not every node begin anew."""

    node: str
    namespace: str
    store: Path
    tls: NbdTls | None = None
    jitter_s: float = 2.0
    kept_s: float = 300.0
    report_s: float = 10.0


class Adopter:
    def __init__(self, server: ApiServer, settings: Settings, observer: Observer) -> None:
        self._settings, self._observer, self._changed = settings, observer, Event()
        changed, itself = self._changed.set, f"metadata.name={settings.node}"
        self._conversions = Watched(server, objects.CONVERSIONS, changed, fields=_READY, observer=observer)
        self._nodes = Watched(server, objects.NODES, changed, fields=itself, observer=observer)
        self._reporter = Reporter(server, settings.namespace, settings.report_s)
        self._tries, self._over_since_s = Tries(settings.jitter_s), dict[str, float]()
        self._first_heard_s, self._fresh_s = dict[str, tuple[str, float]](), dict[str, float]()
        self._wanted, self._adopted = dict[str, WantedAdoption](), frozenset[str]()
        self._alive_at_s, self._threads = time.monotonic(), list[Thread]()

    def run(self, stop: Event) -> None:
        """Until `stop` is set; whoever sets it calls `wake`."""
        watched = (self._conversions, self._nodes)
        self._threads = [
            Thread(target=one.run, args=(stop,), name=f"watch of {one.resource}", daemon=True) for one in watched
        ]
        for thread in self._threads:
            thread.start()
        wait_s = _LOOK_S
        while not stop.is_set():
            self._alive_at_s = time.monotonic()
            self._changed.wait(wait_s)
            stop.wait(_SETTLE_S)
            self._changed.clear()
            wait_s = _LOOK_S
            node = self._node()
            if not stop.is_set() and node is not None and self._conversions.is_synced:
                wait_s = self._looked(node)

    def wake(self) -> None:
        self._changed.set()

    def _node(self) -> Object | None:
        """None before it is known, and where the cluster has no such node: then nothing is decided."""
        found = [one for one in self._nodes.objects() if objects.name_of(one) == self._settings.node]
        return found[0] if found and self._nodes.is_synced else None

    def stuck(self) -> Sequence[str]:
        """What only a new process would mend. Asked from other threads, as `unready` and `seen` are."""
        silent_s = time.monotonic() - self._alive_at_s
        silent = [f"nothing has been looked at for {silent_s:.0f} s"] if silent_s > STUCK_S else []
        started = [thread for thread in self._threads if thread.ident is not None]
        return silent + [f"{one.name}: its thread has ended" for one in started if not one.is_alive()]

    def unready(self) -> Sequence[str]:
        watched = (self._conversions, self._nodes)
        missing = [f"{one.resource}: not listed yet" for one in watched if not one.is_synced]
        if not missing and self._node() is None:
            missing.append(f"the cluster has no node {self._settings.node}")
        return missing

    def seen(self) -> Seen:
        heard = {one.resource: one.heard_at_s for one in (self._conversions, self._nodes)}
        return Seen(wanted=len(self._wanted), adopted=len(self._adopted), heard_at_s=heard)

    def _looked(self, node: Object) -> float:
        """How long to wait for changes. A store that cannot be read is looked at again."""
        try:
            store = Store(self._settings.store)
            try:
                next_s = self._look(node, store)
            finally:
                store.close()
        except (ImageError, OSError, sqlite3.Error) as error:
            _LOG.warning("%s", error)
            return _LOOK_S
        return min(_LOOK_S, max(next_s - time.monotonic(), _SETTLE_S))

    def _look(self, node: Object, store: Store) -> float:
        """When the next one is needed."""
        self._wanted, problems = wanted_of(self._conversions.objects(), node)
        self._tries.keep(self._wanted.keys())
        self._adopt_all(store)
        over_s = self._let_go(store, {*self._wanted, *problems})
        records = {record.uid: record for record in adoption_records(store.folder)}
        told = {uid: self._told(one, records.get(uid)) for uid, one in self._wanted.items()}
        told |= {uid: Told(content="", problem=problem) for uid, problem in problems.items()}
        # What is only waiting its turn is told when it has been tried: one write less.
        report_s = float("inf") if self._tries.has_untried else self._reporter.tell(node, told, time.monotonic())
        return min(self._tries.next_s(), over_s, report_s)

    def _told(self, wanted: WantedAdoption, record: AdoptionRecord | None) -> Told:
        if wanted.uid in self._adopted:
            return Told(content=wanted.content)
        has_before = "" if record is None else record.content
        return Told(content=has_before, problem=self._tries.problem(wanted.uid))

    def _adopt_all(self, store: Store) -> None:
        """One catalog from each server, for all that it is asked for."""
        catalogs: dict[Server, Mapping[ImageKey, CatalogImage] | ImageError] = {}
        there = {(image.manifest_digest, image.mode): image for image in store.images()}
        adopted = {uid for uid, one in self._wanted.items() if has_adopted(one, store, there)}
        for uid, one in self._wanted.items():
            now_s = time.monotonic()
            heard = self._first_heard_s.get(uid)
            if heard is None or heard[0] != one.content:
                self._first_heard_s[uid] = one.content, now_s
            is_fresh = uid in adopted and now_s < self._fresh_s.setdefault(uid, now_s + _REFRESH_S)
            if is_fresh or not self._tries.is_due(uid, one, now_s):
                continue
            if one.server not in catalogs:
                catalogs[one.server] = self._catalog(one.server)
            self._alive_at_s = now_s
            if self._adopt(one, catalogs[one.server], store, is_new=uid not in adopted):
                adopted.add(uid)
        self._adopted = frozenset(adopted)

    def _catalog(self, server: Server) -> Mapping[ImageKey, CatalogImage] | ImageError:
        if self._settings.tls is not None and not server.tls:
            return ImageError(f"{server} is to be read in the clear, and this node has certificates: expected nbds://")
        try:
            return catalog_of(server, self._settings.tls)
        except ImageError as error:
            return error

    def _adopt(
        self,
        wanted: WantedAdoption,
        catalog: Mapping[ImageKey, CatalogImage] | ImageError,
        store: Store,
        *,
        is_new: bool,
    ) -> bool:
        try:
            if isinstance(catalog, ImageError):
                raise catalog
            adopt_exactly(wanted, catalog, store)
        except ImageError as error:
            wait_s = self._tries.failed(wanted.uid, str(error), time.monotonic())
            _LOG.warning("%s is not adopted: %s; tried again in %.0f s", wanted.conversion, error, wait_s)
            self._observer.tried(Result.FAILED)
            return False
        now_s = time.monotonic()
        self._tries.done(wanted.uid)
        self._fresh_s[wanted.uid] = now_s + _REFRESH_S * random.uniform(0.75, 1.25)
        if is_new:
            seconds = now_s - self._first_heard_s[wanted.uid][1]
            _LOG.info("%s is adopted from %s, %.1f s after it was heard of", wanted.conversion, wanted.server, seconds)
            self._observer.tried(Result.ADOPTED)
            self._observer.adopted(seconds)
        return True

    def _end(self, record: AdoptionRecord, store: Store) -> None:
        try:
            let_go(record.uid, store)
        except ImageError as error:
            self._over_since_s[record.uid] = time.monotonic() - self._settings.kept_s + _AGAIN_S
            _LOG.warning("%s is not let go: %s; tried again in %.0f s", record.conversion, error, _AGAIN_S)
            self._observer.tried(Result.FAILED)
            return
        for known in (self._first_heard_s, self._fresh_s, self._over_since_s):
            known.pop(record.uid, None)
        _LOG.info("%s is let go: nothing of the cluster asks for it on this node", record.conversion)
        self._observer.tried(Result.LET_GO)

    def _let_go(self, store: Store, wanted: set[str]) -> float:
        """When the next one is over."""
        now_s = time.monotonic()
        over = {record.uid: record for record in adoption_records(store.folder) if record.uid not in wanted}
        self._over_since_s = {uid: self._over_since_s.get(uid, now_s) for uid in over}
        for uid, record in over.items():
            if now_s >= self._over_since_s[uid] + self._settings.kept_s:
                self._end(record, store)
        return min(self._over_since_s.values(), default=float("inf")) + self._settings.kept_s
