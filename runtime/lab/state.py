"""The record of a lab in /run/turnout/lab-<name>/state.json, written before each step that it describes.

So whenever the builder is killed, the record names everything that may exist; `teardown` removes all of it. A record
is replaced as a whole, never half written. All changes happen under the lock of the lab's folder.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from runtime.lab.errors import LabError

RUN: Final = Path("/run/turnout")
VERSION: Final = 1
Phase = Literal["building", "ready", "removing"]
Kind = Literal["underlay", "node", "device", "workload"]
Role = Literal["device", "server"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A namespace of the lab and what it plays. `name` is "namespace/name" for a workload."""

    kind: Kind
    name: str
    namespace: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process of the lab. `started` is its start time in clock ticks since boot (proc(5), stat field 22), which
    tells it from a later process with the same id."""

    role: Role
    member: str
    pid: int
    started: int
    log: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabState:
    """`fingerprint` is that of the topology; `listens` are the addresses of the device servers."""

    lab: str
    phase: Phase
    fingerprint: str
    offloads: bool
    members: tuple[Member, ...]
    listens: tuple[str, ...]
    processes: tuple[Process, ...] = ()

    def with_process(self, process: Process) -> LabState:
        return replace(self, processes=(*self.processes, process))


def folder_of(lab: str, run: Path = RUN) -> Path:
    return run / f"lab-{lab}"


def read_state(folder: Path) -> LabState | None:
    """The record in a lab's folder, None when nothing was ever recorded. Raises `LabError` for a foreign file."""
    path = folder / "state.json"
    try:
        data: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise LabError(f"{path} is no record of a lab: {error}", hint=_foreign_hint(folder)) from error
    if data.pop("version", None) != VERSION:
        raise LabError(f"{path} was written by another version of Turnout", hint=_foreign_hint(folder))
    members = tuple(_member(member) for member in data.pop("members"))
    processes = tuple(Process(**process) for process in data.pop("processes"))
    return LabState(members=members, processes=processes, listens=tuple(data.pop("listens")), **data)


def _member(data: dict[str, Any]) -> Member:
    addresses = tuple(data.pop("addresses"))
    return Member(addresses=addresses, **data)


def _foreign_hint(folder: Path) -> str:
    return f"look with `ip netns` for what is left of it, then remove {folder}"


def write_state(folder: Path, state: LabState) -> None:
    """Replace the record, durably enough for a killed process (not for a machine that loses power: /run is memory)."""
    temporary = folder / "state.json.new"
    temporary.write_text(json.dumps({"version": VERSION, **asdict(state)}, indent=1))
    temporary.replace(folder / "state.json")


def all_states(run: Path = RUN) -> Iterator[LabState]:
    """The records of all labs of this machine."""
    for folder in sorted(run.glob("lab-*")):
        state = read_state(folder)
        if state is not None:
            yield state


@contextmanager
def locked(folder: Path) -> Generator[None]:
    """Hold a lab's folder, which is made, against other commands on the same lab."""
    descriptor = _lock(folder)
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(folder: Path) -> int:
    while True:
        # Not `exist_ok`: that asks whether what exists is a directory, and fails if it has been removed since.
        with suppress(FileExistsError):
            folder.mkdir(parents=True, mode=0o755)
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Whoever held it may have removed the folder; then this is the lock of nothing.
        if folder.exists() and os.path.samestat(os.fstat(descriptor), folder.stat()):
            return descriptor
        os.close(descriptor)
