"""What the controller does next: from all ImageConversions, Jobs and Nodes to actions. Asked again at each change.

Nothing is remembered here or in the controller: the Jobs are what is known of attempts, and the status what is known of
ended ones whose Jobs are gone. So a controller that is killed anywhere, or two of them for a moment, decide the same.

* A conversion's generation has one Job at a time; the name says which attempt it is.
* A Job of an earlier generation, of a conversion that is gone, or on a node that is gone, is deleted. The next one
  waits until it has really ended (foreground deletion), unless its node is gone.
* A node has one Job that has not ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from agents.cluster import objects
from agents.cluster.adoptions import Adopted
from agents.cluster.objects import Object
from agents.imagecontroller import wire
from agents.imagecontroller.translate import statuses
from agents.imagecontroller.translate.jobs import Attempt, Settings, job_name, make_job, read_job
from agents.imagecontroller.translate.nodes import Nodes
from agents.imagecontroller.translate.statuses import Told
from compiler.policy.imagekinds import MODE_ALIASES

Check = Callable[[Object], str]
"""What is wrong with a conversion's spec; empty for nothing."""
_DONE: Final = ("Succeeded", "Failed")
_WARNINGS: Final = frozenset({"Retrying", "ConversionFailed", "InvalidSpec", "NodeGone"})
OCCASIONS: Final = ("Started", "Converted", "Retrying", "ConversionFailed", "InvalidSpec", "NodeGone")
"""Reasons of all events."""
_WORTH_AN_EVENT: Final = frozenset({"Converted", *_WARNINGS})


@dataclass(frozen=True, slots=True)
class CreateJob:
    job: Object


@dataclass(frozen=True, slots=True)
class DeleteJob:
    job: Object


@dataclass(frozen=True, slots=True)
class WriteStatus:
    conversion: Object
    status: Object


@dataclass(frozen=True, slots=True)
class Tell:
    """An event about a conversion. `occasion` tells it from others of the same reason."""

    conversion: Object
    reason: str
    message: str
    occasion: str
    took_s: float | None = None
    """How long the attempt took, where one has ended."""

    @property
    def is_warning(self) -> bool:
        return self.reason in _WARNINGS


Action = CreateJob | DeleteJob | WriteStatus | Tell


