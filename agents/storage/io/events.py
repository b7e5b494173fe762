"""What happens to the agent's snapshots, volumes and daemons, told as it happens to whoever listens: log, metrics.

An event has a name and fields, which docs/images.md lists. Telling costs what its listeners cost.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_LOG: Final = logging.getLogger("agents.storage.events")
Value = str | int | float


class Kind(StrEnum):
    """`FETCHED` is told often and is for counting alone."""

    CALLED = "called"
    VOLUME_ATTACHED = "volume-attached"
    VOLUME_DETACHED = "volume-detached"
    DISK_ATTACHED = "disk-attached"
    FETCHED = "fetched"
    PRELOADED = "preloaded"
    COPY_COMPLETED = "copy-completed"
    COPY_REFUSED = "copy-refused"
    DAEMON_STARTED = "daemon-started"
    LAYER_CACHED = "layer-cached"


@dataclass(frozen=True, slots=True)
class Event:
    kind: Kind
    fields: Mapping[str, Value]


Listener = Callable[[Event], None]


class Events:
    """From several threads. Without listeners, nothing is told to anybody."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners

    def tell(self, kind: Kind, **fields: Value) -> None:
        event = Event(kind, fields)
        for listener in self._listeners:
            listener(event)


_CHANGES: Final = frozenset({"Prepare", "View", "Commit", "Remove"})
_EXPECTED: Final = frozenset({"OK", "ALREADY_EXISTS", "NOT_FOUND"})
"""Codes that containerd asks for, or lives with."""


def log_event(event: Event) -> None:
    """A line with the event as JSON. Of calls, those that change something, and those that fail."""
    if event.kind is Kind.FETCHED:
        return
    if event.kind is Kind.CALLED and event.fields["method"] not in _CHANGES and event.fields["code"] in _EXPECTED:
        return
    _LOG.info("event %s", json.dumps({"event": event.kind.value, **event.fields}))
