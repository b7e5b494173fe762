"""Decisions carried out at the API server, one by one.

What the server says no to because it has changed meanwhile is left: the watch tells what there is, and it is decided
anew. What it answers goes into what is watched, so that the next decision knows of it.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from hashlib import sha256
from typing import Final, assert_never

from agents.cluster import objects
from agents.cluster.apiserver import ApiServer
from agents.cluster.errors import RefusedError
from agents.cluster.objects import Object
from agents.cluster.watching import Watched
from agents.imagecontroller import wire
from agents.imagecontroller.io.observing import NOBODY, Observer
from agents.imagecontroller.translate.deciding import Action, CreateJob, DeleteJob, Tell, WriteStatus

_LOG: Final = logging.getLogger(__name__)
_COMPONENT: Final = "turnout-image-controller"
_TOLD: Final = 1000
_MESSAGE_CHARACTERS: Final = 1000
"""An event's message has 1024 at most."""


class Acting:
    def __init__(self, server: ApiServer, conversions: Watched, jobs: Watched, observer: Observer = NOBODY) -> None:
        self._server, self._conversions, self._jobs, self._observer = server, conversions, jobs, observer
        self._told: OrderedDict[str, None] = OrderedDict()

    def carry_out(self, action: Action) -> None:
        """Raises ClusterError where that is worth trying again."""
        try:
            self._carry_out(action)
        except RefusedError as error:
            if not (error.is_conflict or error.is_missing):
                raise
            _LOG.info("%s has changed meanwhile: %s", type(action).__name__, error)

    def _carry_out(self, action: Action) -> None:
        match action:
            case CreateJob(job):
                self._jobs.put(self._server.create(wire.jobs_path(objects.namespace_of(job)), job))
                _LOG.info(
                    "job %s made for %s", objects.name_of(job), objects.annotation(job, wire.CONVERSION_ANNOTATION)
                )
            case DeleteJob(job):
                self._delete(job)
            case WriteStatus(conversion, status):
                self._write(conversion, status)
            case Tell():
                self._tell(action)
            case _:
                assert_never(action)

    def _delete(self, job: Object) -> None:
        """In the foreground: it is there until its Pods have ended."""
        body = {"propagationPolicy": "Foreground", "preconditions": {"uid": objects.uid_of(job)}}
        path = wire.jobs_path(objects.namespace_of(job), objects.name_of(job))
        try:
            answer = self._server.delete(path, body)
        except RefusedError as error:
            if error.is_missing:
                self._jobs.drop(job)
            raise
        _LOG.info("job %s is deleted", objects.name_of(job))
        if answer.get("kind") == "Job":
            self._jobs.put(answer)
        else:
            self._jobs.drop(job)

    def _write(self, conversion: Object, status: Object) -> None:
        namespace, name = objects.namespace_of(conversion), objects.name_of(conversion)
        path = f"{objects.conversion_path(namespace, name)}/status"
        version = conversion["metadata"]["resourceVersion"]
        self._conversions.put(self._server.merge(path, {"metadata": {"resourceVersion": version}, "status": status}))

    def _tell(self, event: Tell) -> None:
        """Each once: its name follows from what happened, so a controller that starts again tells nothing twice."""
        conversion = event.conversion
        what = f"{objects.uid_of(conversion)} {objects.generation_of(conversion)} {event.reason} {event.occasion}"
        name = f"{objects.name_of(conversion)[:200]}.{sha256(what.encode()).hexdigest()[:16]}"
        if name in self._told:
            return
        is_new = True
        try:
            self._server.create(objects.events_path(objects.namespace_of(conversion)), _event(event, name))
        except RefusedError as error:
            is_new = not error.is_conflict
            # Told before; or the namespace is being deleted, and nobody will look.
            if not (error.is_conflict or error.is_missing or error.code == 403):
                raise
        finally:
            if is_new:  # it has happened, whether there is an event of it or not
                self._observer.told(event)
        self._told[name] = None
        if len(self._told) > _TOLD:
            self._told.popitem(last=False)


def _event(event: Tell, name: str) -> Object:
    conversion, now = event.conversion, objects.timestamp(time.time())
    namespace = objects.namespace_of(conversion)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": namespace},
        "involvedObject": {
            "apiVersion": conversion["apiVersion"],
            "kind": conversion["kind"],
            "namespace": namespace,
            "name": objects.name_of(conversion),
            "uid": objects.uid_of(conversion),
            "resourceVersion": conversion["metadata"]["resourceVersion"],
        },
        "reason": event.reason,
        "message": event.message[:_MESSAGE_CHARACTERS],
        "type": "Warning" if event.is_warning else "Normal",
        "source": {"component": _COMPONENT},
        "reportingComponent": _COMPONENT,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
