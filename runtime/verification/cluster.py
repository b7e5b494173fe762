"""Plays what happens in a cluster: policies, traffic, changes, time and restarts, and what must hold.

Traffic is that of workloads, and of clients outside who call services of theirs.

Whatever happens: levels agree; a packet arrives in its sender's network and at the workload that it is for; checksums
stay as right as they were (`arrivals`); a known connection keeps its promises (`ledger`). While devices hold what the
policies ask for, also what these promise to all other packets (`promises`). At the end nothing has leaked (`leaks`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import IPv4Address, ip_address
from typing import assert_never

from compiler.entries.vocabulary import mac_number
from compiler.ir.interpreter import Tally, VerdictKind, trace
from compiler.ir.nodes import Pipeline
from compiler.policy.loading import load_text
from compiler.policy.policyset import Address, PolicySet, WorkloadType
from runtime.verification import arrivals, leaks, tearing, wire
from runtime.verification.cluster_steps import (
    Adopt,
    Answer,
    Apply,
    Beside,
    Call,
    Complaint,
    Damaged,
    Direct,
    Enter,
    Exchange,
    Flood,
    More,
    Onward,
    Pause,
    Ping,
    Push,
    Restart,
    Step,
    Stray,
    SweepAll,
    Torn,
)
from runtime.verification.comparison import Compared, Comparison
from runtime.verification.fabric import End, Fabric, Hop, Journey
from runtime.verification.findings import Violation
from runtime.verification.fragmenting import in_fragments
from runtime.verification.levels import Level
from runtime.verification.malformed.bytewise import SHORTEST
from runtime.verification.malformed.catalogue import BY_NAME
from runtime.verification.malformed.fault import damaged
from runtime.verification.policies import plan as planned
from runtime.verification.policies.entrances import CLIENTS
from runtime.verification.policies.manifests import manifests, to_yaml
from runtime.verification.policies.plan import PolicyPlan
from runtime.verification.speaking import (
    Ends,
    Speaker,
    addresses_of,
    echo,
    ends_of,
    outsider,
    packet,
    sent_by,
    speaker_at,
    speakers,
    spoken,
)
from runtime.verification.telling import TOO_BIG, check_told, error_packet, told
from runtime.verification.vector import Reload
from runtime.verification.witness import Witness

PAYLOAD = b"turnout"
NOBODY = {4: ip_address("10.0.0.99"), 6: ip_address("fd00::99")}
ANYWHERE = IPv4Address("203.0.113.7")
"""Not asked for: a tunnel is known by where it ends and by its VNI."""
Levels = Mapping[str, Sequence[Level]]


@lru_cache(maxsize=64)
def policies_of(plan: PolicyPlan) -> PolicySet:
    """Through the YAML of the plan, as a user's."""
    loaded = load_text(to_yaml(manifests(plan)), "generated.yaml")
    if loaded.is_refused:
        raise Violation(f"a plan that is right is refused:\n{loaded.render()}")
    return loaded.policies


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A packet that arrived: what its sender has called, what its receiver got."""

    sender: Speaker
    receiver: Speaker
    ends: Ends
    got: Ends

    def is_followed_by_another(self, later: Sent) -> bool:
        """Whether a packet of the same ends has become something else since, as one of another connection."""
        is_again = later.ends == self.ends and later.got != self.got
        return is_again or (later.ends == self.got.turned and later.got != self.ends.turned)

    @property
    def is_proxied(self) -> bool:
        """Whether a proxy got what was not for itself."""
        receiver = self.receiver.workload
        return receiver.type is WorkloadType.PROXY and self.got.dst not in receiver.addresses


class Cluster:
    """New devices on `levels`, by device name; `plans` are the policies now and later."""

    def __init__(self, levels: Levels, plans: Sequence[PolicyPlan], pipeline: Pipeline | None = None) -> None:
        """Without any levels, on the interpreter alone, `pipeline` must be given."""
        self.plan, *self._later = plans
        comparisons = {name: Comparison(levels[name], pipeline=pipeline) for name in planned.DEVICES}
        self._all = list(comparisons.values())
        self.fabric = Fabric(comparisons, policies_of(self.plan))
        self._witness = Witness(self.fabric, self.plan)
        self.arrived: list[Sent] = []
        self._opened: Sent | None = None
        self._learned_at: dict[Ends, int] = {}
        """How many packets had arrived when one with these ends was learned last, or any with something wrong in it."""
        self._doubted_at = 0
        self._at_nodes = {plan.at_nodes for plan in plans if plan.at_nodes is not None}
        self._dropped: dict[tuple[str, str], Tally] = {}

    def run(self, steps: Sequence[Step]) -> Compared:
        """Every step, then what must hold at the end."""
        for step in steps:
            self.do(step)
        self.finish()
        return Compared.sum(comparison.compared for comparison in self._all)

    def finish(self) -> None:
        self.fabric.compare_state()
        for name, comparison in self.fabric.comparisons.items():
            leaks.check_drops(comparison, {r: tally for (at, r), tally in self._dropped.items() if at == name})
            leaks.check_all_slots_come_back(comparison)

    def do(self, step: Step) -> None:
        if not isinstance(step, Answer):
            self._opened = None
        match step:
            case Enter(is_stray=True):
                self._enter_elsewhere(step)
            case Call() | Enter() | Direct() | Beside() | More() | Answer():
                self._speak(step)
            case Ping():
                self._ping(step)
            case Complaint(back=back):
                self._complain(back)
            case Onward(back=back):
                self._go_on(back)
            case Exchange(call=call):
                self._exchange(call)
            case Flood(call=call, count=count):
                for at in range(count):
                    self._speak(replace(call, src_port=2000 + at, flags="S"))
            case Damaged():
                self._damage(step)
            case Torn():
                self._tear(step)
            case Stray():
                self._stray(step)
            case Adopt():
                self._adopt()
            case Push(device=device, steps=count):
                self._write(device, count)
            case Apply():
                self._adopt()
                for device in planned.DEVICES:
                    self._write(device)
            case Pause(ms=ms):
                for comparison in self.fabric.comparisons.values():
                    comparison.wait(ms)
            case SweepAll():
                for comparison in self.fabric.comparisons.values():
                    comparison.sweep()
            case Restart():
                self._restart(step)
            case _:
                assert_never(step)

    def _enter_elsewhere(self, step: Enter) -> None:
        """A device leaves alone what comes to it in a frame for another."""
        said = self._entering(step)
        if said is None:
            return
        speaker, ends, flags = said
        other = next(name for name in planned.DEVICES if name != step.device)
        journey = self._send(
            speaker, spoken(replace(speaker, next_hop_mac=planned.UNDERLAY_MACS[other]), ends, flags, PAYLOAD)
        )
        if journey is not None and journey.end is not End.UNTOUCHED:
            raise Violation(f"{ends}, in a frame for {other}, should be left alone: {journey}")

    def _exchange(self, call: Call | Enter) -> None:
        if self._speak(replace(call, flags="S")):
            for step in (Answer(back=0, flags="SA"), More(back=1, flags="A"), Answer(back=0, flags="PA")):
                if not self._speak(step):
                    return

    def _ping(self, step: Ping) -> None:
        everyone = speakers(self.fabric.policies)
        if not everyone:
            return
        client = everyone[step.client % len(everyone)]
        src, dst = client.workload.address(step.version), self._address(step.peer, step.version, everyone)
        if src is None or dst is None:
            return
        journey = self._send(client, sent_by(client, echo(src, dst, is_answer=step.is_answer)))
        if journey is not None:
            self._witness.pinged(client, src, dst, journey)

    def _complain(self, back: int) -> None:
        if not self.arrived:
            return
        back %= len(self.arrived)
        sent, later = self.arrived[-1 - back], self.arrived[len(self.arrived) - back :]
        quoted, kind = packet(sent.got, "A", PAYLOAD), TOO_BIG[sent.got.dst.version]
        error = error_packet(quoted, sent.got.dst, kind=kind, rest=1280)
        speaker = self._today(sent.receiver)
        journey = self._send(speaker, sent_by(speaker, error))
        if journey is not None:
            self._witness.unasked(journey)
        is_same = not any(sent.is_followed_by_another(other) for other in later) and not self._is_opened_since(
            sent, back
        )
        if journey is not None and is_same and self._receiver(journey) is not None:
            check_told(told(journey.frame), sent.ends, sent.got)

    def _is_opened_since(self, sent: Sent, back: int) -> bool:
        """Whether a packet has opened a connection with the same ends since, and need not have arrived."""
        at = len(self.arrived) - 1 - back
        return self._doubted_at > at or any(self._learned_at.get(e, at) > at for e in (sent.ends, sent.got.turned))

    def _go_on(self, back: int) -> None:
        """A way through proxies ends: no device has a packet of it go by its proxies twice."""
        met: list[str] = []
        sent = self.arrived[-1 - back % len(self.arrived)] if self.arrived else None
        while sent is not None and sent.is_proxied:
            if sent.receiver.device in met:
                raise Violation(f"by the proxies of {sent.receiver.device} again: {sent.ends}, behind {met}")
            met.append(sent.receiver.device)
            sent = self._onward(sent)

    def _onward(self, sent: Sent) -> Sent | None:
        proxy = self._today(sent.receiver)
        src = proxy.workload.address(sent.got.dst.version)
        if src is None:
            return None
        ends = replace(sent.got, src=src, src_port=sent.got.src_port + 100)
        return self.arrived[-1] if self._say(proxy, ends, "S") else None

    def _adopt(self) -> None:
        if not self._later:
            return
        self.plan = self._later.pop(0)
        self.fabric.adopt(policies_of(self.plan))
        self._witness.adopt(self.plan)

    def _write(self, device: str, steps: int | None = None) -> None:
        """All that is wanted, and known connections that do not go on end; or only the first steps of it."""
        self.fabric.write(device, steps)
        if steps is None:
            self._witness.wrote(device)

    def _restart(self, step: Restart) -> None:
        comparison = self.fabric.comparisons[step.device]
        if step.how != "killed":
            comparison.do(Reload(is_fitting=step.how == "fitting"))
            return
        comparison.compare_state()
        self._all.append(Comparison(comparison.levels, start_ms=comparison.now_ms, pipeline=comparison.pipeline))
        self.fabric.begin_anew(step.device, self._all[-1])
        self._witness.forget(step.device)
        self._dropped = {key: tally for key, tally in self._dropped.items() if key[0] != step.device}

    def _said(self, step: Call | Enter | Direct | Beside | More | Answer) -> tuple[Speaker, Ends, str] | None:
        """Who says what; None when there is nobody to speak, or nothing to speak of."""
        everyone = speakers(self.fabric.policies)
        match step:
            case Beside(back=back) | More(back=back) | Answer(back=back):
                if not self.arrived:
                    return None
                sent = self.arrived[-1 - back % len(self.arrived)]
                if isinstance(step, Beside):
                    return self._today(sent.sender), _beside(sent), "S"
                if isinstance(step, More):
                    return self._today(sent.sender), sent.ends, step.flags
                return self._today(sent.receiver), sent.got.turned, step.flags
            case Enter():
                return self._entering(step)
            case Call() | Direct() if everyone:
                client = everyone[step.client % len(everyone)]
                ends = self._called(client, step) if isinstance(step, Call) else self._straight(client, step, everyone)
                return None if ends is None else (client, ends, step.flags if isinstance(step, Call) else "S")
            case _:
                return None

    def _today(self, speaker: Speaker) -> Speaker:
        """The same workload as the policies have it now, wherever; as it was when they have it no more."""
        here = speaker_at(self.fabric.policies, speaker.device, speaker.port.id)
        if here is not None:
            return here
        key = speaker.workload.key
        return next((one for one in speakers(self.fabric.policies) if one.workload.key == key), speaker)

    def _called(self, client: Speaker, call: Call) -> Ends | None:
        src = client.workload.address(call.version)
        device = self.fabric.device(client.device)
        fronts = [
            front
            for service in self.fabric.policies.services
            if service.network.name == client.network or not call.is_own
            for front in service.fronts(device)
            if front.address.version == call.version
        ]
        if src is None or not fronts:
            return None
        front = fronts[call.service % len(fronts)]
        protocol = front.port.protocol.number
        return Ends(protocol=protocol, src=src, src_port=call.src_port, dst=front.address, dst_port=front.number)

    def _entering(self, step: Enter) -> tuple[Speaker, Ends, str] | None:
        device = self.fabric.device(step.device)
        fronts = [
            (service.network, front)
            for service in self.fabric.policies.services
            for front in service.fronts(device)
            if front.address not in service.addresses and front.address.version == step.version
        ]
        if not fronts or not device.lets_in:
            return None
        network, front = fronts[step.service % len(fronts)]
        src = CLIENTS[step.version][step.client % len(CLIENTS[step.version])]
        protocol = front.port.protocol.number
        ends = Ends(protocol=protocol, src=src, src_port=step.src_port, dst=front.address, dst_port=front.number)
        return outsider(device, network, (src,)), ends, step.flags

    def _straight(self, client: Speaker, step: Direct, everyone: tuple[Speaker, ...]) -> Ends | None:
        src, dst = client.workload.address(step.version), self._address(step.peer, step.version, everyone)
        if src is None or dst is None:
            return None
        return Ends(protocol=step.protocol, src=src, src_port=step.src_port, dst=dst, dst_port=step.dst_port)

    def _address(self, peer: int | None, version: int, everyone: tuple[Speaker, ...]) -> Address | None:
        return NOBODY[version] if peer is None else everyone[peer % len(everyone)].workload.address(version)

    def _damage(self, step: Damaged) -> None:
        said = self._said(step.step)
        if said is None:
            return
        speaker, ends, flags = said
        frame = damaged(spoken(speaker, ends, flags, PAYLOAD), step.faults, BY_NAME)
        if len(frame) >= SHORTEST:
            journey = self._send(speaker, frame)
            if journey is not None:
                self._witness.overheard(journey)
                self._doubted_at = len(self.arrived) if journey.has_learned else self._doubted_at

    def _tear(self, step: Torn) -> None:
        """What SCTP sends in fragments has no ports for anybody."""
        said = self._said(step.step)
        if said is None or said[1].protocol == wire.SCTP:
            return
        speaker, ends, flags = said
        pieces = in_fragments(spoken(speaker, ends, flags, tearing.LONG), step.cuts, step.identification)
        journey = self._hear(speaker, ends, flags, pieces[0], is_torn=True)
        later = [self._send(speaker, piece) for piece in pieces[1:]]
        for one in later:
            if one is not None:
                self._witness.unasked(one)
        got = None if journey is None or self._receiver(journey) is None else ends_of(journey.frame)
        if journey is not None and got is not None:
            tearing.check(journey, got, [one for one in later if one is not None])

    def _stray(self, step: Stray) -> None:
        everyone = speakers(self.fabric.policies)
        there = [speaker for speaker in everyone if speaker.device == step.device]
        to = self.fabric.device(step.device).underlay
        if to is None or not there:
            return
        client = everyone[step.client % len(everyone)]
        src, dst = (speaker.workload.address(step.version) for speaker in (client, there[-1]))
        if src is None or dst is None:
            return
        ends = Ends(protocol=wire.UDP, src=src, src_port=4000, dst=dst, dst_port=7)
        tunnel = wire.TunnelEnds(src=ANYWHERE, dst=to.address.ip, src_mac=1, dst_mac=mac_number(to.mac))
        vni = client.workload.network.vni + step.vni_step
        inner = spoken(client, ends, "", PAYLOAD)
        journey = self._watched(self.fabric.send(step.device, planned.UPLINK, wire.tunnelled(tunnel, vni, inner)))
        if journey is not None:
            self._witness.unasked(journey)
            self._witness.overheard(journey)

    def _speak(self, step: Call | Enter | Direct | Beside | More | Answer) -> bool:
        """Whether the packet has arrived. What has just been learned is answered, whatever is said of answers."""
        said, opened = self._said(step), self._opened
        has_arrived = said is not None and self._say(*said)
        is_answer = step == Answer(back=0, flags="SA") and opened is not None
        if is_answer and not has_arrived and self.fabric.is_settled:
            raise Violation(f"nobody got the answer to what has just been learned: {said}")
        return has_arrived

    def _say(self, speaker: Speaker, ends: Ends, flags: str) -> bool:
        before = len(self.arrived)
        self._hear(speaker, ends, flags, spoken(speaker, ends, flags, PAYLOAD))
        return len(self.arrived) > before

    def _hear(self, speaker: Speaker, ends: Ends, flags: str, frame: bytes, *, is_torn: bool = False) -> Journey | None:
        """A frame with these ends is sent, and what has arrived is kept."""
        journey = self._send(speaker, frame)
        if journey is None:
            return None
        if journey.has_learned:
            self._learned_at[ends] = len(self.arrived)
        receiver = self._receiver(journey)
        got = ends_of(journey.frame) if receiver is not None else None
        self._witness.heard(speaker, ends, flags, journey, got, is_torn=is_torn)
        self._opened = None
        if receiver is not None and got is not None:
            self.arrived.append(Sent(sender=speaker, receiver=receiver, ends=ends, got=got))
            self._opened = self.arrived[-1] if journey.has_learned else None
        return journey

    def _send(self, speaker: Speaker, frame: bytes) -> Journey | None:
        return self._watched(self.fabric.send(speaker.device, speaker.port.id, frame))

    def _watched(self, journey: Journey | None) -> Journey | None:
        if journey is None:
            return None
        arrivals.check(journey, self._at_nodes)
        for hop in journey.hops:
            reason = "no_backend" if _is_refused(hop) else hop.outcome.drop_reason
            if reason is not None:
                key = hop.device, reason
                packets, octets = self._dropped.get(key, Tally(0, 0))
                self._dropped[key] = Tally(packets + 1, octets + len(hop.frame))
        return journey

    def _receiver(self, journey: Journey) -> Speaker | None:
        if journey.end is End.LEFT:
            return self._outside(journey)
        if journey.end is not End.DELIVERED:
            return None
        return speaker_at(self.fabric.policies, journey.last.device, journey.last.outcome.egress_port or 0)

    def _outside(self, journey: Journey) -> Speaker | None:
        """Who gets what a workload has sent out of the cluster."""
        sender = speaker_at(self.fabric.policies, journey.hops[0].device, journey.hops[0].port)
        addresses = addresses_of(journey.frame)
        if sender is None or addresses is None:
            return None
        return outsider(self.fabric.device(journey.last.device), sender.workload.network, (addresses[1],))


def _beside(sent: Sent) -> Ends:
    """From where it was sent, straight to where it arrived."""
    return replace(sent.ends, dst=sent.got.dst, dst_port=sent.got.dst_port)


def _is_refused(hop: Hop) -> bool:
    """Told that a service has no backend, which counts with the drops."""
    is_answer = hop.outcome.verdict is VerdictKind.REPLY
    return is_answer and any(isinstance(step, trace.Counted) and step.counter == "drops" for step in hop.outcome.trace)
