"""Named runs of a cluster with service gateways (`stories`): backends in two networks of equal addresses."""

from __future__ import annotations

from dataclasses import replace

from runtime.verification.cluster_steps import (
    Adopt,
    Answer,
    Apply,
    Beside,
    Complaint,
    Enter,
    Exchange,
    Flood,
    More,
    Pause,
    Push,
    Restart,
    Step,
    SweepAll,
)
from runtime.verification.isolation_stories import TWINS
from runtime.verification.policies.plan import (
    DEVICES,
    PlannedCrossing,
    PlannedDirection,
    PlannedFarBackend,
    PlannedGateway,
    PlannedGrant,
    PlannedIsolation,
    PlannedPort,
    PlannedRanges,
    PlannedRedirect,
    PlannedWorkload,
)
from runtime.verification.stories import Story

_PORTS = (PlannedPort(), PlannedPort(protocol="UDP", port=53, target=5353), PlannedPort(protocol="SCTP", port=443))
_ACROSS = PlannedCrossing(
    host=10, ports=_PORTS, backends=tuple(PlannedFarBackend(workload=workload) for workload in range(5))
)
_GATEWAYS = (PlannedGateway(device="dpu-a"), PlannedGateway(device="dpu-b"))
CROSSED = replace(TWINS, underlay="routed", services=(), crossings=(_ACROSS,), gateways=_GATEWAYS)
_BY_COUNT = replace(CROSSED, crossings=(replace(_ACROSS, algorithm="LeastConnections"),))
_OF_ONE = replace(_BY_COUNT, crossings=(replace(_BY_COUNT.crossings[0], backends=_ACROSS.backends[:1]),))
_BY_ONE = replace(CROSSED, gateways=_GATEWAYS[1:])
_FEW = replace(
    CROSSED,
    crossings=(replace(_ACROSS, ranges=PlannedRanges(allow=(2, 7))),),
    isolations=(
        PlannedIsolation(app="web", ingress=(PlannedGrant(peers=(6, 11)),)),
        PlannedIsolation(app="db", egress=()),
    ),
)
_NOBODY = replace(CROSSED, isolations=(PlannedIsolation(app="web", ingress=(PlannedGrant(peers=(7, 12)),)),))
_MESH = replace(
    CROSSED,
    crossings=(replace(_ACROSS, backends=_ACROSS.backends[1:3]),),
    proxies=(
        PlannedWorkload(network=0, host=16, app=""),
        PlannedWorkload(network=0, host=18, app="", place="dpu-b"),
    ),
    redirects=(PlannedRedirect(network=0, app="web", inbound=PlannedDirection()),),
)
_UNREACHED = PlannedWorkload(network=0, host=14, place="bare")
_OF_UNREACHED = replace(
    CROSSED,
    workloads=(*CROSSED.workloads, _UNREACHED),
    crossings=(replace(_ACROSS, backends=(PlannedFarBackend(workload=len(CROSSED.workloads)),)),),
)
_ENTER = Enter(device="dpu-a", client=0, service=0, version=4, src_port=1024)
_LATER = (Pause(ms=7_440_000), SweepAll())


def _entering(src_port: int, *clients: int) -> list[Enter]:
    """By both devices, in both families, to every port."""
    return [
        replace(_ENTER, device=device, version=version, client=client, service=service, src_port=src_port)
        for device in DEVICES
        for version in (4, 6)
        for client in clients
        for service in range(len(_PORTS))
    ]


def _exchanged(src_port: int, *clients: int) -> list[Step]:
    return [step for call in _entering(src_port, *clients) for step in (Exchange(call=call), Complaint(back=0))]


GATEWAYS = (
    Story(
        name="backends of all networks answer by the gateway, as the service",
        plans=(CROSSED,),
        steps=tuple(
            step
            for src_port in (53, 4000)
            for call in _entering(src_port, 0, 2)
            for step in (
                *_LATER,
                Exchange(call=call),
                Complaint(back=0),
                Complaint(back=1),
                Beside(back=0),
                Exchange(call=replace(call, src_port=src_port)),
            )
        ),
        arrives=384,
    ),
    Story(
        name="clients that use one port are told apart, and ports are free again",
        plans=(_OF_ONE,),
        steps=(
            *(
                step
                for _ in range(3)
                for step in (
                    *(Exchange(call=call) for call in _entering(4000, 0, 1, 2) if call.service == 0),
                    Flood(call=replace(_ENTER, service=1), count=40),
                    *(replace(call, src_port=53) for call in _entering(53, 0, 1, 2)),
                    *_LATER,
                )
            ),
        ),
        arrives=288,
    ),
    Story(
        name="backends and gateways go and come, connections that have both go on",
        plans=(CROSSED, _OF_ONE, CROSSED, _BY_ONE, CROSSED, _BY_COUNT),
        steps=(
            *(
                step
                for number in range(6)
                for step in (
                    *_exchanged(2000 + number, 0)[::2],
                    Apply(),
                    *(More(back=back, flags="PA") for back in range(6)),
                    *(Answer(back=back, flags="A") for back in range(6)),
                    *(_LATER if number % 2 else ()),
                )
            ),
        ),
        arrives=288,
    ),
    Story(
        name="connections go on when the only backends that are left cannot be reached",
        plans=(_OF_ONE, _OF_UNREACHED),
        steps=(
            *(Exchange(call=call) for call in _entering(2000, 0)),
            Apply(),
            *(More(back=back, flags="PA") for back in range(12)),
            *(Answer(back=back, flags="A") for back in range(12)),
        ),
        arrives=72,
    ),
    Story(
        name="what is written step by step at gateways, programs that change, and a killed one",
        plans=(_BY_ONE, _OF_ONE, _BY_COUNT),
        steps=(
            *_exchanged(2000, 0),
            *(
                step
                for _ in range(2)
                for step in (
                    Adopt(),
                    *(
                        step
                        for number in range(24)
                        for step in (
                            *(Push(device=device, steps=2) for device in DEVICES),
                            More(back=number % 4, flags="PA"),
                            replace(_ENTER, device=DEVICES[number % 2], src_port=3000 + number),
                        )
                    ),
                    Apply(),
                )
            ),
            *(Restart(device=device, how=how) for how in ("fitting", "whole") for device in DEVICES),
            *_LATER,
            *_exchanged(2001, 0),
            Restart(device="dpu-a", how="killed"),
            *(More(back=back, flags="A") for back in range(8)),
            *_exchanged(2002, 1),
        ),
        arrives=202,
    ),
    Story(
        name="ranges are asked for the client, policies of backends for the gateway",
        plans=(_FEW, _NOBODY),
        steps=(
            *(step for call in _entering(1024, 0, 1, 2) for step in (*_LATER, Exchange(call=call))),
            Apply(),
            *(step for call in _entering(1025, 0, 1, 2) for step in (*_LATER, Exchange(call=call))),
        ),
        arrives=156,
    ),
    Story(
        name="what comes by a tunnel is redirected, and what a gateway brings to its own is not",
        plans=(_MESH,),
        steps=(*(step for call in _entering(1024, 0, 1) for step in (*_LATER, Exchange(call=call))),),
        arrives=96,
    ),
)
