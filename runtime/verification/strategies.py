"""Hypothesis strategies: device states, and what happens to a device over time.

Sets are small on purpose, so that tuples, addresses and slots collide. Steps say what to do, not which bytes to send:
a reply is made from what the device has sent before, so a shrunk sequence still makes sense.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from runtime.verification.malformed.catalogue import FAULTS
from runtime.verification.scenes import GATEWAY_HOST, NOWHERE_HOST, Scene, Service, Workload
from runtime.verification.traffic import ODDITIES, SCTP_PREFIX, Ask, Send, Target
from runtime.verification.vector import Sweep, Wait

BOUNDED = settings(
    derandomize=True,
    database=None,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example),
)
"""The same examples every time; how many is for the test to say."""
NETWORKS = (1, 2, 0x0102)
HOSTS = st.integers(10, 14)
MTUS = st.sampled_from((1500, 1500, 1450, 1280, 600, 100, 65535))
PORTS = st.sampled_from((None, 2, 16, 17, 18, 19))
VLANS = st.sampled_from((0, 0, 0, 100, 4094))
FLAGS = ("S", "S", "A", "PA", "FA", "R", "SA", "RA")
ASSOCIATIONS = tuple(f"{SCTP_PREFIX}{flags}" for flags in ("S", "S", "A", "FA", "R"))
MORE_FLAGS = st.sampled_from(FLAGS[2:])
STEPS_MS = st.sampled_from(
    (1, 7, 9_999, 10_000, 29_999, 30_000, 59_999, 60_000, 119_999, 120_000, 7_439_999, 7_440_000)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """The packet of step `back` once more, of a TCP one with other flags."""

    back: int
    flags: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The answer to the packet that the device forwarded `back` packets ago."""

    back: int
    flags: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """`count` connections from ports that follow each other."""

    first: Send
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Torn:
    """A packet in fragments, cut at `cuts` (`fragmenting.in_fragments`); number `first` comes first."""

    step: Send
    cuts: tuple[int, ...]
    first: int
    identification: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Bytes of no sense behind an EtherType, by the port of a workload."""

    port: int
    ether_type: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """The frame of a step as it comes in, with faults by name and case (`malformed.catalogue`)."""

    step: Send | Ask
    faults: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A write to entry, next hop or group `number`.

    "delete", "restore" (the entry that was deleted first), "repoint" (a next hop gets the action of `other`),
    "regroup" (a group loses its first member, or gets all back when it has none).
    """

    kind: str
    number: int
    other: int


Step = Send | Ask | Again | Reply | Burst | Torn | Noise | Damage | Wait | Sweep | Edit


def _workloads() -> st.SearchStrategy[tuple[Workload, ...]]:
    one = st.builds(
        Workload,
        network=st.sampled_from((1, 1, 1, *NETWORKS)),
        host=HOSTS,
        port=PORTS,
        vlan=VLANS,
        mtu=MTUS,
        routed=st.sampled_from((True, True, True, True, False)),
        known=st.sampled_from((True, True, True, True, False)),
    )
    return st.lists(one, min_size=3, max_size=7, unique_by=(_address_of, _place_of)).map(tuple)


def _address_of(workload: Workload) -> tuple[int, int]:
    return workload.network, workload.host


def _place_of(workload: Workload) -> tuple[int | None, int]:
    return (None, workload.network << 8 | workload.host) if workload.port is None else (workload.port, workload.vlan)


def _services(workloads: tuple[Workload, ...]) -> st.SearchStrategy[tuple[Service, ...]]:
    networks = st.sampled_from([workload.network for workload in workloads])
    one = networks.flatmap(lambda network: _service(network, workloads))
    return st.lists(one, min_size=1, max_size=5, unique_by=_frontend_of).map(tuple)


_MOSTLY = st.sampled_from((True, True, True, True, False))
AFFINITIES_MS = (1000, 60_000, 10_800_000)
"""Shorter and longer than waits."""