@dataclass(slots=True)
class Decision:
    actions: list[Action] = field(default_factory=lambda: [])
    again_at_s: float | None = None
    """When time alone changes something."""

    def wait_until(self, at_s: float) -> None:
        if at_s != float("inf"):
            self.again_at_s = at_s if self.again_at_s is None else min(self.again_at_s, at_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    conversions: Sequence[Object]
    jobs: Sequence[Object]
    nodes: Sequence[Object]
    held: frozenset[str] = frozenset()
    """Conversions (uid) whose Job the server has just refused: none is made for them now, so others get the node."""
    adopted: Mapping[str, Adopted] = field(default_factory=dict[str, Adopted])
    """What nodes have told, by uid, as far as it was added up."""


def decide(world: World, settings: Settings, check: Check, now_s: float) -> Decision:
    return _Deciding(world, settings, check, now_s).decided()


class _Deciding:
    def __init__(self, world: World, settings: Settings, check: Check, now_s: float) -> None:
        self._settings, self._check, self._now_s = settings, check, now_s
        self._conversions = sorted(
            (one for one in world.conversions if not objects.is_leaving(one)),
            key=lambda one: (str(one["metadata"].get("creationTimestamp", "")), objects.key_of(one)),
        )
        self._attempts: dict[str, list[Attempt]] = {objects.uid_of(one): [] for one in self._conversions}
        self._held, self._adopted = world.held, world.adopted
        self._decision, self._orphans = Decision(), list[Attempt]()
        for job in world.jobs:
            attempt = read_job(job)
            self._attempts.get(objects.label(job, wire.UID_LABEL), self._orphans).append(attempt)
        self._nodes = self._nodes_of(world)

    def _nodes_of(self, world: World) -> Nodes:
        attempts = [*self._orphans, *(one for found in self._attempts.values() for one in found)]
        load = (str(objects.status_of(one).get("node", "")) for one in self._conversions)
        busy = (one.node for one in attempts if not one.ended)
        return Nodes(world.nodes, load, busy, self._settings, self._now_s)

    def decided(self) -> Decision:
        self._delete(self._orphans)
        for conversion in self._conversions:
            attempts = self._attempts[objects.uid_of(conversion)]
            told = self._tell(conversion, attempts)
            if told is not None:
                self._say(conversion, told)
            else:
                self._refresh(conversion)
        return self._decision

    def _tell(self, conversion: Object, attempts: list[Attempt]) -> Told | None:
        """None where nothing is to be said anew."""
        generation = objects.generation_of(conversion)
        earlier = [one for one in attempts if one.generation != generation]
        current = sorted((one for one in attempts if one.generation == generation), key=lambda one: one.number)
        self._delete([*earlier, *current[:-1]])
        ending = [one for one in earlier if not one.ended and not self._nodes.is_gone(one.node)]
        if ending:
            message = f"Job {objects.name_of(ending[0].job)} of an earlier generation is ending"
            return statuses.waiting(conversion, "Replacing", message)
        return self._of_attempt(conversion, current[-1]) if current else self._without_attempt(conversion)

    def _without_attempt(self, conversion: Object) -> Told | None:
        there = objects.status_of(conversion)
        node = str(there.get("node") or "")
        if there.get("observedGeneration") == objects.generation_of(conversion) and there.get("phase") in _DONE:
            return None if there.get("ready") is not True else self._still(conversion, None, node, 1)
        wrong = self._check(conversion)
        if wrong:
            return statuses.refused(conversion, wrong)
        return self._begin(conversion, 1, node)

    def _still(self, conversion: Object, told: Told | None, node: str, attempt: int) -> Told | None:
        """What is told of volumes that are there, unless they have gone with their node: then they are made anew."""
        if self._nodes.has(node):
            return told
        self._event(conversion, "NodeGone", f"node {node} is gone, and the volumes with it", f"after {node}")
        return self._begin(conversion, attempt, "", is_lost=True)

    def _of_attempt(self, conversion: Object, attempt: Attempt) -> Told | None:
        if attempt.ended:
            return self._ended(conversion, attempt)
        if self._nodes.is_gone(attempt.node):
            self._delete([attempt])
            self._event(conversion, "NodeGone", f"node {attempt.node} is gone", str(attempt.number))
            return self._begin(conversion, attempt.number + 1, "")
        self._decision.wait_until(self._nodes.gone_at_s(attempt.node))
        if attempt.is_leaving:
            return statuses.waiting(conversion, "Replacing", f"Job {objects.name_of(attempt.job)} is ending")
        return statuses.running(attempt)

    def _ended(self, conversion: Object, attempt: Attempt) -> Told | None:
        told = statuses.succeeded(attempt) if attempt.ended == "Complete" else None
        if told is not None:
            return self._still(conversion, told, attempt.node, attempt.number + 1)
        why, most = statuses.failure(attempt), self._settings.attempts
        if attempt.number >= most:
            return statuses.failed(attempt, why, is_last=True)
        next_s = attempt.ended_at_s + wait_s(attempt.number, self._settings)
        if self._now_s >= next_s:
            return self._begin(conversion, attempt.number + 1, attempt.node)
        self._decision.wait_until(next_s)
        message = f"attempt {attempt.number} of {most}: {why}; the next one at {objects.timestamp(next_s)}"
        return statuses.failed(attempt, message, is_last=False)

    def _begin(self, conversion: Object, number: int, preferred: str, *, is_lost: bool = False) -> Told | None:
        """`is_lost`: nothing is left of what was converted before."""
        if objects.uid_of(conversion) in self._held:
            return None
        if not self._nodes.are_there:
            message = f"no ready node {self._labels()}may convert"
            return statuses.waiting(conversion, "NoNode", message, is_lost=is_lost)
        node = self._nodes.take(preferred)
        if node is None:
            message = "every node that may convert it has a Job"
            return statuses.waiting(conversion, "Waiting", message, is_lost=is_lost)
        job = make_job(conversion, number, node, self._settings)
        self._decision.actions.append(CreateJob(job))
        message = f"attempt {number} on node {node}"
        self._event(conversion, "Started", f"{message}: Job {job_name(conversion, number)}", str(number))
        return Told(phase="Pending", reason="InProgress", message=message, node=node)

    def _labels(self) -> str:
        found = ",".join(f"{name}={value}" for name, value in self._settings.node_labels)
        return f"with {found} " if found else ""

    def _say(self, conversion: Object, told: Told) -> None:
        server = self._server(conversion, told.node)
        adopted = self._adopted.get(objects.uid_of(conversion))
        status = statuses.make_status(conversion, told, self._now_s, server, adopted)
        if statuses.is_said(conversion, status):
            return
        self._decision.actions.append(WriteStatus(conversion, status))
        before = objects.condition(conversion, statuses.READY) or {}
        if told.reason in _WORTH_AN_EVENT and (before.get("reason"), before.get("message")) != told[1:3]:
            message = told.message or f"on node {told.node}"
            self._event(conversion, told.reason, message, told.message, told.took_s)

    def _refresh(self, conversion: Object) -> None:
        there = objects.status_of(conversion)
        if there.get("phase") not in _DONE:
            return
        server = self._server(conversion, str(there.get("node") or ""))
        adopted = self._adopted.get(objects.uid_of(conversion))
        status = statuses.refreshed(conversion, self._now_s, server, adopted)
        if not statuses.is_said(conversion, status):
            self._decision.actions.append(WriteStatus(conversion, status))

    def _server(self, conversion: Object, node: str) -> str:
        """Disks are read by nobody else."""
        mode = str(conversion["spec"].get("imageMode", ""))
        return "" if MODE_ALIASES.get(mode, mode) == "block" else self._nodes.server(node)

    def _event(self, conversion: Object, reason: str, message: str, occasion: str, took_s: float | None = None) -> None:
        self._decision.actions.append(Tell(conversion, reason, message, occasion, took_s))

    def _delete(self, attempts: Iterable[Attempt]) -> None:
        self._decision.actions += [DeleteJob(one.job) for one in attempts if not one.is_leaving]


def wait_s(attempt: int, settings: Settings) -> float:
    """Between the end of a failed attempt and the next one."""
    return min(settings.first_wait_s * 2.0 ** (attempt - 1), settings.longest_wait_s)
