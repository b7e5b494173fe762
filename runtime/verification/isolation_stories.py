"""Named runs of a cluster with NetworkPolicies (`stories`): who gets what, and what stays known when they change."""

from __future__ import annotations

from dataclasses import replace

from runtime.verification.cluster_steps import (
    Adopt,
    Answer,
    Apply,
    Beside,
    Call,
    Complaint,
    Direct,
    Enter,
    Exchange,
    More,
    Onward,
    Pause,
    Ping,
    Push,
    Restart,
    Step,
    SweepAll,
)
from runtime.verification.policies.plan import (
    DEVICES,
    PlannedDirection,
    PlannedGrant,
    PlannedIsolation,
    PlannedNetwork,
    PlannedPort,
    PlannedRedirect,
    PlannedService,
    PlannedWorkload,
    PolicyPlan,
)
from runtime.verification.stories import Story

_ALL, _WEB, _OPS, _HOSTS, _OUTSIDE, _SERVICES, _ANY_V6, _HOSTS_V6 = 0, 1, 3, 7, 9, 10, 11, 12
"""Peers (`isolating`)."""
_TARGETS, _TO_TARGETS, _NAMED, _UDP_7, _FEW_UDP, _UDP = 0, 1, 3, 5, 6, 7
"""Ports."""
_NAMES = PlannedService(
    network=0, host=10, versions=(4, 6), ports=(PlannedPort(), PlannedPort(protocol="UDP", port=53, target=5353))
)
TWINS = PolicyPlan(
    networks=(PlannedNetwork(), PlannedNetwork()),
    workloads=(
        PlannedWorkload(network=0, host=10, app=""),
        PlannedWorkload(network=0, host=11),
        PlannedWorkload(network=0, host=12, place="dpu-b"),
        PlannedWorkload(network=1, host=10, place="dpu-b"),
        PlannedWorkload(network=1, host=12, app="db", team="ops"),
    ),
    services=(_NAMES, replace(_NAMES, network=1)),
)
"""Two networks of equal addresses, whose workloads have other labels."""
_INWARDS = PlannedIsolation(
    app="web",
    ingress=(
        PlannedGrant(peers=(_HOSTS, _HOSTS_V6), ports=(_TO_TARGETS,)),
        PlannedGrant(peers=(_ALL,), ports=(_UDP_7,)),
    ),
)
_OUTWARDS = PlannedIsolation(egress=(PlannedGrant(peers=(_WEB,)), PlannedGrant(ports=(_UDP_7,))))
GUARDED = replace(TWINS, isolations=(_INWARDS, _OUTWARDS))
_NOBODY = replace(TWINS, isolations=(replace(_INWARDS, ingress=()), replace(_OUTWARDS, egress=())))
_ACROSS = replace(TWINS, workloads=(*TWINS.workloads[:1], *TWINS.workloads[2:]))
_DENIED_ACROSS = replace(_ACROSS, isolations=(PlannedIsolation(app="web", ingress=()),))
"""The one backend is behind the other device, and may not be called any more."""
_BY_NAME = replace(
    TWINS,
    isolations=(
        PlannedIsolation(app="web", ingress=(PlannedGrant(peers=(_ALL, _OPS), ports=(_NAMED,)),)),
        PlannedIsolation(team="ops", egress=(PlannedGrant(ports=(_NAMED, _UDP)),)),
    ),
)
_SHOWN = replace(
    TWINS,
    underlay="routed",
    services=tuple(replace(service, is_shown=True) for service in TWINS.services),
    at_nodes=0,
    isolations=(
        PlannedIsolation(app="web", ingress=(PlannedGrant(peers=(_OUTSIDE, _ANY_V6), ports=(_TO_TARGETS,)),)),
        PlannedIsolation(egress=()),
    ),
)
_SHOWN_TO_ALL = replace(_SHOWN, isolations=())
_MESH = replace(
    TWINS,
    proxies=(
        PlannedWorkload(network=0, host=16, app=""),
        PlannedWorkload(network=0, host=18, app="", place="dpu-b"),
    ),
    redirects=(
        PlannedRedirect(network=0, outbound=PlannedDirection()),
        PlannedRedirect(network=0, app="web", inbound=PlannedDirection()),
    ),
)
_GUARDED_MESH = replace(
    _MESH,
    isolations=(
        _INWARDS,
        PlannedIsolation(egress=(PlannedGrant(peers=(_SERVICES, _HOSTS_V6)), PlannedGrant(peers=(_WEB,)))),
    ),
)
_BOUNDED = replace(
    TWINS, isolations=(PlannedIsolation(app="web", ingress=(PlannedGrant(ports=(_TO_TARGETS, _FEW_UDP)),)),)
)
_ANSWERING = replace(_MESH, isolations=(PlannedIsolation(ingress=(PlannedGrant(ports=(_TARGETS,)),)),))
_CALL = Call(client=0, service=0, version=4, src_port=1024)
_DIRECT = Direct(client=0, peer=1, version=4, protocol=6, src_port=3024)
_ENTER = Enter(device="dpu-a", client=0, service=0, version=4, src_port=1024)
_VERSIONS = (4, 6)
_LATER = (Pause(ms=7_440_000), SweepAll())


def _calls(src_port: int = 1024, clients: int = 5) -> list[Step]:
    """Of everybody, to each port of a service; there is room for those of two clients."""
    return [
        step
        for client in range(clients)
        for step in (
            *(_LATER if client > 1 else ()),
            *(
                Exchange(call=replace(_CALL, client=client, service=at, version=version, src_port=src_port + client))
                for at in (0, 1)
                for version in _VERSIONS
            ),
        )
    ]