def _service(network: int, workloads: tuple[Workload, ...]) -> st.SearchStrategy[Service]:
    """Most backends are workloads of the service's network; one may be another network's, or nowhere."""
    near = [workload.host for workload in workloads if workload.network == network]
    hosts = st.sampled_from((*3 * near, workloads[0].host, NOWHERE_HOST))
    backend = st.tuples(hosts, st.sampled_from((80, 8080, 0x1F41)), st.integers(1, 4))
    some, none = st.lists(backend, min_size=1, max_size=4).map(tuple), st.just(())
    return st.builds(
        Service,
        network=st.just(network),
        host=st.sampled_from((10, 20)),
        protocol=st.sampled_from(("tcp", "tcp", "udp", "udp", "sctp")),
        port=st.sampled_from((53, 80)),
        backends=st.sampled_from((some, some, some, some, none)).flatmap(lambda chosen: chosen),
        behind=st.sampled_from((*6 * ["group"], "member", "nothing")),
        spread=st.sampled_from(("", "", "_by_source", "_by_chance", "_in_turn", "_by_count")),
        affinity_ms=st.sampled_from((0, 0, *AFFINITIES_MS)),
        may_stay=_MOSTLY,
    )


def _frontend_of(service: Service) -> tuple[int, int, str, int]:
    return service.network, service.host, service.protocol, service.port


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """A device, whose services have the backends that its workloads are."""
    workloads = draw(_workloads())
    return Scene(
        networks=NETWORKS,
        workloads=workloads,
        services=draw(_services(workloads)),
        gateways=draw(_MOSTLY),
        tunnels=draw(_MOSTLY),
        prefix_len=draw(st.sampled_from((None, None, None, 0, 8, 24))),
    )


TARGETS = st.builds(
    Target,
    kind=st.sampled_from((*5 * ["service"], "workload", "workload", "gateway", "nowhere")),
    number=st.integers(0, 6),
)
_NUMBERS = {
    "wrong header checksum": st.sampled_from((1, 0x100, 0xFFFF)),
    "wrong checksum": st.sampled_from((1, 0x100, 0xFFFF)),
    "no checksum": st.just(0),
    "wrong length": st.sampled_from((1, -1, -40, 1000, -9, 0xFF00, 0xFFB0)),
    "wrong transport length": st.sampled_from((1, -1, 1000, -8)),
    "other version": st.sampled_from((1, 2, -2)),
    "header length": st.sampled_from((-1, 1, 10)),
    "flipped bit": st.integers(0, 80 * 8),
    "trailer": st.integers(1, 40),
    "other source": st.sampled_from((GATEWAY_HOST, 10, 11, NOWHERE_HOST)),
    "options": st.just(0),
    "fragment": st.sampled_from((0, 1, 100)),
    "traffic class": st.integers(1, 255),
    "wrong vlan": st.sampled_from((1, 0x100, 0xFFF)),
    "wrong vni": st.sampled_from((1, 0x100, 0x10000)),
    "nested vlan": st.sampled_from((0, 100)),
    "wrong tunnel": st.just(0),
    "outer flags": st.sampled_from((0, 1, 3)),
    "cut": st.integers(14, 130),
}
assert set(_NUMBERS) >= set(ODDITIES)
_ODDITY = st.sampled_from(sorted(_NUMBERS)).flatmap(lambda name: st.tuples(st.just(name), _NUMBERS[name]))
ODD = st.lists(_ODDITY, min_size=1, max_size=2, unique_by=lambda pair: pair[0]).map(tuple)
SIZES = st.sampled_from((0, 1, 8, 99, -1, -2, -3, -51, -52, 1600))


def sends(oddities: st.SearchStrategy[tuple[tuple[str, int], ...]]) -> st.SearchStrategy[Send]:
    """A packet of a workload, with these oddities."""
    return st.builds(
        Send,
        source=st.integers(0, 6),
        target=TARGETS,
        version=st.sampled_from((4, 6)),
        transport=st.sampled_from((*FLAGS, *ASSOCIATIONS, "udp", "udp", "udp", "udp", "icmp", "other")),
        src_port=st.sampled_from((80, 1024, 1025, 0xC350)),
        dst_port=st.sampled_from((None, None, None, None, 80, 8080, 4789)),
        ttl=st.sampled_from((64, 64, 64, 64, 2, 1, 0, 255)),
        flags=st.sampled_from(("DF", "DF", "", "MF")),
        size=SIZES,
        oddities=oddities,
    )


