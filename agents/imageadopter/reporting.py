"""What a node has adopted, told to the cluster: its ConfigMap, written when it changes, and not often."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from agents.cluster.adoptions import Told, report
from agents.cluster.apiserver import ApiServer
from agents.cluster.errors import ClusterError, RefusedError
from agents.cluster.objects import Object, configmaps_path
from agents.imageadopter.pacing import Tries

_LOG: Final = logging.getLogger(__name__)
_KEY: Final = "report"
AGAIN_S: Final = 600.0
"""Somebody may have deleted it."""


class Reporter:
    """`interval_s` is between two writes; nodes begin at times of their own within that."""

    def __init__(self, server: ApiServer, namespace: str, interval_s: float) -> None:
        self._server, self._namespace, self._interval_s = server, namespace, interval_s
        self._tries, self._said = Tries(min(interval_s, 1.0)), dict[str, Told]()
        self._node_uid, self._said_at_s = "", float("-inf")

    def tell(self, node: Object, told: Mapping[str, Told], now_s: float) -> float:
        """When to ask again, at the latest."""
        is_said = dict(told) == self._said and self._node_uid == node["metadata"]["uid"]
        due_s = self._said_at_s + (AGAIN_S if is_said else self._interval_s)
        if now_s < due_s:
            return due_s
        if not self._tries.is_due(_KEY, "", now_s):
            return self._tries.next_s()
        try:
            self._write(report(self._namespace, node, told))
        except ClusterError as error:
            wait_s = self._tries.failed(_KEY, str(error), now_s)
            _LOG.warning("what is adopted is not told: %s; tried again in %.0f s", error, wait_s)
            return now_s + wait_s
        self._tries.done(_KEY)
        self._said, self._node_uid, self._said_at_s = dict(told), node["metadata"]["uid"], now_s
        return now_s + AGAIN_S

    def _write(self, found: Object) -> None:
        name = found["metadata"]["name"]
        try:
            self._server.merge(configmaps_path(self._namespace, name), found)
        except RefusedError as error:
            if not error.is_missing:
                raise
            self._server.create(configmaps_path(self._namespace), found)