def _straight(src_port: int = 3024) -> list[Step]:
    """Of everybody to each other, also to the address that nobody has, what is said to that, and pings."""
    return [
        step
        for client in range(5)
        for peer in (0, 1, 2, 3, 4, None)
        for version in _VERSIONS
        for protocol, dst_port in ((6, 7), (6, 8080), (17, 7), (17, 8080))
        for step in (
            *(
                (*_LATER, Ping(client=client, peer=peer, version=4), Ping(client=client, peer=peer, version=6))
                if (version, protocol, dst_port) == (4, 6, 7)
                else ()
            ),
            Direct(client=client, peer=peer, version=version, protocol=protocol, src_port=src_port, dst_port=dst_port),
            Answer(back=0, flags="SA"),
        )
    ]


def _entering(src_port: int = 1024, *services: int) -> list[Enter]:
    return [
        replace(_ENTER, device=device, version=version, client=client, service=service, src_port=src_port)
        for device in DEVICES
        for version in _VERSIONS
        for client in (0, 1)
        for service in services
    ]


def _at_bounds() -> list[Step]:
    """Of ranges of ports, at both of their ends."""
    return [
        step
        for protocol, ports in ((6, (79, 80, 8080, 8081)), (17, (6, 7, 52, 53)))
        for dst_port in ports
        for version in _VERSIONS
        for step in (replace(_DIRECT, version=version, protocol=protocol, dst_port=dst_port), *_LATER)
    ]


ISOLATED = (
    Story(
        name="ranges of ports end where they say, and whoever is asked may answer from another leg",
        plans=(_BOUNDED, _ANSWERING),
        steps=(
            *_at_bounds(),
            Apply(),
            *(
                step
                for peer in range(5)
                for version in _VERSIONS
                for step in (
                    replace(_DIRECT, peer=peer, version=version, dst_port=8080),
                    Answer(back=0, flags="SA"),
                    More(back=1, flags="A"),
                )
            ),
        ),
        arrives=38,
    ),
    Story(
        name="rules of both ends are held against the backend, and answers need none",
        plans=(GUARDED,),
        steps=(*_calls(), Complaint(back=0), Complaint(back=1), Beside(back=0), *_straight()),
        arrives=369,
    ),
    Story(
        name="ports have names, and everybody has its own namespace",
        plans=(_BY_NAME,),
        steps=(*_calls(), *_straight()),
        arrives=432,
    ),
    Story(
        name="policies come, change and go, and those who are known stay",
        plans=(TWINS, GUARDED, _NOBODY, TWINS),
        steps=(
            *_calls(clients=2),
            *(
                step
                for number in range(3)
                for step in (
                    Apply(),
                    *(More(back=back, flags="PA") for back in range(16)),
                    *(Answer(back=back, flags="A") for back in range(16)),
                    *_LATER,
                    *_calls(2024 + 10 * number),
                    *_LATER,
                    *_calls(3024 + 10 * number, clients=2),
                )
            ),
        ),
        arrives=331,
    ),
    Story(
        name="policies are written step by step, programs change, and a device is killed",
        plans=(TWINS, GUARDED, _NOBODY),
        steps=(
            *_calls(clients=1),
            Adopt(),
            *(
                step
                for number in range(24)
                for step in (
                    *(Push(device=device, steps=2) for device in DEVICES),
                    More(back=number % 4, flags="PA"),
                    Exchange(call=replace(_CALL, src_port=4000 + number)),
                    replace(_DIRECT, src_port=3000 + number),
                )
            ),
            *(Restart(device=device, how=how) for how in ("fitting", "whole") for device in DEVICES),
            More(back=0, flags="A"),
            *_calls(2024, clients=2),
            *_LATER,
            *_calls(2024, clients=2),
            Restart(device="dpu-b", how="killed"),
            *(More(back=back, flags="A") for back in range(12)),
            *_LATER,
            *_calls(2034, clients=3),
            Apply(),
            Restart(device="dpu-a", how="fitting"),
            *_LATER,
            *_calls(2044, clients=3),
        ),
        arrives=181,
    ),
    Story(
        name="clients outside are who they are to policies, by whichever device they come",
        plans=(_SHOWN, _SHOWN_TO_ALL, _SHOWN),
        steps=(
            *(
                step
                for call in _entering(1024, *range(6))
                for step in (*_LATER, Exchange(call=call), Complaint(back=0))
            ),
            *_LATER,
            Apply(),
            *(Exchange(call=call) for call in _entering(1025, 0)),
            Apply(),
            *(step for at in range(8) for step in (More(back=4 + at, flags="PA"), Answer(back=5 + at, flags="A"))),
            *_LATER,
            *_entering(1026, 0, 1),
        ),
        arrives=84,
    ),
    Story(
        name="a server that may not be called any more goes on by itself, and is answered",
        plans=(_ACROSS, _DENIED_ACROSS),
        steps=(
            Exchange(call=_CALL),
            Apply(),
            More(back=1, flags=""),  # is dropped
            Answer(back=1, flags=""),  # a flow of its own now
            More(back=2, flags=""),
        ),
        arrives=6,
    ),
    Story(
        name="what goes by a proxy is asked as if it did not",
        plans=(_GUARDED_MESH, _MESH, _GUARDED_MESH),
        steps=(
            *(step for call in _calls() for step in (call, Onward(back=0), Onward(back=3))),
            *_LATER,
            *_straight(),
            *(step for _ in range(2) for step in (Apply(), *_calls(2024), More(back=1, flags="PA"), *_LATER)),
        ),
        arrives=518,
    ),
)
