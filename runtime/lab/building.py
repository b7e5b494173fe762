"""Bringing a lab up: from nothing, again, or after it was left half-way.

`up` compares the record with what is asked and with what exists. All there: nothing to do. Only processes gone: they
are started again. Anything else missing, or a builder that did not finish: taken away and built anew.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

from runtime.lab import links, netns, processes, teardown
from runtime.lab.errors import LabError
from runtime.lab.installation import turnout_program
from runtime.lab.offloads import set_offloads
from runtime.lab.proxies import proxy_command
from runtime.lab.servers import server_command
from runtime.lab.state import (
    RUN,
    LabState,
    Member,
    Process,
    all_states,
    folder_of,
    locked,
    read_state,
    write_state,
)
from runtime.lab.topology import LabDevice, LabWorkload, Topology

DeviceCommand = Callable[[LabDevice, Path], Sequence[str]]
"""The command that serves a device, given the device and its folder; it prints a line "ready" when it serves."""
Say = Callable[[str], None]


class Outcome(StrEnum):
    BUILT = "built"
    REBUILT = "rebuilt"
    REPAIRED = "repaired"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """How labs are built here. `say` gets a line of progress per step."""

    device_command: DeviceCommand
    say: Say
    run: Path = RUN

    def up(self, topology: Topology, *, offloads: bool = True) -> Outcome:
        """Make the lab be there. Raises `LabError`; what was built by then stays for `down` or a further `up`."""
        netns.require_root()
        folder = folder_of(topology.lab, self.run)
        with locked(folder):
            recorded = read_state(folder)
            try:
                return self._up(folder, recorded, plan(topology, offloads=offloads), topology)
            finally:
                if read_state(folder) is None:
                    teardown.discard(folder)

    def _up(self, folder: Path, recorded: LabState | None, planned: LabState, topology: Topology) -> Outcome:
        if recorded is None:
            refuse_clashes(planned, self.run)
            self._build(folder, planned, topology)
            return Outcome.BUILT
        if recorded.phase == "ready" and recorded.fingerprint != planned.fingerprint:
            hint = f"`turnout lab down --name {topology.lab}` first"
            raise LabError(f"lab '{topology.lab}' is up with other nodes, devices or workloads", hint=hint)
        if recorded.phase == "ready" and has_links(topology):
            return self._repair(folder, recorded, planned, topology)
        self.say(f"lab '{topology.lab}' is not whole: building it anew")
        teardown.remove(folder, recorded)
        refuse_clashes(planned, self.run)
        self._build(folder, planned, topology)
        return Outcome.REBUILT

    def _build(self, folder: Path, planned: LabState, topology: Topology) -> None:
        write_state(folder, planned)
        self.say(f"making {len(planned.members)} namespaces")
        netns.ip_batch([f"netns add {member.namespace}" for member in planned.members])
        for namespace, values in links.sysctls(topology):
            netns.set_sysctls(namespace, values)
        netns.ip_batch(links.creation(topology))
        for workload in topology.workloads:
            if workload.vlan:
                _make_vlan(workload)
        for namespace, lines in links.configuration(topology):
            netns.ip_batch(lines, namespace=namespace)
        if not planned.offloads:
            set_offloads(topology, on=False)
        self._serve(folder, planned, topology)

    def _repair(self, folder: Path, recorded: LabState, planned: LabState, topology: Topology) -> Outcome:
        alive = tuple(process for process in recorded.processes if processes.is_alive(process))
        outcome = Outcome.UNCHANGED
        if recorded.offloads != planned.offloads:
            write_state(folder, replace(recorded, offloads=planned.offloads))
            set_offloads(topology, on=planned.offloads)
            outcome = Outcome.REPAIRED
        if len(alive) < len(topology.devices) + sum(1 for w in topology.workloads if w.is_serving):
            outcome = Outcome.REPAIRED
        self._serve(folder, replace(planned, processes=alive), topology)
        return outcome

    def _serve(self, folder: Path, state: LabState, topology: Topology) -> None:
        """Start every device and server that does not run, and wait until all are ready."""
        running = {(process.role, process.member) for process in state.processes}
        recorder = _Recorder(folder, state)
        started = [
            self._start_device(folder, d, recorder) for d in topology.devices if ("device", d.name) not in running
        ]
        serving = [w for w in topology.workloads if w.is_serving and ("server", w.key) not in running]
        started += [_start_server(folder, workload, recorder) for workload in serving]
        if started:
            self.say(f"starting {len(started)} devices and servers")
        processes.wait_ready(started)
        recorder.finish()

    def _start_device(self, folder: Path, device: LabDevice, recorder: _Recorder) -> Process:
        own = folder / device.name
        own.mkdir(exist_ok=True)
        if device.socket is not None:
            Path(device.socket).unlink(missing_ok=True)
        return processes.start(
            self.device_command(device, own),
            namespace=device.namespace,
            log=folder / f"{device.name}.device.log",
            role="device",
            member=device.name,
            record=recorder.add,
        )


@dataclass(slots=True)
class _Recorder:
    """Keeps the record as processes are started."""

    folder: Path
    state: LabState

    def add(self, process: Process) -> None:
        self.state = self.state.with_process(process)
        write_state(self.folder, self.state)

    def finish(self) -> None:
        self.state = replace(self.state, phase="ready")
        write_state(self.folder, self.state)


def _make_vlan(workload: LabWorkload) -> None:
    try:
        netns.ip_batch([links.vlan_line(workload)], namespace=workload.namespace)
    except LabError as error:
        message = f"workload '{workload.key}' is behind VLAN {workload.vlan}, and the kernel makes no VLAN interface"
        raise LabError(f"{message}: {error.message}", hint="it needs CONFIG_VLAN_8021Q (module 8021q)") from error


def _start_server(folder: Path, workload: LabWorkload, recorder: _Recorder) -> Process:
    is_proxy = workload.proxy is not None
    return processes.start(
        proxy_command(turnout_program(), workload, folder) if is_proxy else server_command(workload),
        namespace=workload.namespace,
        log=folder / f"{workload.key.replace('/', '.')}.server.log",
        role="server",
        member=workload.key,
        record=recorder.add,
    )


def plan(topology: Topology, *, offloads: bool) -> LabState:
    """The record of a lab of which nothing exists yet."""
    members = [Member(kind="underlay", name="underlay", namespace=topology.underlay, addresses=())]
    for node in topology.nodes:
        addresses = tuple(map(str, node.addresses))
        members.append(Member(kind="node", name=node.name, namespace=node.namespace, addresses=addresses))
    for device in topology.devices:
        addresses = () if device.underlay is None else (str(device.underlay.address),)
        members.append(Member(kind="device", name=device.name, namespace=device.namespace, addresses=addresses))
    for workload in topology.workloads:
        addresses = tuple(map(str, workload.addresses))
        members.append(Member(kind="workload", name=workload.key, namespace=workload.namespace, addresses=addresses))
    return LabState(
        lab=topology.lab,
        phase="building",
        fingerprint=sha256(repr(topology).encode()).hexdigest(),
        offloads=offloads,
        members=tuple(members),
        listens=tuple(device.listen for device in topology.devices),
    )


def has_links(topology: Topology) -> bool:
    """Whether every namespace exists and has its interfaces; more interfaces than planned do no harm."""
    for namespace, expected in links.interfaces(topology).items():
        found = netns.interfaces(namespace)
        if found is None or not expected <= found:
            return False
    return True


def refuse_clashes(planned: LabState, run: Path) -> None:
    """Raise `LabError` when something that the lab would make exists already and is somebody else's."""
    for other in all_states(run):
        both = sorted(set(other.listens) & set(planned.listens))
        if other.lab != planned.lab and both:
            hint = f"`turnout lab down --name {other.lab}`, or give the devices other addresses"
            raise LabError(f"lab '{other.lab}' already has a device at {both[0]}", hint=hint)
    for member in planned.members:
        if netns.exists(member.namespace):
            hint = f"`ip netns delete {member.namespace}` if nobody needs it, or another --name"
            raise LabError(f"namespace {member.namespace} exists, and no lab has recorded it", hint=hint)
    for listen in planned.listens:
        if listen.startswith("unix:") and _answers(listen.removeprefix("unix:")):
            raise LabError(f"a device that is not of this lab already listens at {listen}", hint="stop it first")


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(path) == 0
