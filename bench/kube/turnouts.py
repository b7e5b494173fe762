"""Turnout's side: a device, policies applied to it as a whole, and a client that writes what one change needs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.control.device_process import Device
from bench.kube.objects import Served, as_text, changed, more
from bench.lab.programs import TrafficError
from bench.report.machine import ROOT
from compiler.diagnostic import has_errors
from compiler.ir.entries import Entries, Group, GroupRef, Member, TableEntry
from compiler.pipeline.assembly import pipeline
from compiler.policy.loading import load_texts
from compiler.policy.policyset import PolicySet
from runtime.applied import FOLDER
from runtime.build import build_bundle
from runtime.client.applying import Outlook, look, perform
from runtime.client.contents import Contents
from runtime.client.plan import Step
from runtime.client.session import Session

FABRIC = Path(__file__).with_name("fabric.yaml")
NAME = "bench-dpu-a"
COMMAND = (sys.executable, "-c", "from cli.main import main; main()")


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """Seconds of `turnout apply`, a process each time."""

    start_s: float
    """Of a device, until clients can connect."""
    pipeline_s: float
    """The network and its ports to the empty device, which gets its programs by it."""
    whole_s: float
    """All services: policies read, compiled, compared with the device, entries written, all answered."""
    again_s: list[float]
    """One endpoint is another one: what has changed is read, all compiled and compared, the difference written."""
    memory_mb: float
    """The most that the device's process held."""
    maps_mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """Seconds of a client that is connected to a device with the pipeline."""

    read_s: float
    """Text to policies."""
    compiled_s: float
    """Policies to entries, and the difference from what the device holds, which is nothing of it."""
    written_s: float
    updates: int
    more_s: list[float]
    """One more service, a Write: from what is to change until the answer, when it is in the maps."""
    changed_s: list[float]
    """The same for one endpoint that is another one."""


def applied(services: Sequence[Served], times: int) -> Applied:
    """By the command. `services` end with those that nobody calls."""
    with _device() as (device, start_s, folder):
        path = folder / "services.yaml"
        pipeline_s = _apply(device, folder)
        path.write_text(as_text(services))
        whole_s = _apply(device, folder, path)
        again: list[float] = []
        for number in range(times):
            path.write_text(as_text(_with_changes(services, range(number, number + 1))))
            again.append(_apply(device, folder, path))
        return Applied(
            start_s=start_s,
            pipeline_s=pipeline_s,
            whole_s=whole_s,
            again_s=again,
            memory_mb=device.peak_memory_mb(),
            maps_mb=device.maps_mb(),
        )


def written(services: Sequence[Served], times: int) -> Written:
    """By a client in this process, which knows what is to change."""
    with _device() as (device, _, _), Session(device.address) as session:
        session.become_primary()
        _perform(session, _look(session, _policies([])))
        begun = time.perf_counter()
        policies = _policies(services)
        read = time.perf_counter()
        outlook = _look(session, policies)
        compiled = time.perf_counter()
        _perform(session, outlook)
        done = time.perf_counter()
        return Written(
            read_s=read - begun,
            compiled_s=compiled - read,
            written_s=done - compiled,
            updates=len(outlook.plan.steps),
            more_s=_one_by_one(session, [*services, *map(more, range(times))]),
            changed_s=_one_by_one(session, [*_with_changes(services, range(times)), *map(more, range(times))]),
        )


def _with_changes(services: Sequence[Served], numbers: Iterable[int]) -> list[Served]:
    """Of services that are many fewer than the numbers, each is changed once."""
    fillers = sum(one.name.startswith("s") for one in services)
    new = {one.name: one for one in (changed(number, fillers) for number in numbers)}
    return [new.get(one.name, one) for one in services]


@contextmanager
def _device() -> Generator[tuple[Device, float, Path]]:
    with TemporaryDirectory(prefix="turnout-bench-") as name, Device("kernel", Path(name)) as device:
        yield device, device.start(), Path(name)


def _apply(device: Device, folder: Path, *paths: Path) -> float:
    """Seconds that the command took. Raises `TrafficError` with its words."""
    words = ["apply", "--device", f"{NAME}={device.address}", *map(str, (FABRIC, *paths))]
    environment = {**os.environ, FOLDER: str(folder / "applied")}
    begun = time.perf_counter()
    done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, cwd=ROOT, env=environment)
    if done.returncode:
        raise TrafficError(f"`turnout apply` failed: {done.stderr.strip()}")
    return time.perf_counter() - begun


def _policies(services: Sequence[Served]) -> PolicySet:
    loaded = load_texts({"fabric.yaml": FABRIC.read_text(), "services.yaml": as_text(services)})
    if loaded.is_refused:
        raise TrafficError(loaded.render())
    return loaded.policies


def _look(session: Session, policies: PolicySet) -> Outlook:
    device = next(one for one in policies.devices if one.name == NAME)
    outlook = look(session, device, policies, pipeline(), replaces=False)
    if has_errors(outlook.diagnostics):
        raise TrafficError("; ".join(one.message for one in outlook.diagnostics))
    return outlook


def _perform(session: Session, outlook: Outlook) -> None:
    for failure in perform(session, outlook, pipeline(), lambda: build_bundle(pipeline()), lambda _: None):
        raise TrafficError(f"the device refused {failure.step}: {failure.text}")


def _one_by_one(session: Session, services: Sequence[Served]) -> list[float]:
    """What these services need beside what the device holds, each service by a Write of its own."""
    outlook = _look(session, _policies(services))
    contents, waits = Contents(pipeline()), list[float]()
    for steps in by_service(outlook):
        begun = time.perf_counter()
        refused = [error for error in session.write(list(contents.updates(steps))) if error is not None]
        waits.append(time.perf_counter() - begun)
        if refused:
            raise TrafficError(f"the device refused a change: {refused[0].message}")
    return waits


def by_service(outlook: Outlook) -> list[list[Step]]:
    """The steps of a plan by the service that they are for, in the plan's order."""
    users = _groups_of_members(outlook)
    owners = _owners_of_groups(outlook.desired)
    found: dict[str, list[Step]] = {}
    for step in outlook.plan.steps:
        match step.entity:
            case TableEntry(owner=owner):
                found.setdefault(owner, []).append(step)
            case Group(id=number):
                found.setdefault(owners[number], []).append(step)
            case Member(id=number):
                found.setdefault(owners[users[number]], []).append(step)
    return [*found.values()]


def _groups_of_members(outlook: Outlook) -> dict[int, int]:
    """The group that each member is in, or was in before."""
    before = [step.before for step in outlook.plan.steps if isinstance(step.before, Group)]
    return {member.member_id: group.id for group in (*before, *outlook.desired.groups) for member in group.members}


def _owners_of_groups(desired: Entries) -> dict[int, str]:
    return {
        entry.action.group_id: entry.owner
        for entry in desired.table_entries
        if isinstance(entry.action, GroupRef) and entry.table.startswith("backend_")
    }
