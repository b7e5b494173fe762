"""All objects of a kind as a server has them, kept right by a list and the watch that goes on from it."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from threading import Event, Lock
from typing import Final

from agents.cluster.apiserver import ApiServer, refusal_of
from agents.cluster.errors import ClusterError, RefusedError
from agents.cluster.objects import Object, key_of, resource_of, version_of
from agents.cluster.observing import UNOBSERVED, RequestObserver, Restart

_LOG: Final = logging.getLogger(__name__)
_WATCH_S: Final = 300
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0


class Watched:
    """`run` belongs into a thread of its own; `changed` is called from it after each change."""

    def __init__(
        self,
        server: ApiServer,
        path: str,
        changed: Callable[[], None],
        selector: str = "",
        fields: str = "",
        observer: RequestObserver = UNOBSERVED,
    ) -> None:
        self._server, self._path, self._changed, self._observer = server, path, changed, observer
        self.resource, self.heard_at_s = resource_of(path), 0.0
        """When the server last told anything, in seconds since 1970."""
        chosen = {"labelSelector": selector, "fieldSelector": fields}
        self._query = {name: text for name, text in chosen.items() if text}
        self._objects: dict[str, Object] = {}
        self._lock, self._synced = Lock(), Event()

    @property
    def is_synced(self) -> bool:
        """A first list has come."""
        return self._synced.is_set()

    def objects(self) -> list[Object]:
        with self._lock:
            return list(self._objects.values())

    def put(self, found: Object) -> None:
        """What the server has answered to a write of ours, before the watch tells it."""
        with self._lock:
            self._put(found)

    def drop(self, found: Object) -> None:
        """What is known to be there no more."""
        with self._lock:
            self._objects.pop(key_of(found), None)

    def run(self, stop: Event) -> None:
        wait_s = _FIRST_WAIT_S
        while not stop.is_set():
            try:
                version = self._list()
                wait_s = _FIRST_WAIT_S
                while not stop.is_set():
                    version = self._watch(version, stop)
                    self._observer.watch_restarted(self.resource, Restart.ENDED)
            except ClusterError as error:
                self._doubt_fields(error)
                self._observer.watch_restarted(self.resource, _why(error))
                _LOG.warning("%s: %s; asked again in %.1f s", self._path, error, wait_s)
                stop.wait(wait_s * random.uniform(0.75, 1.25))
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    def _doubt_fields(self, error: ClusterError) -> None:
        """A server before 1.31 knows no fields of ours to choose by (400): then all is watched."""
        if isinstance(error, RefusedError) and error.code == 400:
            self._query.pop("fieldSelector", None)

    def _list(self) -> str:
        items, version = self._server.list_all(self._path, self._query)
        with self._lock:
            # Written by us after the list was made: the watch tells them.
            newer = {key: one for key, one in self._objects.items() if version_of(one) > int(version or 0)}
            self._objects = {key_of(item): item for item in items} | newer
        self.heard_at_s = time.time()
        self._synced.set()
        self._changed()
        return version

    def _watch(self, version: str, stop: Event) -> str:
        """The version to go on from when the server has ended it in peace. Raises ClusterError where a new list is
        needed, which is also what 410 Gone says."""
        lasts_s = int(_WATCH_S * random.uniform(0.8, 1.2))
        with self._server.watch(self._path, {**self._query, "resourceVersion": version}, lasts_s) as events:
            for event in events:
                version = self._heard(event)
                if stop.is_set():
                    break
        return version

    def _heard(self, event: Object) -> str:
        """The version of which it tells."""
        kind: str = event.get("type", "")
        found: Object = event.get("object") or {}
        if kind == "ERROR":
            raise refusal_of(found)
        self.heard_at_s = time.time()
        if kind != "BOOKMARK":
            self._take(kind, found)
            self._changed()
        return str(found["metadata"]["resourceVersion"])

    def _take(self, kind: str, found: Object) -> None:
        with self._lock:
            if kind == "DELETED":
                self._objects.pop(key_of(found), None)
            else:
                self._put(found)

    def _put(self, found: Object) -> None:
        there = self._objects.get(key_of(found))
        if there is None or version_of(there) <= version_of(found):
            self._objects[key_of(found)] = found


def _why(error: ClusterError) -> Restart:
    if not isinstance(error, RefusedError):
        return Restart.BROKEN
    return Restart.EXPIRED if error.code == 410 else Restart.REFUSED
