"""The status of an ImageConversion, from what its Job says of it. Pure: same input, same status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from agents.imagecontroller import wire
from agents.imagecontroller.translate.jobs import Attempt
from agents.imagecontroller.wire import Object

READY, FAILED = "Ready", "Failed"
MESSAGE_CHARACTERS: Final = 2000
_RUNNING: Final = ("Pulling", "Converting", "Publishing")


class Told(NamedTuple):
    """What is to be said: `reason` and `message` of the condition Ready, and of Failed where it has."""

    phase: str
    reason: str
    message: str = ""
    progress: int = 0
    blocks: tuple[Mapping[str, Any], ...] = ()
    is_ready: bool = False
    has_failed: bool = False
    node: str = ""
    took_s: float | None = None
    """Of an attempt that has ended."""


def make_status(conversion: Object, told: Told, now_s: float) -> Object:
    """Times of conditions stay those of before where nothing has turned."""
    generation = wire.generation_of(conversion)
    reasons = {READY: (told.is_ready, told.reason), FAILED: (told.has_failed, told.reason)}
    return {
        "phase": told.phase,
        "progress": told.progress,
        "blocks": [dict(block) for block in told.blocks],
        "ready": told.is_ready,
        "node": told.node,
        "observedGeneration": generation,
        "conditions": [
            {
                "type": kind,
                "status": str(is_so),
                "reason": reason,
                "message": told.message[:MESSAGE_CHARACTERS],
                "lastTransitionTime": _turned_at(conversion, kind, str(is_so), now_s),
                "observedGeneration": generation,
            }
            for kind, (is_so, reason) in reasons.items()
        ],
    }


def _turned_at(conversion: Object, kind: str, status: str, now_s: float) -> str:
    before = wire.condition(conversion, kind)
    if before is not None and before.get("status") == status and before.get("lastTransitionTime"):
        return str(before["lastTransitionTime"])
    return wire.timestamp(now_s)


def is_said(conversion: Object, status: Object) -> bool:
    """The conversion has this status already."""
    there = wire.status_of(conversion)
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
    words = wire.condition(attempt.job, "Failed") or {}
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
        is_ready=report.get("ready") is True,
        has_failed=is_last,
        node=attempt.node,
        took_s=attempt.took_s,
    )


def waiting(conversion: Object, reason: str, message: str) -> Told:
    """Nothing is under way. What was converted before is where it was, until the next Job has looked."""
    before = wire.status_of(conversion)
    is_ready = before.get("ready") is True and before.get("observedGeneration") == wire.generation_of(conversion)
    return Told(
        phase="Pending",
        reason=reason,
        message=message,
        blocks=blocks(before) if is_ready else (),
        is_ready=is_ready,
        node=str(before.get("node") or ""),
    )


def refused(conversion: Object, message: str) -> Told:
    node = str(wire.status_of(conversion).get("node") or "")
    return Told(phase="Failed", reason="InvalidSpec", message=message, has_failed=True, node=node)


def blocks(status: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    return tuple(status.get("blocks") or ())
