"""Sequences of connections: every event in every state, every age, tuples that look alike, entries that change below.

A state that two packets in a row reach by chance once in a thousand runs is reached here each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import combinations

from compiler.ir.entries import ActionCall, Member, TableEntry
from compiler.ir.interpreter import Outcome
from runtime.verification.book import number
from runtime.verification.playing import Play
from runtime.verification.scenes import GATEWAY_HOST, NOWHERE_HOST, Scene, Service, address, service_address
from runtime.verification.sequence import BACKEND, CLIENT, QUERY, SHOP, STRANGER, SYN, WEB, Sequence
from runtime.verification.speaking import Ends, ends_of
from runtime.verification.strategies import Again, Reply, Step, Sweep, Wait
from runtime.verification.traffic import Send, Target, sent

_LONGEST_MS = 7_440_000
_FLAGS = tuple("".join(chosen) or "P" for size in range(5) for chosen in combinations("FSRA", size))
"""All sixteen of FIN, SYN, RST and ACK."""
_ALIKE = Service(network=1, host=20, protocol="tcp", port=80, backends=((11, 8080, 1),))
_CLASHING = Scene(networks=(1, 2), workloads=(CLIENT, BACKEND, STRANGER), services=(WEB, _ALIKE))
_ESTABLISHED: tuple[Step, ...] = (Reply(back=0, flags="SA", size=0), Again(back=0, flags="A"))
_ONTO: Mapping[str, tuple[Step, ...]] = {
    "tcp_new": (),
    "tcp_heard": (Again(back=0, flags="A"),),
    "tcp_established": _ESTABLISHED,
    "tcp_closing": (*_ESTABLISHED, Again(back=0, flags="FA")),
    "tcp_reset": (*_ESTABLISHED, Again(back=0, flags="R")),
    "tcp_closed": (
        *_ESTABLISHED,
        Again(back=0, flags="FA"),
        Reply(back=0, flags="FA", size=0),
        Again(back=0, flags="A"),
    ),
}
"""What brings a connection that was just opened into each profile; a packet of the client's is last."""


def _every_event(play: Play) -> None:
    """All flags in both directions, in each state of a connection."""
    for version in (4, 6):
        for way in _ONTO.values():
            for flags in _FLAGS:
                for at, step in enumerate((Again(back=0, flags=flags), Reply(back=0, flags=flags, size=0))):
                    play.do(replace(SYN, version=version, src_port=2000 + at))
                    for each in (*way, step):
                        play.do(each)
                play.comparison.compare_state()
                play.do(Wait(ms=_LONGEST_MS))
                play.do(Sweep())


def _every_answer(play: Play) -> None:
    """A connection that both sides have closed, and a packet of the backend's with any flags."""
    for version in (4, 6):
        for flags in _FLAGS:
            play.do(replace(SYN, version=version))
            play.do(Reply(back=0, flags="R", size=0))
            play.do(Reply(back=1, flags=flags, size=0))
            play.comparison.compare_state()
            play.do(Wait(ms=_LONGEST_MS))
            play.do(Sweep())


def _every_age(play: Play) -> None:
    """In each profile, alive a millisecond before its time and gone with it."""
    timeouts = {p.name: p.timeout_ms for store in play.comparison.pipeline.stores for p in store.profiles}
    for version in (4, 6):
        for profile, reach in _to_profiles(play, version):
            reach()
            learned = play.comparison.reference.model.learned(f"flow_ipv{version}")
            assert [entry.profile for entry in learned] == [profile]
            for wait, left in ((timeouts[profile] - 1, 1), (1, 0)):
                play.do(Wait(ms=wait))
                play.do(Sweep())
                play.comparison.compare_state()
                assert len(play.comparison.reference.model.learned(f"flow_ipv{version}")) == left


def _to_profiles(play: Play, version: int) -> Iterator[tuple[str, Callable[[], None]]]:
    """A connection is brought to a profile in one millisecond; the other half to none that lives longer.

    Which leaves out half-closed ones: what the other half is in, always does.
    """
    for profile, way in _ONTO.items():
        if profile == "tcp_closing":
            continue
        yield profile, lambda way=way: _run(play, replace(SYN, version=version), *way)
    query, again = replace(QUERY, version=version), Again(back=0, flags="")
    yield "udp_new", lambda: _run(play, query)
    yield "udp_stream", lambda: _run(play, query, again, Reply(back=0, flags="", size=0))


