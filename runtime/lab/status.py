"""What of a lab exists at this moment, beside what its record says. Called by `turnout lab status`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runtime.lab import netns, processes
from runtime.lab.errors import LabError
from runtime.lab.state import RUN, LabState, Member, Process, folder_of, read_state


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberStatus:
    """`pid` is that of the device or of the servers, None where none was asked for or recorded."""

    kind: str
    name: str
    namespace: str
    exists: bool
    addresses: tuple[str, ...]
    pid: int | None
    alive: bool | None
    log: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabStatus:
    lab: str
    phase: str
    offloads: bool
    members: tuple[MemberStatus, ...]

    @property
    def is_whole(self) -> bool:
        return self.phase == "ready" and all(m.exists and m.alive is not False for m in self.members)


def recorded(lab: str, run: Path = RUN) -> LabState:
    """The record of a lab. Raises `LabError` when it is not up."""
    state = read_state(folder_of(lab, run))
    if state is None:
        raise LabError(f"lab '{lab}' is not up", hint="`turnout lab up POLICY...` builds it")
    return state


def status(lab: str, run: Path = RUN) -> LabStatus:
    state = recorded(lab, run)
    latest = {(process.role, process.member): process for process in state.processes}
    members = tuple(_member_status(member, latest.get((_role(member), member.name))) for member in state.members)
    return LabStatus(lab=state.lab, phase=state.phase, offloads=state.offloads, members=members)


def _role(member: Member) -> str:
    return "device" if member.kind == "device" else "server"


def _member_status(member: Member, process: Process | None) -> MemberStatus:
    return MemberStatus(
        kind=member.kind,
        name=member.name,
        namespace=member.namespace,
        exists=netns.exists(member.namespace),
        addresses=member.addresses,
        pid=None if process is None else process.pid,
        alive=None if process is None else processes.is_alive(process),
        log=None if process is None else process.log,
    )


def find_member(state: LabState, name: str) -> Member:
    """The member that a user means: a name, "namespace/name", or "kind:name" where a name is more than one thing.

    Raises `LabError` when there is none, or several.
    """
    kind, _, rest = name.rpartition(":")
    found = [m for m in state.members if rest in (m.name, m.name.rpartition("/")[2]) and kind in ("", m.kind)]
    exact = [member for member in found if member.name == rest]
    chosen = exact if len(exact) == 1 else found
    if len(chosen) == 1:
        return chosen[0]
    if not chosen:
        known = ", ".join(sorted(member.name for member in state.members))
        raise LabError(f"lab '{state.lab}' has no '{name}'", hint=f"it has: {known}")
    choices = ", ".join(f"{member.kind}:{member.name}" for member in chosen)
    raise LabError(f"'{name}' is more than one thing in lab '{state.lab}'", hint=f"say one of: {choices}")


def exec_command(state: LabState, name: str, command: list[str]) -> list[str]:
    """The command line that runs `command` in a member's namespace. Raises `LabError`."""
    member = find_member(state, name)
    netns.require_root()
    if not netns.exists(member.namespace):
        raise LabError(f"namespace {member.namespace} is gone", hint="`turnout lab up` again repairs the lab")
    return [netns.tool("ip", "iproute2"), "netns", "exec", member.namespace, *command]
