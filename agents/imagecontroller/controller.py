"""The controller: watches, leads or waits, carries out what is decided. Called by `turnout agent image-controller`."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from threading import Event, Thread
from typing import Final, assert_never

from agents.imagecontroller import wire
from agents.imagecontroller.errors import ClusterError, RefusedError
from agents.imagecontroller.io.acting import Acting
from agents.imagecontroller.io.apiserver import ApiServer
from agents.imagecontroller.io.leadership import Leadership
from agents.imagecontroller.io.watching import Watched
from agents.imagecontroller.translate import statuses
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
from agents.imagecontroller.wire import Object
from compiler.diagnostic import Severity
from compiler.policy.loading import load_text

_LOG: Final = logging.getLogger(__name__)
LEASE: Final = "turnout-image-controller"
_LOOK_S: Final = 20.0
"""How long at most until it is decided anew, changes or not: a node that is not ready is gone after a while."""
_SETTLE_S: Final = 0.05
"""Changes come in groups."""
_AGAIN_S: Final = 5.0


class Controller:
    def __init__(self, server: ApiServer, settings: Settings, identity: str, lease_s: int = 15) -> None:
        self._settings, self._changed = settings, Event()
        changed = self._changed.set
        self._conversions = Watched(server, wire.CONVERSIONS, changed)
        self._jobs = Watched(server, wire.jobs_path(settings.namespace), changed, selector=wire.UID_LABEL)
        self._nodes = Watched(server, wire.NODES, changed)
        self._leadership = Leadership(server, settings.namespace, LEASE, identity, lease_s, changed)
        self._held: dict[str, float] = {}
        """Until when, by uid, no Job is made, since the server has refused one."""
        self._acting = Acting(server, self._conversions, self._jobs)

    def run(self, stop: Event) -> None:
        """Until `stop` is set; whoever sets it calls `wake`."""
        watched = (self._conversions, self._jobs, self._nodes)
        threads = [Thread(target=one.run, args=(stop,), daemon=True) for one in (*watched, self._leadership)]
        for thread in threads:
            thread.start()
        wait_s = _LOOK_S
        while not stop.is_set():
            self._changed.wait(wait_s)
            stop.wait(_SETTLE_S)
            self._changed.clear()
            wait_s = _LOOK_S
            if not stop.is_set() and self._leadership.is_ours and all(one.is_synced for one in watched):
                wait_s = self._step()
        # The lease is given back; watches end with the process.
        threads[-1].join(_AGAIN_S)

    def wake(self) -> None:
        self._changed.set()

    def _step(self) -> float:
        """How long to wait for changes."""
        now_s = time.time()
        decision = self._decide(now_s)
        refused: dict[str, str] = {}
        for decided in decision.actions:
            if not self._leadership.is_ours:
                return _LOOK_S
            action = _after(decided, refused, now_s)
            try:
                if action is not None:
                    self._acting.carry_out(action)
            except ClusterError as error:
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
        world = World(
            conversions=self._conversions.objects(),
            jobs=self._jobs.objects(),
            nodes=self._nodes.objects(),
            held=frozenset(self._held),
        )
        return decide(world, self._settings, what_is_wrong, now_s)


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
            return wire.label(job, wire.UID_LABEL)
        case WriteStatus(conversion=conversion) | Tell(conversion=conversion):
            return wire.uid_of(conversion)
        case _:
            assert_never(action)


def what_is_wrong(conversion: Object) -> str:
    """With a conversion as a policy, as `turnout check` says it of this one alone; empty for nothing. The API server
    has looked at each field by itself."""
    loaded = load_text(json.dumps(json.loads(policy_text(conversion)), indent=1), wire.key_of(conversion))
    errors = [found for found in loaded.diagnostics if found.severity is Severity.ERROR]
    return "; ".join(f"{found.message}, error {found.code.id}" for found in errors)