def _run(play: Play, *steps: Step) -> None:
    for step in steps:
        play.do(step)


def _full_again(play: Play) -> None:
    """Sets full of established connections, in both families: what is new is dropped."""
    for version in (4, 6):
        _fill(play, version)
        outcomes = [play.do(replace(SYN, version=version, src_port=3000 + at)) for at in range(12)]
        assert "flow_table_full" in {_reason(outcome) for outcome in outcomes}
        play.comparison.compare_state()


def _fill(play: Play, version: int) -> None:
    for at in range(40):
        play.do(replace(SYN, version=version, src_port=2000 + at))
        play.do(Reply(back=0, flags="SA", size=0))
        play.do(Reply(back=1, flags="A", size=0))
        play.do(Again(back=0, flags="A"))


def _clash(play: Play) -> None:
    """Connections of one source port to one backend, by two services and directly: each gets a port of its own, and
    is answered from where it has called."""
    for version in (4, 6):
        openings = (
            replace(SYN, version=version),
            replace(SYN, version=version, target=Target(kind="service", number=1)),
            replace(SYN, version=version, target=Target(kind="workload", number=1), dst_port=8080),
        )
        ports = {_answered(play, opening) for opening in openings}
        assert len(ports) == len(openings)
        for opening in openings:
            outcome = play.do(replace(opening, transport="A"))
            assert _egress(outcome) == BACKEND.port
            assert _ends(outcome).src_port in ports


def _direct_first(play: Play) -> None:
    """A direct connection is known where services have its backend: a service's gets another port, and both go on."""
    direct = replace(SYN, target=Target(kind="workload", number=1), dst_port=8080)
    for version in (4, 6):
        opened = [replace(one, version=version) for one in (direct, SYN)]
        ports = [_answered(play, opening) for opening in opened]
        assert ports[0] == SYN.src_port != ports[1]
        for opening, port in zip(opened, ports, strict=True):
            outcome = play.do(replace(opening, transport="PA"))
            assert (_egress(outcome), _ends(outcome).src_port) == (BACKEND.port, port)


def _answered(play: Play, opening: Send) -> int:
    """The port that the backend sees; its answer comes from where the client has called."""
    outcome = play.do(opening)
    answered = play.do(Reply(back=0, flags="SA", size=0))
    called = ends_of(sent(play.scene, opening)[1])
    assert called is not None
    assert (_egress(outcome), _egress(answered), _ends(answered)) == (BACKEND.port, CLIENT.port, called.turned)
    return _ends(outcome).src_port


def _direct_without_room(play: Play) -> None:
    """A direct connection needs no place in a full table, unless it has another port."""
    for version in (4, 6):
        _fill(play, version)
        direct = replace(SYN, version=version, target=Target(kind="workload", number=1))
        own = [play.do(replace(direct, src_port=3000 + at)) for at in range(12)]
        assert {(_egress(one), _ends(one).src_port - 3000 - at) for at, one in enumerate(own)} == {(BACKEND.port, 0)}
        other = [play.do(replace(direct, src_port=2000 + at, dst_port=8080)) for at in range(12)]
        assert "flow_table_full" in {_reason(outcome) for outcome in other}
        play.comparison.compare_state()


def _route_gone(play: Play) -> None:
    """A known connection needs no route: its next hop is known."""
    for version in (4, 6):
        play.do(replace(SYN, version=version))
        for entry in _entries(play, f"route_ipv{version}"):
            play.comparison.delete(entry)
        assert _reason(play.do(Again(back=0, flags="A"))) is None
        assert _egress(play.do(Reply(back=0, flags="SA", size=0))) == CLIENT.port


