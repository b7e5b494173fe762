"""Plays a run of steps on levels side by side: makes the frames, writes the entries, checks what must hold."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import assert_never

from compiler.ir.entries import Group, TableEntry
from compiler.ir.interpreter import Outcome, VerdictKind, trace
from runtime.verification import invariants
from runtime.verification.book import Book, number
from runtime.verification.comparison import Comparison
from runtime.verification.findings import Violation
from runtime.verification.fragmenting import in_fragments
from runtime.verification.malformed.bytewise import SHORTEST
from runtime.verification.malformed.catalogue import BY_NAME
from runtime.verification.malformed.fault import damaged
from runtime.verification.scenes import Scene
from runtime.verification.shop import MACS, ROUTER_MAC
from runtime.verification.strategies import Again, Burst, Damage, Edit, Noise, Reply, Step, Sweep, Torn, Wait
from runtime.verification.traffic import SCTP_PREFIX, Ask, Passed, Send, reply_to, sent
from runtime.verification.vector import PacketIn


@dataclass
class Play:
    """One scene on one comparison, which must be new."""

    comparison: Comparison
    scene: Scene
    sends: list[Send] = field(default_factory=list[Send])
    passed: list[Passed] = field(default_factory=list[Passed])
    deleted: list[TableEntry] = field(default_factory=list[TableEntry])

    def __post_init__(self) -> None:
        entries = self.scene.entries(Book(self.comparison.names))
        self.comparison.fill(entries)
        self._groups = entries.groups

    def run(self, steps: list[Step]) -> None:
        for step in steps:
            self.do(step)
        self.comparison.compare_state()

    def do(self, step: Step) -> Outcome | None:
        """The outcome of the step's packet, if it has one."""
        match step:
            case Send():
                self.sends.append(step)
                return self._send(step)
            case Ask():
                return self.arrive(*sent(self.scene, step))
            case Again():
                return self._again(step)
            case Reply():
                return self._reply(step)
            case Burst():
                return self._burst(step)
            case Torn():
                return self._torn(step)
            case Noise():
                addresses = number(ROUTER_MAC).to_bytes(6, "big") + number(MACS["client"]).to_bytes(6, "big")
                return self.arrive(step.port, addresses + step.ether_type.to_bytes(2, "big") + step.data)
            case Damage(step=step, faults=faults):
                port, frame = sent(self.scene, step)
                return self.arrive(port, damaged(frame, faults, BY_NAME))
            case Wait() | Sweep():
                return self.comparison.do(step)
            case Edit():
                return self._edit(step)
            case _:
                assert_never(step)

    def arrive(self, port: int, frame: bytes, segment: int = 0) -> Outcome | None:
        packet = PacketIn(port=port, frame=frame, gso_size=segment)
        outcome = self.comparison.do(packet) if len(frame) >= SHORTEST else None
        if outcome is None:
            return None
        try:
            invariants.check(self.scene, port, frame, outcome)
        except Violation as broken:
            raise Violation(str(broken), self.comparison.vector("found")) from None
        if outcome.verdict is VerdictKind.FORWARD and outcome.egress_port is not None:
            self.passed.append(Passed(port=outcome.egress_port, frame=outcome.packet))
        return outcome

    def _send(self, step: Send) -> Outcome | None:
        return self.arrive(*sent(self.scene, step), segment=step.segment)

    def _again(self, step: Again) -> Outcome | None:
        if not self.sends:
            return None
        past = self.sends[-1 - step.back % len(self.sends)]
        if past.transport.startswith(SCTP_PREFIX):
            return self._send(replace(past, transport=f"{SCTP_PREFIX}{step.flags}"))
        is_tcp = past.transport not in ("udp", "icmp", "other", "open")
        return self._send(replace(past, transport=step.flags) if is_tcp else past)

    def _reply(self, step: Reply) -> Outcome | None:
        if not self.passed:
            return None
        answer = reply_to(self.passed[-1 - step.back % len(self.passed)], step.flags, step.size)
        return None if answer is None else self.arrive(*answer)

    def _burst(self, step: Burst) -> None:
        for at in range(step.count):
            self.do(replace(step.first, src_port=step.first.src_port + at))

    def _torn(self, step: Torn) -> Outcome | None:
        port, frame = sent(self.scene, step.step)
        pieces = in_fragments(frame, step.cuts, step.identification)
        at = step.first % len(pieces)
        outcomes = [self.arrive(port, piece) for piece in (*pieces[at:], *pieces[:at])]
        return outcomes[-1]

    def _edit(self, step: Edit) -> None:
        entries = self.comparison.reference.entries()
        match step.kind:
            case "delete" if entries:
                self.deleted.append(entries[step.number % len(entries)])
                self.comparison.delete(self.deleted[-1])
            case "restore" if self.deleted:
                self.comparison.insert(self.deleted.pop(0))
            case "repoint":
                hops = [entry for entry in entries if entry.table == "neighbor"]
                if hops:
                    action = hops[step.other % len(hops)].action
                    self.comparison.modify(replace(hops[step.number % len(hops)], action=action))
            case "regroup" if self._groups:
                self._regroup(self._groups[step.number % len(self._groups)])
            case _:
                pass

    def _regroup(self, group: Group) -> None:
        """Without its first member; with all of them when none is left."""
        held = next(g for g in self.comparison.reference.model.groups(group.selector) if g.id == group.id)
        self.comparison.modify(replace(group, members=held.members[1:]) if held.members else group)


def has_learned(outcome: Outcome) -> bool:
    """Whether the packet has opened a connection."""
    return any(isinstance(step, trace.Learned) for step in outcome.trace)
