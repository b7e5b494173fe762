"""One device as it is now: what it holds, with the policy lines behind it, and packets through that.

Lines come from the recorded policies, compiled against what the device holds: an entry that is the same has the line of
its twin. An entry that is another has only the object that its writer noted in the metadata.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from compiler.diagnostic import Diagnostic
from compiler.entries.desired import compile_entries
from compiler.ir.entries import ActionCall, Entries, Exact, Group, GroupRef, Member, TableEntry
from compiler.ir.interpreter import Interpreter, Outcome
from compiler.ir.interpreter.trace import Hit
from compiler.ir.nodes import Pipeline
from compiler.pipeline import affinity, gateway
from compiler.pipeline.family import FAMILIES
from compiler.policy.policyset import Device, PolicySet, Port, Workload
from compiler.span import NOWHERE, Span
from runtime.client.applying import run_as
from runtime.client.contents import Contents
from runtime.client.errors import ClientError
from runtime.client.learnedentries import LearnedRead, LearnedReader
from runtime.client.plan import Plan, difference
from runtime.client.session import Session
from runtime.explanation.livemodel import NOW_MS, LiveModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One member of a group that a packet was given to, of a total weight."""

    table: str
    group: Group
    member_id: int

    @property
    def weight(self) -> int:
        return next((m.weight for m in self.group.members if m.member_id == self.member_id), 0)

    @property
    def total(self) -> int:
        return sum(member.weight for member in self.group.members)


class LiveDevice:
    """Reads all at once when it is made. Raises `ClientError`.

    `hash_seed` None: what the device hashes with is not known. Then a choice by hash is one of several.
    """

    def __init__(
        self, device: Device, policies: PolicySet, session: Session, pipeline: Pipeline, hash_seed: int | None
    ) -> None:
        self.device, self.policies, self.hash_seed = device, policies, hash_seed
        pipeline = _running(device.name, session, pipeline)
        self._pipeline = pipeline
        self.present = Contents(pipeline).read(session)
        desired = compile_entries(policies, device, self.present, pipeline)
        self.desired, self.diagnostics = desired.entries, desired.diagnostics
        self.entries = placed(self.present, self.desired)
        self.plan = difference(self.present, self.desired)
        self._reader = LearnedReader(session, pipeline)
        self.known: list[LearnedRead] = []
        """The connections that packets have met."""

    diagnostics: tuple[Diagnostic, ...]
    plan: Plan
    """What the device lacks of what was applied; empty when it holds just that."""

    @cached_property
    def model(self) -> LiveModel:
        return LiveModel(self._pipeline, self.entries, hash_seed=self.hash_seed or 0, find=self._find)

    def _find(self, table: str, key: tuple[int, ...]) -> LearnedRead | None:
        """Of a client that is remembered also for a new connection."""
        if self._is_new and not remembers_clients(table):
            return None
        found = self._reader.find(table, key)
        if found is not None:
            self.known.append(found)
        return _as_of_now(found) if found is not None and remembers_clients(table) else found

    _is_new = False

    def process(self, port: int, frame: bytes, *, is_new: bool) -> Outcome:
        """`is_new`: the packet meets no known connection."""
        self.model.forget()
        self.known.clear()
        self._is_new = is_new
        interpreter = Interpreter(self.model, clock=lambda: NOW_MS, random=lambda _: 0)
        return interpreter.process(port, frame)

    def choices(self, outcome: Outcome) -> tuple[Choice, ...]:
        """All members that the packet might have been given to where a group chose; empty when none did."""
        hit = self.deciding(outcome)
        if hit is None or hit.group_id is None:
            return ()
        group = self.model.group(hit.table, hit.group_id)
        return tuple(Choice(table=hit.table, group=group, member_id=m.member_id) for m in group.members)

    def chosen(self, outcome: Outcome) -> Choice | None:
        """The one of `choices` that it was given to."""
        hit = self.deciding(outcome)
        member = None if hit is None else hit.member_id
        return next((choice for choice in self.choices(outcome) if choice.member_id == member), None)

    def deciding(self, outcome: Outcome) -> Hit | None:
        """Where a group chose to whom the packet goes.

        A network's proxy is looked up before anything says whether the packet is to go there; where it does, no backend
        is looked up behind it, unless it is the backend that the proxy stands before.
        """
        hit = next((s for s in reversed(outcome.trace) if isinstance(s, Hit) and s.group_id is not None), None)
        if hit is None or not chooses_proxy(hit):
            return hit
        return hit if self.redirected(outcome) is not None else None

    def redirected(self, outcome: Outcome) -> Workload | None:
        """The proxy that a packet was sent to."""
        hits = (s for s in outcome.trace if isinstance(s, Hit) and s.group_id is not None and chooses_proxy(s))
        ports = (self.proxy_port(hit) for hit in hits)
        return next((port.workload for port in ports if port is not None and port.id == outcome.egress_port), None)

    def proxy_port(self, hit: Hit) -> Port | None:
        """The port of a proxy, by which its group watches it."""
        members = self.model.group(hit.table, hit.group_id or 0).members
        watch = next((member.watch for member in members if member.member_id == hit.member_id), None)
        return next((port for port in self.device.ports if watch is not None and port.id == watch.port), None)

    def process_as(self, choice: Choice, port: int, frame: bytes) -> Outcome:
        """As `process`, of a new connection that gets this member."""
        self.model.narrow(choice.group, choice.member_id)
        try:
            return self.process(port, frame, is_new=True)
        finally:
            self.model.modify(choice.group)

    def behind(self, hit: Hit) -> tuple[str, Span]:
        """Object and line behind a hit: of a known connection those of its service; "" and `NOWHERE` if unknown."""
        if hit.found_in == hit.table and not hit.table.startswith("flow") and not remembers_clients(hit.table):
            return hit.owner, hit.span
        number = next((int(value) for name, value in (*hit.arguments, *hit.key) if name == "service_id"), 0)
        return next(((e.owner, e.span) for e in self._service_entries(number)), ("", NOWHERE))

    def crossing(self, number: int) -> dict[str, int]:
        """What the crossing of a number leads to: the arguments of its live entry; empty where there is none."""
        found = (
            entry.action
            for entry in self.entries.table_entries
            if entry.table.startswith(f"{gateway.TABLE}_") and entry.matches == (Exact(value=number),)
        )
        return self.arguments(next(found, None))

    def arguments(self, call: object) -> dict[str, int]:
        """Those of an entry's action by name; empty for one that has no action of its own."""
        if not isinstance(call, ActionCall):
            return {}
        params = self.model.names.actions[call.action].params
        return {param.name: value for param, value in zip(params, call.arguments, strict=True)}

    def network_of(self, number: int) -> str:
        """The name of a network by what table keys carry; empty for one that no policy has."""
        return next((network.name for network in self.policies.networks if network.id == number), "")

    def backend_span(self, port: Span, address: str, number: int, network: str | None = None) -> Span:
        """The line that made an address and port a backend of the service port that stands at `port`.

        Not that of the member: services of all networks share the members that do the same. `network` is the backend's,
        where the service has none.
        """
        ports = (one for service in self.policies.services for one in service.ports if one.span == port)
        backends = (backend for one in ports for backend in (*one.backends, *(one.outside or ())))
        alike = (b for b in backends if (str(b.address), b.port) == (address, number))
        return next((b.span for b in alike if network is None or (b.network and b.network.name == network)), NOWHERE)

    def _service_entries(self, number: int) -> Iterator[TableEntry]:
        for entry in self.entries.table_entries:
            action = entry.action
            if (
                entry.table.startswith("service_")
                and isinstance(action, ActionCall)
                and action.arguments[:1] == (number,)
            ):
                yield entry


