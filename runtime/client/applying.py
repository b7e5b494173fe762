"""`turnout apply` for one device: look, plan, load the pipeline if there is none, write the difference.

Looking changes nothing, so a dry run is the first half of the real one. Interrupted between batches, the device keeps
what was written; the order of the plan makes that harmless, and the next run finishes it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from finsy.proto import p4i, p4r

from compiler.diagnostic import Diagnostic
from compiler.entries.desired import compile_entries
from compiler.ir.entries import Entries
from compiler.ir.nodes import Pipeline
from compiler.policy.policyset import Device, PolicySet, Profile
from compiler.printers.p4info import p4info
from compiler.printers.v1model_p4info import v1model_p4info
from runtime.client.contents import Contents
from runtime.client.errors import OtherPipelineError
from runtime.client.plan import Plan, Step, difference
from runtime.client.session import Session

BATCH = 1000
"""Updates in a Write. A batch with one refused update answers with an error for each (35 bytes of metadata each)."""


class PipelineState(StrEnum):
    """What the device runs, compared with what the entries are for. What is not SAME will be loaded over."""

    NONE = "none"
    SAME = "same"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What applying would do to one device. `diagnostics` are of its entries; with an error among them, do not."""

    device: Device
    pipeline: PipelineState
    running: str
    """Name and version of the pipeline that runs, or an empty string."""
    plan: Plan
    diagnostics: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An update that the device refused."""

    step: Step
    text: str


def look(session: Session, device: Device, policies: PolicySet, pipeline: Pipeline, *, replaces: bool) -> Outlook:
    """Compare policies and device.

    With `replaces` the pipeline is loaded whatever runs, also the same one, which may have been compiled differently.
    Raises OtherPipelineError when another runs, without `replaces`.
    """
    running = session.pipeline()
    wanted = v1model_p4info(pipeline) if device.profile is Profile.V1MODEL else p4info(pipeline)
    state = _state(running, wanted)
    named = "" if running is None else f"{running.p4info.pkg_info.name} {running.p4info.pkg_info.version}".strip()
    if state is PipelineState.OTHER and not replaces:
        raise OtherPipelineError(
            f"device '{device.name}' runs another pipeline ({named or 'without a name'}); --replace-pipeline loads "
            f"{pipeline.name} {pipeline.version} over it, which ends its connections and removes its entries"
        )
    if replaces and state is PipelineState.SAME:
        state = PipelineState.OTHER
    present = Contents(pipeline).read(session) if state is PipelineState.SAME else Entries()
    desired = compile_entries(policies, device, present, pipeline)
    return Outlook(
        device=device,
        pipeline=state,
        running=named,
        plan=difference(present, desired.entries),
        diagnostics=desired.diagnostics,
    )


def _state(running: p4r.ForwardingPipelineConfig | None, wanted: p4i.P4Info) -> PipelineState:
    if running is None:
        return PipelineState.NONE
    return PipelineState.SAME if _contract(running.p4info) == _contract(wanted) else PipelineState.OTHER


def runs(config: p4r.ForwardingPipelineConfig, pipeline: Pipeline) -> bool:
    """Whether a device runs a pipeline, by its P4Info: as eBPF, as a model, or as printed for v1model."""
    return any(_state(config, one(pipeline)) is PipelineState.SAME for one in (p4info, v1model_p4info))


def _contract(info: p4i.P4Info) -> list[tuple[str, list[bytes]]]:
    """What a P4Info promises, whatever the order of its parts, documentation and package information."""
    promised: list[tuple[str, list[bytes]]] = []
    for part, value in info.ListFields():
        if part.name != "pkg_info" and part.is_repeated:
            promised.append((part.name, sorted(one.SerializeToString(deterministic=True) for one in value)))
    return promised


def perform(
    session: Session, outlook: Outlook, pipeline: Pipeline, bundle: Callable[[], bytes], done: Callable[[int], None]
) -> Iterator[Failure]:
    """Do it. Yields what was refused; `done` hears of finished updates. Raises ClientError when nothing goes on.

    The session must be primary. The pipeline is loaded first where there is none or another.
    """
    if outlook.pipeline is not PipelineState.SAME:
        config = bundle()
        session.set_pipeline(p4info(pipeline), config, cookie(config))
    contents = Contents(pipeline)
    for steps in _batches(outlook.plan.steps):
        errors = session.write(list(contents.updates(steps)))
        yield from (
            Failure(step=step, text=error.message)
            for step, error in zip(steps, errors, strict=True)
            if error is not None
        )
        done(len(steps))


def cookie(config: bytes) -> int:
    """64 bits that tell one device config from another."""
    return int.from_bytes(hashlib.sha256(config).digest()[:8], "big")


def _batches(steps: Sequence[Step]) -> Iterator[list[Step]]:
    rest = iter(steps)
    while batch := list(islice(rest, BATCH)):
        yield batch
