"""The devices of a policy set side by side: what one sends into the underlay comes in at the other.

Each device is a comparison of its own, so every hop of every packet is compared with the interpreter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address

from compiler.entries.desired import compile_entries
from compiler.ir.entries import Entries, TableEntry
from compiler.ir.interpreter import Outcome, VerdictKind, trace
from compiler.policy.policyset import Device, PolicySet
from compiler.span import InternalError
from runtime.client.fixup import CONNECTION_TABLES, RemovedBackends, fix_up
from runtime.client.plan import Kind, Plan, difference
from runtime.verification.comparison import Comparison
from runtime.verification.findings import Violation
from runtime.verification.interpreter_level import InterpreterLevel
from runtime.verification.rendering import outcome_text

MOST_HOPS = 4
_UNDERLAY_DESTINATION = slice(30, 34)


class End(Enum):
    """What became of a packet. LEFT: into the underlay, to no device of these."""

    DELIVERED = "delivered"
    ANSWERED = "answered"
    DROPPED = "dropped"
    UNTOUCHED = "untouched"
    LEFT = "left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    device: str
    port: int
    frame: bytes
    outcome: Outcome

    @property
    def has_learned(self) -> bool:
        """Whether the device has learned a connection from it; what is kept of a first fragment is none."""
        learned = (step.table for step in self.outcome.trace if isinstance(step, trace.Learned))
        return any(table.startswith("flow") for table in learned)


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """Its hops, and where it ended: of what was delivered or answered, port and frame are those of the last outcome."""

    hops: tuple[Hop, ...]
    end: End

    @property
    def last(self) -> Hop:
        return self.hops[-1]

    @property
    def frame(self) -> bytes:
        return self.last.outcome.packet

    @property
    def is_known(self) -> bool:
        """Whether a device took it for a packet of a connection that it knows."""
        steps = (step for hop in self.hops for step in hop.outcome.trace)
        return any(isinstance(step, trace.Hit) and step.found_in.startswith("flow") for step in steps)

    @property
    def has_learned(self) -> bool:
        """Whether a device has learned a connection from it."""
        return any(hop.has_learned for hop in self.hops)

    def __str__(self) -> str:
        ways = (f"{hop.device} port {hop.port}: {outcome_text(hop.outcome)}" for hop in self.hops)
        return "; ".join((*ways, self.end.value))


class Fabric:
    """`comparisons` by device name, all new; they get the entries of `policies`."""

    def __init__(self, comparisons: Mapping[str, Comparison], policies: PolicySet) -> None:
        self.comparisons = dict(comparisons)
        self.held: dict[str, Entries] = {}
        self.policies = policies
        self._whole: dict[str, bool] = {}
        self._is_settled: bool | None = None
        for name, comparison in comparisons.items():
            self.begin_anew(name, comparison)

    def begin_anew(self, name: str, comparison: Comparison) -> None:
        """A device that holds nothing gets all that the policies ask for."""
        self.comparisons[name] = comparison
        self.held[name] = Entries()
        self.held[name] = self.wanted(name)
        comparison.fill(self.held[name])
        self._whole[name] = True
        self._is_settled = None

    def adopt(self, policies: PolicySet) -> None:
        """Other policies; devices hold what they held."""
        self.policies = policies
        self._is_settled = None
        self._whole = dict.fromkeys(self._whole, False)

    @property
    def is_fixed_up(self) -> bool:
        """Whether every device was brought to what the policies ask for as a whole: it holds that, and no connection
        that does not go on."""
        return self.is_settled and all(self._whole.values())

    @property
    def is_settled(self) -> bool:
        """Whether every device holds what the policies ask for."""
        if self._is_settled is None:
            self._is_settled = not any(self.plan(name).steps for name in self.comparisons)
        return self._is_settled

    def device(self, name: str) -> Device:
        return next(device for device in self.policies.devices if device.name == name)

    def wanted(self, name: str) -> Entries:
        """What a device must hold for the policies, numbers as it has them now."""
        return compile_entries(self.policies, self.device(name), self.held.get(name)).entries

    def plan(self, name: str) -> Plan:
        """How a client brings a device to that."""
        return difference(self.held[name], self.wanted(name))

    def write(self, name: str, steps: int | None = None) -> None:
        """The plan's first steps, or all of it, behind which connections end that do not go on."""
        comparison = self.comparisons[name]
        for step in self.plan(name).steps[:steps]:
            match step.kind:
                case Kind.INSERT:
                    comparison.insert(step.entity)
                case Kind.MODIFY:
                    comparison.modify(step.entity)
                case Kind.DELETE:
                    comparison.delete(step.entity)
        self.held[name] = _held(comparison.reference)
        self._is_settled = None
        self._whole[name] = steps is None
        if steps is None:
            self._fix_up(name)

    def _fix_up(self, name: str) -> None:
        comparison = self.comparisons[name]
        connections = [
            TableEntry(table=table, matches=found.matches, action=found.action)
            for table in CONNECTION_TABLES
            for found in comparison.reference.learned(table)
        ]
        for step in fix_up(connections, self.held[name], RemovedBackends.DRAIN).deletions:
            comparison.delete(step.entity)

    def send(self, device: str, port: int, frame: bytes) -> Journey | None:
        """Until a workload, nobody, or the sender has it. None for what a level cannot take."""
        hops: list[Hop] = []
        for _ in range(MOST_HOPS):
            outcome = self.comparisons[device].process(port, frame)
            if outcome is None:
                return None
            hops.append(Hop(device=device, port=port, frame=frame, outcome=outcome))
            end, there = self._end(device, outcome)
            if there is None:
                return Journey(hops=tuple(hops), end=end)
            device, port, frame = there.name, there.uplinks[0].id, outcome.packet
        raise Violation(f"a packet goes round in circles: {Journey(hops=tuple(hops), end=End.LEFT)}")

    def _end(self, name: str, outcome: Outcome) -> tuple[End, Device | None]:
        """What has become of the packet, and the device that gets it next."""
        match outcome.verdict:
            case VerdictKind.TO_KERNEL:
                return End.UNTOUCHED, None
            case VerdictKind.DROP:
                return End.DROPPED, None
            case VerdictKind.REPLY:
                return End.ANSWERED, None
            case VerdictKind.PUNT | VerdictKind.MULTICAST:
                raise InternalError("the pipeline of policies gives no packets to controllers or groups")
            case VerdictKind.FORWARD:
                is_underlay = outcome.egress_port in {port.id for port in self.device(name).uplinks}
                return (End.LEFT, self._device_at(outcome.packet)) if is_underlay else (End.DELIVERED, None)

    def _device_at(self, frame: bytes) -> Device | None:
        address = IPv4Address(frame[_UNDERLAY_DESTINATION])
        return next((d for d in self.policies.devices if d.underlay and d.underlay.address.ip == address), None)

    def compare_state(self) -> None:
        for comparison in self.comparisons.values():
            comparison.compare_state()


def _held(level: InterpreterLevel) -> Entries:
    selectors = level.names.selectors
    return Entries(
        members=tuple(member for name in selectors for member in level.model.members(name)),
        groups=tuple(group for name in selectors for group in level.model.groups(name)),
        table_entries=level.entries(),
    )
