"""A packet through live devices, hop by hop: where the first sends it into a tunnel, the next takes it up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from ipaddress import IPv4Address

from compiler.ir.interpreter import Outcome, VerdictKind
from compiler.ir.interpreter.trace import Hit
from compiler.policy.policyset import Device
from runtime.client.errors import ClientError
from runtime.client.learnedentries import LearnedRead
from runtime.explanation.livedevice import Choice, LiveDevice
from runtime.explanation.question import Question
from runtime.verification import anatomy, wire

MOST_HOPS = 4
MOST_WAYS = 8
"""So many backends are walked to; the others have their shares alone."""
_UNDERLAY_DESTINATION = slice(30, 34)
_REFUSALS = {"icmp": (3, 3), "icmpv6": (1, 4)}
"""Type and code of port unreachable (RFC 792, RFC 4443, section 3.1)."""


class Fate(StrEnum):
    """What becomes of a packet in the end."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    ANSWERED = "answered"
    DROPPED = "dropped"
    LEFT_ALONE = "left to the kernel"
    LEFT = "sent into the underlay"
    UNKNOWN = "unknown"


class Basis(StrEnum):
    """What the backend of a new connection follows from, where several are possible."""

    CONNECTION = "connection"
    SOURCE = "source"
    CHANCE = "chance"
    TURN = "turn"
    COUNT = "count"


_BASES = {
    "to_service_by_source": Basis.SOURCE,
    "to_service_by_chance": Basis.CHANCE,
    "to_service_in_turn": Basis.TURN,
    "to_service_by_count": Basis.COUNT,
}
"""By the action of the service's entry, without its family (`compiler.pipeline.spreading`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """`known` are the connections of the device that the packet met."""

    live: LiveDevice = field(repr=False)
    port: int
    frame: bytes
    outcome: Outcome
    known: tuple[LearnedRead, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way that the packet may go. `choice` is the backend that it is for, where one is chosen; `share` of all new
    connections, None where the way is certain. `why` the next device cannot be asked, of a fate that is unknown.
    """

    hops: tuple[Hop, ...]
    fate: Fate
    choice: Choice | None = None
    share: Fraction | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """`left_out` are possible choices that no way was walked for."""

    question: Question
    ways: tuple[Way, ...]
    basis: Basis = Basis.CONNECTION
    left_out: int = 0


OpenDevice = Callable[[str], LiveDevice]
"""A device by name; raises `ClientError` with why it cannot be asked."""


def explain(question: Question, device: OpenDevice) -> Explained:
    """Raises `ClientError` when the first device cannot be asked."""
    live = device(question.speaker.device)
    port, frame = question.speaker.port.id, question.frame
    outcome = live.process(port, frame, is_new=question.is_open)
    known = tuple(live.known)
    choices = live.choices(outcome)
    basis = _basis(outcome)
    follows = basis is Basis.SOURCE or (basis is Basis.CONNECTION and not question.is_open)
    if len(choices) < 2 or (follows and live.hash_seed is not None):
        hop = Hop(live=live, port=port, frame=frame, outcome=outcome, known=known)
        return Explained(question=question, ways=(_way(hop, device, live.chosen(outcome), None),))
    walked = sorted(choices, key=lambda choice: (-choice.weight, choice.member_id))[:MOST_WAYS]
    ways: list[Way] = []
    for choice in walked:
        hop = Hop(live=live, port=port, frame=frame, outcome=live.process_as(choice, port, frame))
        ways.append(_way(hop, device, choice, Fraction(choice.weight, choice.total)))
    return Explained(question=question, ways=tuple(ways), basis=basis, left_out=len(choices) - len(walked))


def _basis(outcome: Outcome) -> Basis:
    actions = (step.action.rpartition("_")[0] for step in outcome.trace if isinstance(step, Hit))
    return next((_BASES[action] for action in actions if action in _BASES), Basis.CONNECTION)


def _way(first: Hop, device: OpenDevice, choice: Choice | None, share: Fraction | None) -> Way:
    hops = [first]
    fate, there = _fate(first)
    why = ""
    while there is not None:
        if len(hops) == MOST_HOPS:
            fate, why = Fate.UNKNOWN, f"it has gone through {MOST_HOPS} devices, and still goes on"
            break
        try:
            live = device(there.name)
        except ClientError as problem:
            fate, why = Fate.UNKNOWN, f"it goes on to device '{there.name}', which cannot be asked: {problem}"
            break
        hop = _next(hops[-1], live, there)
        hops.append(hop)
        fate, there = _fate(hop)
    return Way(hops=tuple(hops), fate=fate, choice=choice, share=share, why=why)


def _next(before: Hop, live: LiveDevice, there: Device) -> Hop:
    port, frame = there.uplinks[0].id, before.outcome.packet
    outcome = live.process(port, frame, is_new=False)
    return Hop(live=live, port=port, frame=frame, outcome=outcome, known=tuple(live.known))


def _fate(hop: Hop) -> tuple[Fate, Device | None]:
    """What has become of the packet, and the device that gets it next."""
    match hop.outcome.verdict:
        case VerdictKind.TO_KERNEL | VerdictKind.PUNT | VerdictKind.MULTICAST:
            return Fate.LEFT_ALONE, None
        case VerdictKind.DROP:
            return Fate.DROPPED, None
        case VerdictKind.REPLY:
            return (Fate.REFUSED if is_refusal(hop.outcome.packet) else Fate.ANSWERED), None
        case VerdictKind.FORWARD:
            uplinks = {port.id for port in hop.live.device.uplinks}
            if hop.outcome.egress_port not in uplinks:
                return Fate.DELIVERED, None
            return Fate.LEFT, _device_at(hop)


def _device_at(hop: Hop) -> Device | None:
    """Whose address in the underlay the outer header names."""
    address = IPv4Address(hop.outcome.packet[_UNDERLAY_DESTINATION])
    others = (d for d in hop.live.policies.devices if d.name != hop.live.device.name)
    return next((d for d in others if d.underlay is not None and d.underlay.address.ip == address and d.uplinks), None)


def is_refusal(frame: bytes) -> bool:
    """Whether the frame ends what a client tries: a reset, or an unreachable port."""
    tcp = anatomy.last(frame, "tcp")
    if tcp is not None:
        return bool(frame[tcp.start + 13] & wire.RST)
    for name, kind_and_code in _REFUSALS.items():
        message = anatomy.last(frame, name)
        if message is not None and tuple(frame[message.start : message.start + 2]) == kind_and_code:
            return True
    return False