PLAIN = st.builds(
    Send,
    source=st.integers(0, 6),
    target=st.builds(Target, kind=st.just("service"), number=st.integers(0, 2)),
    version=st.sampled_from((4, 6)),
    transport=st.just("open"),
    src_port=st.sampled_from((1024, 1025)),
    size=st.sampled_from((0, 9)),
)
"""What opens a connection, most likely."""
LONG = st.builds(
    Send,
    source=st.integers(0, 6),
    target=st.builds(Target, kind=st.sampled_from(("service", "service", "workload")), number=st.integers(0, 2)),
    version=st.sampled_from((4, 6)),
    transport=st.sampled_from(("open", "udp", "A", f"{SCTP_PREFIX}A")),
    src_port=st.sampled_from((1024, 1025)),
    flags=st.just(""),
    size=st.sampled_from((100, 1100)),
)
"""Packets that are to come in fragments."""
CUTS = st.sampled_from(((8,), (24,), (32, 64), (64, 512)))
QUESTIONS = st.builds(
    Ask,
    source=st.integers(0, 6),
    version=st.sampled_from((4, 6)),
    host=st.sampled_from((GATEWAY_HOST, GATEWAY_HOST, GATEWAY_HOST, 10)),
    fault=st.sampled_from(("", "", "operation", "type", "length", "probe", "own", "short")),
)
FAULTY = st.lists(
    st.sampled_from(FAULTS).flatmap(lambda fault: st.tuples(st.just(fault.name), st.integers(0, fault.cases - 1))),
    min_size=1,
    max_size=3,
).map(tuple)
REPLIES = st.builds(Reply, back=st.integers(0, 4), flags=MORE_FLAGS, size=st.sampled_from((0, 9, 1600)))
NOISE = st.builds(
    Noise,
    port=st.sampled_from((1, 2, 16, 17, 40, 511)),
    ether_type=st.sampled_from((0x0800, 0x86DD, 0x0806, 0x8100, 0x88A8, 0x88CC)),
    data=st.binary(max_size=90),
)
EDITS = st.builds(
    Edit,
    kind=st.sampled_from(("delete", "restore", "repoint", "regroup")),
    number=st.integers(0, 200),
    other=st.integers(0, 6),
)
_WEIGHTS: tuple[tuple[st.SearchStrategy[Step], int], ...] = (
    (PLAIN, 4),
    (REPLIES, 4),
    (st.builds(Again, back=st.integers(0, 4), flags=MORE_FLAGS), 4),
    (sends(st.just(())), 2),
    (sends(ODD), 3),
    (st.builds(Burst, first=PLAIN, count=st.integers(2, 12)), 1),
    (st.builds(Torn, step=LONG, cuts=CUTS, first=st.sampled_from((0, 0, 0, 1)), identification=st.integers(1, 2)), 1),
    (QUESTIONS, 1),
    (st.builds(Damage, step=PLAIN, faults=FAULTY), 1),
    (st.builds(Damage, step=sends(st.just(())), faults=FAULTY), 1),
    (st.builds(Damage, step=QUESTIONS, faults=FAULTY), 1),
    (NOISE, 1),
    (st.builds(Wait, ms=STEPS_MS), 2),
    (st.just(Sweep()), 1),
    (EDITS, 2),
)
SEGMENTED = st.builds(
    Send,
    source=st.integers(0, 6),
    target=TARGETS,
    version=st.sampled_from((4, 6)),
    transport=st.sampled_from((*FLAGS, "udp", "udp", "udp")),
    src_port=st.sampled_from((1024, 1025)),
    ttl=st.sampled_from((64, 64, 64, 1)),
    flags=st.sampled_from(("DF", "")),
    size=st.sampled_from((2000, 2401, 2800)),
    segment=st.sampled_from((60, 61, 540, 560, 1000, 1220, 1240, 1400, 1411, 1440, 1460)),
)
"""Packets that a card is to cut, into segments about the MTUs."""


def _runs(weights: tuple[tuple[st.SearchStrategy[Step], int], ...]) -> st.SearchStrategy[list[Step]]:
    """Not `one_of`, which takes a strategy that is named twice for one.

    One list would be short on average, or never shrink to few steps.
    """
    step = st.sampled_from([s for s, weight in weights for _ in range(weight)]).flatmap(lambda strategy: strategy)
    part = st.lists(step, min_size=2, max_size=16)
    return st.tuples(part, part, part).map(lambda parts: [step for part in parts for step in part])


RUNS = _runs(_WEIGHTS)
WIRE_RUNS = _runs((*_WEIGHTS, (SEGMENTED, 6)))
"""With what only wires can carry."""