def chooses_proxy(hit: Hit) -> bool:
    """A member says where a backend is, or by which next hop a proxy is reached."""
    return "address" not in dict(hit.arguments)


def remembers_clients(table: str) -> bool:
    """Whether it is one of `compiler.pipeline.affinity` that packets write."""
    return table in {family.named(affinity.TABLE) for family in FAMILIES}


def _as_of_now(read: LearnedRead) -> LearnedRead:
    """The device's clock is not known, but how long ago its packet was: `since_ms` as the model's clock would have it.

    A packet that was dropped behind the look-up counts here, too; such ones are rare (`flow_clash`, `flow_table_full`).
    """
    address, port, _, crossing = read.action.arguments
    return replace(read, action=replace(read.action, arguments=(address, port, NOW_MS - read.idle_ms, crossing)))


def _running(name: str, session: Session, pipeline: Pipeline) -> Pipeline:
    running = session.pipeline()
    if running is None:
        raise ClientError(f"device '{name}' runs no pipeline yet; `turnout apply` loads one")
    found = run_as(running, pipeline)
    if found is None:
        raise ClientError(f"device '{name}' runs another pipeline ({running.p4info.pkg_info.name or 'without a name'})")
    return found


def placed(present: Entries, desired: Entries) -> Entries:
    """What a device holds, with the lines of what policies want of it where both are the same."""
    entries = {entry.key: entry for entry in desired.table_entries}
    members = {(member.selector, member.id): member for member in desired.members}
    groups = {(group.selector, group.id): group for group in desired.groups}
    return Entries(
        members=tuple(_placed_member(m, members.get((m.selector, m.id))) for m in present.members),
        groups=tuple(_placed_group(g, groups.get((g.selector, g.id))) for g in present.groups),
        table_entries=tuple(_placed_entry(e, entries.get(e.key)) for e in present.table_entries),
    )


def _placed_entry(entry: TableEntry, twin: TableEntry | None) -> TableEntry:
    if twin is None or twin != entry:
        return entry
    return replace(entry, span=twin.span, owner=twin.owner or entry.owner)


def _placed_member(member: Member, twin: Member | None) -> Member:
    return replace(member, span=twin.span) if twin is not None and twin == member else member


def _placed_group(group: Group, twin: Group | None) -> Group:
    return replace(group, span=twin.span) if twin is not None and twin == group else group


def group_of(entries: Iterable[TableEntry], table: str, number: int) -> int | None:
    """The group that the entry of a selector table refers to, by the entry's only key."""
    for entry in entries:
        if entry.table == table and isinstance(entry.action, GroupRef) and _number(entry) == number:
            return entry.action.group_id
    return None


def _number(entry: TableEntry) -> int:
    return getattr(entry.matches[0], "value", 0)