def _no_hop_yet(play: Play) -> None:
    """A connection learned without next hops is routed packet by packet, by the addresses that it is translated to."""
    hops = {entry.key: entry for table in ("route_ipv4", "route_ipv6") for entry in _entries(play, table)}
    ports = _entries(play, "port")
    for entry in (*hops.values(), *ports):
        play.comparison.modify(_with_last(entry, 0) if entry.action.arguments else entry)  # pyright: ignore[reportAttributeAccessIssue,reportUnknownMemberType]
    for version in (4, 6):
        for source in (0, 1):
            play.do(replace(SYN, version=version, source=source))
    for entry in (*hops.values(), *ports):
        play.comparison.modify(entry)
    for version in (4, 6):
        for source, port in ((0, CLIENT.port), (1, BACKEND.port)):
            opening = replace(SYN, version=version, source=source, transport="A")
            assert _egress(play.do(opening)) == BACKEND.port
            assert _egress(play.do(Reply(back=0, flags="SA", size=0))) == port


def _nothing_alike(play: Play) -> None:
    """A packet that opens nothing is looked for by all of its tuple: no part left at zero, none taken from another."""
    for version in (4, 6):
        client, backend, gateway = (number(address(version, host)) for host in (10, 11, GATEWAY_HOST))
        for opened in (
            (backend, client, 8080, 0),
            (backend, client, 0, 1024),
            (0, client, 8080, 1025),
            (backend, 0, 8080, 1026),
            (gateway, gateway, 8080, 1027),
        ):
            _open(play, version, opened)
            for at, other in enumerate((number(address(version, NOWHERE_HOST)),) * 2 + (77, 77)):
                answer = (*opened[:at], other, *opened[at + 1 :])
                play.arrive(*_arrival(play, version, *answer))
        play.comparison.compare_state()


def _open(play: Play, version: int, answer: tuple[int, int, int, int]) -> None:
    """A connection whose answers have this tuple: source, destination, their ports."""
    backend, client, port, client_port = answer
    selector = f"backends_ipv{version}"
    call = ActionCall(action=f"to_backend_ipv{version}", arguments=(backend, port))
    play.comparison.modify(Member(selector=selector, id=11, action=call))
    service = number(service_address(version, WEB.host))
    play.arrive(*_arrival(play, version, client, service, client_port, WEB.port))


def _arrival(play: Play, version: int, src: int, dst: int, src_port: int, dst_port: int) -> tuple[int, bytes]:
    """A packet with any tuple, by the client's port."""
    step = replace(SYN, version=version, src_port=src_port, dst_port=dst_port, transport="A")
    port, frame = sent(play.scene, step)
    at, width = (26, 4) if version == 4 else (22, 16)
    addresses = src.to_bytes(width, "big") + dst.to_bytes(width, "big")
    ports = src_port.to_bytes(2, "big") + dst_port.to_bytes(2, "big")
    return port, frame[:at] + addresses + ports + frame[at + 2 * width + 4 :]


def _entries(play: Play, table: str) -> tuple[TableEntry, ...]:
    return play.comparison.reference.model.entries(table)


def _with_last(entry: TableEntry, argument: int) -> TableEntry:
    assert isinstance(entry.action, ActionCall)
    return replace(entry, action=replace(entry.action, arguments=(*entry.action.arguments[:-1], argument)))


def _reason(outcome: Outcome | None) -> str | None:
    assert outcome is not None
    return outcome.drop_reason


def _ends(outcome: Outcome | None) -> Ends:
    assert outcome is not None
    found = ends_of(outcome.packet)
    assert found is not None
    return found


def _egress(outcome: Outcome | None) -> int | None:
    assert outcome is not None
    return outcome.egress_port


CONNECTION_SEQUENCES = (
    Sequence(name="clash", play=_clash, scene=_CLASHING),
    Sequence(name="direct first", play=_direct_first),
    Sequence(name="direct without room", play=_direct_without_room),
    Sequence(name="route of a known connection", play=_route_gone),
    Sequence(name="no next hop yet", play=_no_hop_yet),
    Sequence(name="every age", play=_every_age),
    Sequence(name="every answer to a closed connection", play=_every_answer),
    Sequence(name="full in both families", play=_full_again),
    Sequence(name="nothing alike", play=_nothing_alike, scene=replace(SHOP, prefix_len=0)),
    Sequence(name="every event in every state", play=_every_event),
)
