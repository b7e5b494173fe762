"""What a conversion in a Job tells of itself: an annotation at the Job, which the controller reads.

So the Job's account may patch Jobs of its own namespace and nothing else, and the status has one writer. A report that
is lost costs nothing while the conversion goes on; the last one is tried for a while, and without it the Job fails, to
be made again: the volumes are there then, and it has nothing more to do than to tell.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, Final

from agents.cluster.apiserver import ApiServer
from agents.cluster.errors import ClusterError, RefusedError
from agents.imagecontroller.wire import REPORT_ANNOTATION, jobs_path

_LOG: Final = logging.getLogger(__name__)
INTERVAL_S: Final = 2.0
LAST_TRIES_S: Final = 60.0
_LONGEST_MESSAGE: Final = 4000
"""All annotations of an object have 256 KiB."""

Status = Callable[[], dict[str, Any]]
"""The status of the ImageConversion that is converted, as it is now."""


@contextmanager
def reporting(server: ApiServer, namespace: str, job: str, status: Status) -> Generator[None]:
    """Around a conversion. At its end, well or not, the status is told once more; raises ClusterError where it cannot
    be, unless the conversion has failed with words of its own."""
    reporter = _Reporter(server, jobs_path(namespace, job), status)
    stop = Event()
    thread = Thread(target=reporter.run, args=(stop,), name="job-report", daemon=True)
    thread.start()
    try:
        yield
    except BaseException:
        _stop(stop, thread)
        try:
            reporter.tell_last()
        except ClusterError as error:
            _LOG.warning("the Job is not told: %s", error)
        raise
    _stop(stop, thread)
    reporter.tell_last()


def _stop(stop: Event, thread: Thread) -> None:
    stop.set()
    thread.join()


class _Reporter:
    def __init__(self, server: ApiServer, path: str, status: Status) -> None:
        self._server, self._path, self._status, self._told = server, path, status, ""

    def run(self, stop: Event) -> None:
        while not stop.wait(INTERVAL_S):
            try:
                self._tell()
            except ClusterError as error:
                _LOG.warning("the Job is not told: %s", error)

    def tell_last(self) -> None:
        end_s, wait_s = time.monotonic() + LAST_TRIES_S, 0.5
        while True:
            try:
                self._tell()
            except RefusedError as error:
                if error.is_missing or time.monotonic() + wait_s > end_s:
                    raise
            except ClusterError:
                if time.monotonic() + wait_s > end_s:
                    raise
            else:
                return
            time.sleep(wait_s)
            wait_s = min(wait_s * 2, 10.0)

    def _tell(self) -> None:
        text = json.dumps(_bounded(self._status()), sort_keys=True)
        if text != self._told:
            self._server.merge(self._path, {"metadata": {"annotations": {REPORT_ANNOTATION: text}}})
            self._told = text


def _bounded(status: dict[str, Any]) -> dict[str, Any]:
    conditions = [{**one, "message": str(one["message"])[:_LONGEST_MESSAGE]} for one in status["conditions"]]
    return {**status, "conditions": conditions}
