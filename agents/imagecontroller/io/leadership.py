"""Which of several controllers acts: the one that holds a Lease (coordination.k8s.io/v1).

As client-go has it: whoever finds a lease that has not been renewed for its duration, by his own clock since he saw it
change, takes it; the resourceVersion lets one of several do so. The holder stops acting well before others may take it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Event
from typing import Any, Final

from agents.cluster.apiserver import ApiServer
from agents.cluster.errors import ClusterError, RefusedError
from agents.cluster.objects import Object, lease_path, micro_timestamp

_LOG: Final = logging.getLogger(__name__)


class Leadership:
    """`run` belongs into a thread; `is_ours` is asked before every action."""

    def __init__(
        self,
        server: ApiServer,
        namespace: str,
        name: str,
        identity: str,
        duration_s: int,
        changed: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server, self._namespace, self._name = server, namespace, name
        self._identity, self._duration_s, self._changed, self._clock = identity, duration_s, changed, clock
        self._ours_until_s = float("-inf")
        self._seen: tuple[str, float] = ("", 0.0)
        """The lease's version, and when we first saw that."""

    @property
    def is_ours(self) -> bool:
        return self._clock() < self._ours_until_s

    def run(self, stop: Event) -> None:
        while not stop.is_set():
            was_ours = self.is_ours
            try:
                self.renew()
            except ClusterError as error:
                _LOG.warning("lease %s: %s", self._name, error)
            if self.is_ours != was_ours:
                _LOG.info("%s lead", "we" if self.is_ours else "others")
                self._changed()
            stop.wait(self._duration_s / 6)
        self._release()

    def renew(self) -> None:
        """Take the lease, or keep it, where that is right."""
        asked_at_s = self._clock()
        try:
            lease = self._server.get(lease_path(self._namespace, self._name))
        except RefusedError as error:
            if not error.is_missing:
                raise
            metadata = {"name": self._name, "namespace": self._namespace}
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}
        if self._may_hold(lease):
            self._write(lease, asked_at_s)

    def _may_hold(self, lease: Object) -> bool:
        spec: dict[str, Any] = lease.get("spec") or {}
        version = str(lease["metadata"].get("resourceVersion", ""))
        if version != self._seen[0]:
            self._seen = version, self._clock()
        if spec.get("holderIdentity") in (None, "", self._identity):
            return True
        lasts_s = int(spec.get("leaseDurationSeconds") or self._duration_s)
        return self._clock() >= self._seen[1] + lasts_s

    def _write(self, lease: Object, asked_at_s: float) -> None:
        before: dict[str, Any] = lease.get("spec") or {}
        now = micro_timestamp(time.time())
        is_new = before.get("holderIdentity") != self._identity
        turns = int(before.get("leaseTransitions") or 0) + (1 if is_new and before else 0)
        spec = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": self._duration_s,
            "acquireTime": now if is_new else before.get("acquireTime") or now,
            "renewTime": now,
            "leaseTransitions": turns,
        }
        try:
            if "resourceVersion" in lease["metadata"]:
                self._server.replace(lease_path(self._namespace, self._name), {**lease, "spec": spec})
            else:
                self._server.create(lease_path(self._namespace), {**lease, "spec": spec})
        except RefusedError as error:
            if not error.is_conflict:
                raise
            return  # somebody else was faster
        self._ours_until_s = asked_at_s + self._duration_s * 2 / 3

    def _release(self) -> None:
        """So that another one need not wait."""
        if not self.is_ours:
            return
        self._ours_until_s = float("-inf")
        path = lease_path(self._namespace, self._name)
        try:
            lease = self._server.get(path)
            spec: dict[str, Any] = lease.get("spec") or {}
            if spec.get("holderIdentity") == self._identity:
                self._server.replace(path, {**lease, "spec": {**spec, "holderIdentity": ""}})
        except ClusterError as error:
            _LOG.warning("lease %s was not given back: %s", self._name, error)
