"""A packet's ways in words for people, and as plain data for programs. Steps are those of the interpreter's trace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from fractions import Fraction
from ipaddress import IPv6Address, ip_address
from typing import Any

from compiler.ir.interpreter import trace
from compiler.pipeline import gateway
from compiler.policy.policyset import PolicySet
from compiler.span import NOWHERE, Span
from runtime.explanation.livedevice import chooses_proxy, remembers_clients
from runtime.explanation.question import Question
from runtime.explanation.walking import Basis, Explained, Fate, Hop, Way
from runtime.verification.proof.words import address_words, frame_words, outcome_words, port_words
from runtime.verification.speaking import ends_of

_QUIET = trace.Parsed | trace.Ran | trace.Counted | trace.Advanced
"""Steps that decide nothing; `Advanced` moreover hangs on a profile that reads do not tell."""
_KINDS: dict[type[trace.TraceStep], str] = {
    trace.Hit: "hit",
    trace.Missed: "miss",
    trace.Set: "rewrite",
    trace.Reshaped: "reshape",
    trace.Learned: "learn",
    trace.Evicted: "evict",
    trace.Full: "full",
    trace.Sought: "seek",
    trace.Ended: "verdict",
    trace.EndedEarly: "too short",
    trace.Metered: "meter",
    trace.SentDigest: "digest",
    trace.Cloned: "clone",
}
_INTO_NETWORKS = frozenset({gateway.ACTION.name, "enter_network"})
_NOBODY = "no policy"
_SAID_APART = frozenset({"span", "owner", "slot"})


def lines(explained: Explained) -> Iterator[str]:
    """For people."""
    question, first = explained.question, explained.ways[0]
    yield _question_words(question, first.hops[0].live.policies)
    yield from _standing(explained)
    yield from _out_of_reach(question, first.hops[0].live.policies)
    if len(explained.ways) > 1:
        yield f"which backend gets the connection {_basis_words(explained)}; all ways:"
    for way in explained.ways:
        yield ""
        yield from _way_lines(way, question.speaker.network, None if way is first else first)
    if explained.left_out:
        yield ""
        yield f"and {explained.left_out} backends more"


def _basis_words(explained: Explained) -> str:
    match explained.basis:
        case Basis.CHANCE:
            return "is chance"
        case Basis.TURN:
            return "follows from how many came before"
        case Basis.COUNT:
            return "is that with fewer connections, of two drawn by chance"
        case Basis.CONNECTION if explained.question.is_open:
            return "follows from its source port (--source-port)"
        case Basis.CONNECTION | Basis.SOURCE:
            return f"follows from its {explained.basis}, by a hash whose seed only the device knows"


def _way_lines(way: Way, network: str, first: Way | None) -> Iterator[str]:
    """Of another way than the first, what is not the same."""
    if way.share is not None:
        yield f"{share_words(way.share)}, to {_chosen_words(way, network)}:"
    for number, hop in enumerate(way.hops):
        common = _common(hop, first.hops[0]) if first is not None and not number else 0
        yield from _hop_lines(hop, network, way if not number else None, common)
        network = _left_in(hop, network)
    yield fate_words(way, network)
    yield from _return_words(way)


def _return_words(way: Way) -> Iterator[str]:
    """Of a backend that clients outside hear from without the device that has let them in."""
    if answers_itself(way):
        yield f"   its answers leave at {way.hops[-1].live.device.name}, by the uplink there"


def answers_itself(way: Way) -> bool:
    """Whether a client outside has called a service with server return Direct, and a backend of it got the packet."""
    ends, first, last = ends_of(way.hops[0].frame), way.hops[0], way.hops[-1]
    if way.fate is not Fate.DELIVERED or ends is None or ends_of(last.outcome.packet) != ends:
        return False
    if first.port not in {port.id for port in first.live.device.uplinks}:
        return False
    return any(service.is_direct(ends.dst) for service in first.live.policies.services)


def _left_in(hop: Hop, network: str) -> str:
    """The network that a packet is in behind a device: tunnels lead into one, and gateways into another."""
    hits = (s for s in hop.outcome.trace if isinstance(s, trace.Hit) and s.action in _INTO_NETWORKS)
    found = [hop.live.network_of(int(dict(hit.arguments)["network"])) for hit in hits]
    return found[-1] if found else network


def share_words(share: Fraction) -> str:
    return "all new connections" if share == 1 else f"{share} of new connections"


def _common(hop: Hop, first: Hop) -> int:
    """How many steps of the trace two ways have in common."""
    pairs = zip(hop.outcome.trace, first.outcome.trace, strict=False)
    return next((at for at, (one, other) in enumerate(pairs) if one != other), 0)


def _question_words(question: Question, policies: PolicySet) -> str:
    speaker = question.speaker
    sender = port_words(policies, speaker.device, speaker.port.id)
    return f"{sender} sends {frame_words(policies, speaker.network, question.frame)}"


def _standing(explained: Explained) -> Iterator[str]:
    """Devices that do not hold what was applied to them."""
    told: set[str] = set()
    for hop in (hop for way in explained.ways for hop in way.hops):
        name = hop.live.device.name
        if name not in told and hop.live.plan.steps:
            yield f"note: {name} {standing(hop.live.plan.steps)}"
        told.add(name)


def _out_of_reach(question: Question, policies: PolicySet) -> Iterator[str]:
    """Where a workload calls a service that has no network."""
    if not question.speaker.is_outside:
        named = (s for s in policies.services if s.is_across and question.ends.dst in s.externals)
        for service in named:
            yield f"note: service {service.key} has no network: clients outside alone reach it at {question.ends.dst}"


def standing(steps: tuple[object, ...]) -> str:
    return f"does not hold what was applied: {len(steps)} updates would bring it there (`turnout apply --dry-run`)"


def _hop_lines(hop: Hop, network: str, way: Way | None, common: int) -> Iterator[str]:
    policies, name = hop.live.policies, hop.live.device.name
    yield f"{name}, in by {port_words(policies, name, hop.port)}:"
    if common:
        yield "  (as above up to here)"
    for step in hop.outcome.trace[common:]:
        if isinstance(step, _QUIET):
            continue
        yield f"  {_step_words(step)}"
        if isinstance(step, trace.Hit):
            yield f"    {_hit_words(hop, step, network, way)}"


def _step_words(step: trace.TraceStep) -> str:
    """As the interpreter has it, but for a slot: that hangs on connections that nobody has asked for."""
    return str(step).partition(" in slot ")[0] if isinstance(step, trace.Learned) else str(step)


def _hit_words(hop: Hop, hit: trace.Hit, network: str, way: Way | None) -> str:
    """The policy object, and what the entry is for."""
    owner, span = hop.live.behind(hit)
    table = hop.live.model.names.tables[hit.table]
    if table.store is not None:
        idle_s = next((f"{k.idle_ms / 1000:.1f} s" for k in hop.known if k.table == hit.found_in), "")
        of = f"{owner or _nobody_of(hit)}{_place(span)}"
        if remembers_clients(table.name):
            return f"the client's last new connection, {idle_s} ago, went to {_remembered(hop, hit, network)}: {of}"
        return f"a known connection{f', idle for {idle_s}' if idle_s else ''}, of {of}"
    if hit.member_id is not None:
        chosen, place = _member(hop, hit, network)
        choice = way.choice if way is not None else None
        of = f", one of {len(choice.group.members)}" if choice is not None and choice.table == hit.table else ""
        return f"{owner or _NOBODY}: {chosen}{of}{_place(place)}"
    return f"{owner or _NOBODY}: {table.doc}"


def _nobody_of(hit: trace.Hit) -> str:
    """A connection that is redirected, or that another device translates, is of no service here."""
    return "no service" if dict(hit.arguments).get("service_id") == "0" else "a service that is no more"


def _place(span: Span) -> str:
    return f"  [{span}]" if span != NOWHERE else ""


def _chosen_words(way: Way, network: str) -> str:
    hop = way.hops[0]
    hit = hop.live.deciding(hop.outcome)
    return _NOBODY if hit is None else _member(hop, hit, network)[0]


def _backend_of(way: Way, network: str) -> str | None:
    hop = way.hops[0]
    hits = (s for s in hop.outcome.trace if isinstance(s, trace.Hit) and s.group_id is not None)
    return next((_backend(hop, hit, network)[0] for hit in hits if not chooses_proxy(hit)), None)


def _proxy_of(way: Way) -> str | None:
    """Of whichever device sends it to one."""
    found = (hop.live.redirected(hop.outcome) for hop in way.hops)
    return next((proxy.key for proxy in found if proxy is not None), None)


def _member(hop: Hop, hit: trace.Hit, network: str) -> tuple[str, Span]:
    """What a group chose in words, and the line that made it a member."""
    if not chooses_proxy(hit):
        backend, place = _backend(hop, hit, network)
        return f"backend {backend}", place
    port = hop.live.proxy_port(hit)
    if port is None or port.workload is None:
        return "a proxy that no policy names", NOWHERE
    return f"proxy {port.workload.key}", port.workload.span


def _backend(hop: Hop, hit: trace.Hit, network: str) -> tuple[str, Span]:
    """The backend in words, and the line that made it one."""
    arguments = dict(hit.arguments)
    address, port = arguments["address"], int(arguments["port"])
    if "crossing" not in arguments:
        words = address_words(hop.live.policies, network, ip_address(address), port)
        return words, hop.live.backend_span(hit.span, address, port)
    there = _network_across(hop, int(arguments["crossing"]))
    words = f"{address_words(hop.live.policies, there, ip_address(address), port)} of network {there}"
    return words, hop.live.backend_span(hit.span, address, port, there)


def _remembered(hop: Hop, hit: trace.Hit, network: str) -> str:
    """The backend in words; an IPv4 address stands in an IPv6 one there."""
    arguments = dict(hit.arguments)
    address, port, crossing = IPv6Address(arguments["address"]), int(arguments["port"]), int(arguments["crossing"])
    there = _network_across(hop, crossing) if crossing else network
    words = address_words(hop.live.policies, there, address.ipv4_mapped or address, port)
    return f"backend {words} of network {there}" if crossing else f"backend {words}"


def _network_across(hop: Hop, crossing: int) -> str:
    return hop.live.network_of(hop.live.crossing(crossing).get("network", 0))


def fate_words(way: Way, network: str) -> str:
    """The end, in a line."""
    hop = way.hops[-1]
    policies, name = hop.live.policies, hop.live.device.name
    said = outcome_words(policies, network, name, hop.outcome)
    match way.fate:
        case Fate.DELIVERED:
            return f"=> delivered {said}"
        case Fate.REFUSED:
            return f"=> refused: {said}"
        case Fate.ANSWERED:
            return f"=> {said}"
        case Fate.LEFT_ALONE:
            return f"=> {said}; no entry concerns it"
        case Fate.DROPPED:
            reason = hop.live.model.names.drop_reasons[hop.outcome.drop_reason or ""]
            return f"=> dropped, {reason.name}: {reason.doc}"
        case Fate.LEFT:
            return f"=> sent {said}, to no device of these policies"
        case Fate.UNKNOWN:
            return f"=> unknown: {way.why}"


def plain(explained: Explained) -> dict[str, Any]:
    """For JSON and YAML."""
    question = explained.question
    policies = explained.ways[0].hops[0].live.policies
    return {
        "question": _question_words(question, policies),
        "source": question.speaker.workload.key,
        "network": question.speaker.network,
        "packet": question.frame.hex(),
        "ways": [_plain_way(way, question.speaker.network) for way in explained.ways],
        "left_out": explained.left_out,
    }


def _plain_way(way: Way, network: str) -> dict[str, Any]:
    last, end = way.hops[-1], network
    for hop in way.hops:
        end = _left_in(hop, end)
    return {
        "fate": way.fate.value,
        "words": fate_words(way, end).removeprefix("=> "),
        "device": last.live.device.name,
        "port": last.outcome.egress_port,
        "drop_reason": last.outcome.drop_reason,
        "share": None if way.share is None else str(way.share),
        "backend": _backend_of(way, network),
        "proxy": _proxy_of(way),
        "answers_itself": answers_itself(way),
        "hops": [_plain_hop(hop) for hop in way.hops],
    }


def _plain_hop(hop: Hop) -> dict[str, Any]:
    return {
        "device": hop.live.device.name,
        "port": hop.port,
        "frame": hop.frame.hex(),
        "verdict": hop.outcome.verdict.value,
        "egress_port": hop.outcome.egress_port,
        "packet": hop.outcome.packet.hex(),
        "holds_what_was_applied": not hop.live.plan.steps,
        "steps": [_plain_step(hop, step) for step in hop.outcome.trace if not isinstance(step, _QUIET)],
    }


def _plain_step(hop: Hop, step: trace.TraceStep) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": _KINDS[type(step)]}
    for part in fields(step):
        value = getattr(step, part.name)
        if part.name not in _SAID_APART:
            found[part.name] = dict(value) if part.name in ("key", "arguments", "values") else value
    if isinstance(step, trace.Hit):
        owner, span = hop.live.behind(step)
        found |= {"policy": owner, "place": str(span) if span != NOWHERE else None}
    return {**found, "text": _step_words(step)}
