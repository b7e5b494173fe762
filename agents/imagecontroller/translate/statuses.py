"""The status of an ImageConversion, from what its Job says of it. Pure: same input, same status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from agents.cluster import objects
from agents.cluster.adoptions import Adopted
from agents.cluster.objects import Object
from agents.imagecontroller.translate.jobs import Attempt

READY, FAILED, ADOPTED = "Ready", "Failed", "Adopted"
MESSAGE_CHARACTERS: Final = 2000
_RUNNING: Final = ("Pulling", "Converting", "Publishing")


class Told(NamedTuple):
    """What is to be said: `reason` and `message` of the condition Ready, and of Failed where it has."""

    phase: str
    reason: str
    message: str = ""
    progress: int = 0
    blocks: tuple[Mapping[str, Any], ...] = ()
    images: tuple[Mapping[str, Any], ...] = ()
    is_ready: bool = False
    has_failed: bool = False
    node: str = ""
    took_s: float | None = None
    """Of an attempt that has ended."""


def make_status(
    conversion: Object, told: Told, now_s: float, server: str = "", adopted: Adopted | None = None
) -> Object:
    """Times of conditions stay those of before where nothing has turned. `server` has the node's volumes, `adopted` is
    what nodes have told."""
    generation = objects.generation_of(conversion)
    reasons = {READY: (told.is_ready, told.reason), FAILED: (told.has_failed, told.reason)}
    message = told.message[:MESSAGE_CHARACTERS]
    return {
        "phase": told.phase,
        "progress": told.progress,
        "blocks": [dict(block) for block in told.blocks],
        "images": [dict(image) for image in told.images],
        "ready": told.is_ready,
        "node": told.node,
        "server": server if told.is_ready else "",
        "observedGeneration": generation,
        "conditions": [
            *(_condition(conversion, kind, is_so, reason, message, now_s) for kind, (is_so, reason) in reasons.items()),
            *_adopted_condition(conversion, adopted, now_s),
        ],
        **({} if adopted is None else {"adoption": _adoption(adopted)}),
    }


def refreshed(conversion: Object, now_s: float, server: str, adopted: Adopted | None) -> Object:
    """What may have changed of a conversion that is over and done with: where its volumes are read, and by whom."""
    there = objects.status_of(conversion)
    others = [dict(one) for one in there.get("conditions") or () if one.get("type") != ADOPTED]
    return {
        "server": server if there.get("ready") is True else "",
        "conditions": [*others, *_adopted_condition(conversion, adopted, now_s)],
        **({} if adopted is None else {"adoption": _adoption(adopted)}),
    }


def _adopted_condition(conversion: Object, adopted: Adopted | None, now_s: float) -> list[Object]:
    if adopted is None:
        before = objects.condition(conversion, ADOPTED)
        return [] if before is None else [dict(before)]
    is_so = adopted.adopted == adopted.nodes
    reason = "AllNodes" if is_so else "SomeNodes" if adopted.adopted else "NoNode"
    return [_condition(conversion, ADOPTED, is_so, reason, adopted.message[:MESSAGE_CHARACTERS], now_s)]


def _adoption(adopted: Adopted) -> Object:
    return {"nodes": adopted.nodes, "adopted": adopted.adopted}


def _condition(conversion: Object, kind: str, is_so: bool, reason: str, message: str, now_s: float) -> Object:
    return {
        "type": kind,
        "status": str(is_so),
        "reason": reason,
        "message": message,
        "lastTransitionTime": _turned_at(conversion, kind, str(is_so), now_s),
        "observedGeneration": objects.generation_of(conversion),
    }


def _turned_at(conversion: Object, kind: str, status: str, now_s: float) -> str:
    before = objects.condition(conversion, kind)
    if before is not None and before.get("status") == status and before.get("lastTransitionTime"):
        return str(before["lastTransitionTime"])
    return objects.timestamp(now_s)


def is_said(conversion: Object, status: Object) -> bool:
    """The conversion has this status already."""
    there: Mapping[str, Any] = {"server": "", "images": [], "conditions": [], **objects.status_of(conversion)}
    return all(there.get(name) == value for name, value in status.items())


def running(attempt: Attempt) -> Told:
    """As far as the conversion itself has told."""
    report = attempt.report or {}
    phase, progress = report.get("phase"), report.get("progress")
    is_known = phase in _RUNNING and isinstance(progress, int) and 0 <= progress <= 100
    return Told(
        phase=str(phase) if is_known else "Pending",
        progress=int(progress or 0) if is_known else 0,
        reason="InProgress",
        message=f"attempt {attempt.number} on node {attempt.node}",
        blocks=blocks(report),
        images=images(report),
        is_ready=report.get("ready") is True,
        node=attempt.node,
    )


def succeeded(attempt: Attempt) -> Told | None:
    """None where the Job has ended well, and its conversion has not told that it did."""
    report = attempt.report or {}
    if report.get("phase") != "Succeeded" or report.get("ready") is not True:
        return None
    return Told(
        phase="Succeeded",
        progress=100,
        reason="Converted",
        blocks=blocks(report),
        images=images(report),
        is_ready=True,
        node=attempt.node,
        took_s=attempt.took_s,
    )


def failure(attempt: Attempt) -> str:
    """Why an attempt has failed: what the conversion said last, else what the Job says."""
    if attempt.ended == "Complete":
        return "the Job ended without having told what it converted"
    report = attempt.report or {}
    for one in report.get("conditions") or ():
        if one.get("reason") == "ConversionFailed" and one.get("message"):
            return str(one["message"])
    words = objects.condition(attempt.job, "Failed") or {}
    said = ": ".join(str(words[name]) for name in ("reason", "message") if words.get(name)) or "the Job failed"
    if report.get("phase") in _RUNNING:
        return f"stopped while {report['phase']}, at {report.get('progress')} % ({said})"
    return said


def failed(attempt: Attempt, message: str, *, is_last: bool) -> Told:
    """The volumes of an earlier conversion are still there, as the last one has told."""
    report = attempt.report or {}
    return Told(
        phase="Failed" if is_last else "Pending",
        progress=int(report.get("progress") or 0),
        reason="ConversionFailed" if is_last else "Retrying",
        message=message,
        blocks=blocks(report),
        images=images(report),
        is_ready=report.get("ready") is True,
        has_failed=is_last,
        node=attempt.node,
        took_s=attempt.took_s,
    )


def waiting(conversion: Object, reason: str, message: str, *, is_lost: bool = False) -> Told:
    """Nothing is under way. What was converted before is where it was, until the next Job has looked, or is lost."""
    before = objects.status_of(conversion)
    is_ready = (
        not is_lost
        and before.get("ready") is True
        and before.get("observedGeneration") == objects.generation_of(conversion)
    )
    return Told(
        phase="Pending",
        reason=reason,
        message=message,
        blocks=blocks(before) if is_ready else (),
        images=images(before) if is_ready else (),
        is_ready=is_ready,
        node="" if is_lost else str(before.get("node") or ""),
    )


def refused(conversion: Object, message: str) -> Told:
    node = str(objects.status_of(conversion).get("node") or "")
    return Told(phase="Failed", reason="InvalidSpec", message=message, has_failed=True, node=node)


def images(status: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    return tuple(status.get("images") or ())


def blocks(status: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    return tuple(status.get("blocks") or ())
