"""The controller: watches, leads or waits, carries out what is decided. Called by `turnout agent image-controller`."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from threading import Event, Thread
from typing import Final, assert_never

from agents.cluster import adoptions, objects
from agents.cluster.adoptions import Adopted
from agents.cluster.apiserver import ApiServer
from agents.cluster.errors import ClusterError, RefusedError
from agents.cluster.objects import Object
from agents.cluster.watching import Watched
from agents.imagecontroller import wire
from agents.imagecontroller.io.acting import Acting
from agents.imagecontroller.io.leadership import Leadership
from agents.imagecontroller.io.observing import NOBODY, Observer, Seen
from agents.imagecontroller.translate import statuses
from agents.imagecontroller.translate.counting import count
from agents.imagecontroller.translate.deciding import (
    Action,
    CreateJob,
    Decision,
    DeleteJob,
    Tell,
    World,
    WriteStatus,
    decide,
)
from agents.imagecontroller.translate.jobs import Settings, policy_text
from compiler.diagnostic import Severity
from compiler.policy.loading import load_text

_LOG: Final = logging.getLogger(__name__)
LEASE: Final = "turnout-image-controller"
_LOOK_S: Final = 20.0
"""How long at most until it is decided anew, changes or not: a node that is not ready is gone after a while."""
_SETTLE_S: Final = 0.05
"""Changes come in groups."""
_AGAIN_S: Final = 5.0
_ADD_UP_S: Final = 10.0
"""Between two counts of nodes at least: each changes statuses, which every node watches."""
STUCK_S: Final = 90.0
"""Without a sign of life. It looks each 20 s, and no request takes longer than that."""


class Controller:
    def __init__(
        self, server: ApiServer, settings: Settings, identity: str, lease_s: int = 15, observer: Observer = NOBODY
    ) -> None:
        self._settings, self._changed, self._observer = settings, Event(), observer
        changed = self._changed.set
        jobs = wire.jobs_path(settings.namespace)
        self._conversions = Watched(server, objects.CONVERSIONS, changed, observer=observer)
        self._jobs = Watched(server, jobs, changed, selector=wire.UID_LABEL, observer=observer)
        self._nodes = Watched(server, objects.NODES, changed, observer=observer)
        self._watched = (self._conversions, self._jobs, self._nodes)
        self._reports = self._watched_reports(server) if settings.volume_server else None
        self._adopted, self._added_up_at_s = dict[str, Adopted](), float("-inf")
        self._leadership = Leadership(server, settings.namespace, LEASE, identity, lease_s, changed)
        self._held: dict[str, float] = {}
        """Until when, by uid, no Job is made, since the server has refused one."""
        self._acting = Acting(server, self._conversions, self._jobs, observer)
        self._alive_at_s, self._threads = time.monotonic(), dict[str, Thread]()

    def run(self, stop: Event) -> None:
        """Until `stop` is set; whoever sets it calls `wake`."""
        told = () if self._reports is None else (self._reports,)
        watched = {f"watch of {one.resource}": one.run for one in (*self._watched, *told)}
        leading = self._leadership.run
        self._threads = {
            name: Thread(target=run, args=(stop,), daemon=True) for name, run in {**watched, "lease": leading}.items()
        }
        for thread in self._threads.values():
            thread.start()
        wait_s = _LOOK_S
        while not stop.is_set():
            self._alive_at_s = time.monotonic()
            self._changed.wait(wait_s)
            stop.wait(_SETTLE_S)
            self._changed.clear()
            wait_s = _LOOK_S
            if not stop.is_set() and self._leadership.is_ours and self._is_synced:
                began_s = time.monotonic()
                wait_s = self._step()
                self._observer.reconciled(time.monotonic() - began_s)
        # The lease is given back; watches end with the process.
        self._threads["lease"].join(_AGAIN_S)

    def wake(self) -> None:
        self._changed.set()

    def _watched_reports(self, server: ApiServer) -> Watched:
        path = objects.configmaps_path(self._settings.namespace)
        return Watched(server, path, self._heard_of_nodes, selector=adoptions.LABEL, observer=self._observer)

    def _heard_of_nodes(self) -> None:
        """Thousands may tell at once: the first one is worth a look, what the others say is added up at the next."""
        if time.monotonic() - self._added_up_at_s >= _ADD_UP_S:
            self._changed.set()

    def _add_up(self) -> None:
        if self._reports is None or time.monotonic() - self._added_up_at_s < _ADD_UP_S:
            return
        nodes = map(objects.name_of, self._nodes.objects())
        self._adopted = adoptions.add_up(self._conversions.objects(), self._reports.objects(), nodes)
        self._added_up_at_s = time.monotonic()

    @property
    def _is_synced(self) -> bool:
        return all(one.is_synced for one in self._watched)

    def stuck(self) -> Sequence[str]:
        """What only a new process would mend. Asked from other threads, as `unready` and `seen` are."""
        silent_s = time.monotonic() - self._alive_at_s
        silent = [f"nothing has been looked at for {silent_s:.0f} s"] if silent_s > STUCK_S else []
        started = [(name, thread) for name, thread in self._threads.items() if thread.ident is not None]
        return silent + [f"{name}: its thread has ended" for name, thread in started if not thread.is_alive()]

    def unready(self) -> Sequence[str]:
        """What it does not know yet. One that waits for the lease is ready: it could take over."""
        return [f"{one.resource}: not listed yet" for one in self._watched if not one.is_synced]

    def seen(self) -> Seen:
        """Of the cluster only what the one that leads knows, so that of several controllers one tells it."""
        is_leading = self._leadership.is_ours
        return Seen(
            is_leading=is_leading,
            heard_at_s={one.resource: one.heard_at_s for one in self._watched},
            counts=count(self._world(), self._settings, time.time()) if is_leading and self._is_synced else None,
        )

    def _step(self) -> float:
        """How long to wait for changes."""
        now_s = time.time()
        decision = self._decide(now_s)
        refused: dict[str, str] = {}
        for decided in decision.actions:
            if not self._leadership.is_ours:
                return _LOOK_S
            action = _after(decided, refused, now_s)
            self._alive_at_s = time.monotonic()
            try:
                if action is not None:
                    self._acting.carry_out(action)
            except ClusterError as error:
                self._observer.action_failed(decided)
                _LOG.warning("%s: %s; tried again in %.0f s", type(action).__name__, error, _AGAIN_S)
                if not isinstance(error, RefusedError):
                    return _AGAIN_S
                # Of one object: the others are seen to all the same.
                refused[_uid(decided)] = str(error)
        if refused:
            self._held |= dict.fromkeys(refused, now_s + _AGAIN_S)
            return _SETTLE_S  # others get the nodes
        if self._held:
            decision.wait_until(min(self._held.values()))
        if decision.again_at_s is None:
            return _LOOK_S
        return min(_LOOK_S, max(decision.again_at_s - now_s, _SETTLE_S))

    def _decide(self, now_s: float) -> Decision:
        self._held = {uid: until_s for uid, until_s in self._held.items() if until_s > now_s}
        self._add_up()
        return decide(self._world(frozenset(self._held)), self._settings, what_is_wrong, now_s)

    def _world(self, held: frozenset[str] = frozenset()) -> World:
        return World(
            conversions=self._conversions.objects(),
            jobs=self._jobs.objects(),
            nodes=self._nodes.objects(),
            held=held,
            adopted=self._adopted,
        )


def _after(action: Action, refused: Mapping[str, str], now_s: float) -> Action | None:
    """What is left to do and say of a conversion whose Job the server has just refused."""
    why = refused.get(_uid(action))
    if why is None:
        return action
    if not isinstance(action, WriteStatus):
        return None
    told = statuses.waiting(action.conversion, "JobRefused", why)
    status = statuses.make_status(action.conversion, told, now_s)
    return None if statuses.is_said(action.conversion, status) else WriteStatus(action.conversion, status)


def _uid(action: Action) -> str:
    """Of the conversion that it is about."""
    match action:
        case CreateJob(job) | DeleteJob(job):
            return objects.label(job, wire.UID_LABEL)
        case WriteStatus(conversion=conversion) | Tell(conversion=conversion):
            return objects.uid_of(conversion)
        case _:
            assert_never(action)


def what_is_wrong(conversion: Object) -> str:
    """With a conversion as a policy, as `turnout check` says it of this one alone; empty for nothing. The API server
    has looked at each field by itself."""
    loaded = load_text(json.dumps(json.loads(policy_text(conversion)), indent=1), objects.key_of(conversion))
    errors = [found for found in loaded.diagnostics if found.severity is Severity.ERROR]
    return "; ".join(f"{found.message}, error {found.code.id}" for found in errors)
