"""Named runs of a cluster: what chance meets too rarely, and what was once wrong (`sequences`: of one device)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from compiler.ir.nodes import Pipeline
from runtime.verification.cluster import Cluster, Levels
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
    Flood,
    More,
    Onward,
    Pause,
    Push,
    Restart,
    Step,
    SweepAll,
    Torn,
)
from runtime.verification.findings import Violation
from runtime.verification.policies.plan import (
    DEVICES,
    PlannedBackend,
    PlannedDirection,
    PlannedNetwork,
    PlannedPort,
    PlannedRanges,
    PlannedRedirect,
    PlannedService,
    PlannedWorkload,
    PolicyPlan,
)

_CLIENT = PlannedWorkload(network=0, host=10, app="")
_NEAR = PlannedWorkload(network=0, host=11)
_FAR = PlannedWorkload(network=0, host=12, place="dpu-b")
_STRANGER = PlannedWorkload(network=1, host=10, app="", place="dpu-b")
_WEB = PlannedService(
    network=0, host=10, versions=(4, 6), ports=(PlannedPort(), PlannedPort(protocol="UDP", port=53, target=5353))
)
SHOP = PolicyPlan(
    networks=(PlannedNetwork(), PlannedNetwork()), workloads=(_CLIENT, _NEAR, _FAR, _STRANGER), services=(_WEB,)
)
_EMPTY = replace(SHOP, services=())
_ONLY_FAR = replace(SHOP, services=(replace(_WEB, app="", backends=(PlannedBackend(workload=2),)),))
_WITHOUT_NEAR = replace(SHOP, workloads=(_CLIENT, _FAR, _STRANGER))
_NEW = PlannedWorkload(network=0, host=13)
SHOP_OF_ONE = replace(SHOP, services=(replace(_WEB, app="", backends=(PlannedBackend(workload=1),)),))
_BY_CHANCE = replace(
    SHOP,
    workloads=(*SHOP.workloads, PlannedWorkload(network=0, host=15, place="dpu-b")),
    services=(replace(_WEB, algorithm="Random"),),
)
"""Both backends on the other device are known by what leads there, unless one of them may move."""
_MOVED = replace(
    _BY_CHANCE, workloads=tuple(replace(one, place="dpu-a") if one == _FAR else one for one in _BY_CHANCE.workloads)
)
_BY_CHANCE_SHOWN = replace(_BY_CHANCE, underlay="routed", services=(replace(_BY_CHANCE.services[0], is_shown=True),))
_MOVED_SHOWN = replace(_BY_CHANCE_SHOWN, workloads=_MOVED.workloads)
_CALL = Call(client=0, service=1, version=4, src_port=1024)
_QUERY = Call(client=0, service=0, version=4, src_port=1024)
_MESH = replace(
    SHOP,
    proxies=(
        PlannedWorkload(network=0, host=16, app=""),
        PlannedWorkload(network=0, host=18, app="", place="dpu-b"),
    ),
)
_EVERYTHING = PlannedDirection()
_REDIRECTED = replace(
    _MESH,
    redirects=(
        PlannedRedirect(network=0, outbound=_EVERYTHING),
        PlannedRedirect(network=0, app="web", inbound=_EVERYTHING),
    ),
)
_BY_COUNT = replace(SHOP, services=(replace(_WEB, algorithm="LeastConnections"),))
_BY_COUNT_NEAR = replace(SHOP_OF_ONE, services=(replace(SHOP_OF_ONE.services[0], algorithm="LeastConnections"),))
_SHOWN = replace(
    SHOP, underlay="routed", services=(replace(_WEB, is_shown=True), replace(_WEB, network=1, is_shown=True, app=""))
)
"""To clients outside, by either device; the other network has no backend."""
_TO_FEW = PlannedRanges(allow=(1, 7), deny=(3, 9))
"""All but one of the clients that have no address of a network inside."""
_SHOWN_TO_FEW = replace(_SHOWN, services=(replace(_SHOWN.services[0], ranges=_TO_FEW), _SHOWN.services[1]))
_HIDDEN = replace(_SHOWN, services=(_WEB,))
_ALONE = replace(_SHOWN, workloads=(_NEAR, _STRANGER), services=_SHOWN.services[:1])
_ALONE_IN_IPV6 = replace(_ALONE, workloads=(replace(_NEAR, versions=(6,)), _STRANGER))
"""The address that its MAC address is derived from has gone."""
_ENTER = Enter(device="dpu-a", client=0, service=1, version=4, src_port=1024)
_ALL_GO_ON = tuple(step for back in range(8) for step in (More(back=back, flags="PA"), Answer(back=back, flags="PA")))
_SETTLED = tuple(Restart(device=device, how="fitting") for device in DEVICES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """`arrives` packets reach a workload, so that it does not come to show nothing."""

    name: str
    plans: tuple[PolicyPlan, ...]
    steps: tuple[Step, ...]
    arrives: int

    def run(self, levels: Levels, pipeline: Pipeline | None = None) -> None:
        """On the interpreter alone where there are no levels but a `pipeline`. Raises `Finding`."""
        cluster = Cluster(levels, self.plans, pipeline)
        cluster.run(self.steps)
        if len(cluster.arrived) != self.arrives:
            raise Violation(f"{len(cluster.arrived)} packets arrived and not {self.arrives}")


def _both(*calls: Call) -> Sequence[Exchange]:
    return [Exchange(call=replace(call, version=version)) for call in calls for version in (4, 6)]


def _entering(*clients: int) -> Sequence[Enter]:
    """By both devices, in both families."""
    return [
        replace(_ENTER, device=device, version=version, client=client)
        for device in DEVICES
        for version in (4, 6)
        for client in clients
    ]


OUTSIDE = (
    Story(
        name="clients outside call, answers go back to them, and so do errors",
        plans=(_SHOWN,),
        steps=tuple(
            step
            for call in _entering(0, 2)
            for step in (
                Exchange(call=replace(call, service=0)),
                Exchange(call=call),
                Complaint(back=0),
                Complaint(back=1),
                More(back=1, flags="PA"),
                Beside(back=0),
                replace(call, is_stray=True),
                replace(call, service=2),  # of the network without a backend
                Pause(ms=7_440_000),
                SweepAll(),
            )
        ),
        arrives=72,
    ),
    Story(
        name="source ranges come and go, those who are known stay",
        plans=(_SHOWN, _SHOWN_TO_FEW, _SHOWN),
        steps=(
            *(Exchange(call=call) for call in _entering(0)),
            Apply(),
            *(step for _ in range(4) for step in (More(back=14, flags="PA"), Answer(back=14, flags="A"))),
            *(replace(call, src_port=1025) for call in _entering(0, 1, 2)),
            Apply(),
            *(Exchange(call=replace(call, src_port=1026)) for call in _entering(0, 1, 2)),
        ),
        arrives=76,
    ),
    Story(
        name="an external address goes, and comes again while programs change",
        plans=(_SHOWN, _HIDDEN, _SHOWN),
        steps=(
            *(Exchange(call=call) for call in _entering(0)),
            *(Restart(device=device, how="whole") for device in DEVICES),
            More(back=1, flags="A"),
            Answer(back=0, flags="A"),
            Adopt(),
            *(step for _ in range(20) for step in (Push(device="dpu-a", steps=1), _ENTER, More(back=2, flags="A"))),
            Apply(),
            *_SETTLED,
            *(replace(call, src_port=1025) for call in _entering(0)),
            Pause(ms=7_440_000),
            SweepAll(),
            *(Exchange(call=replace(call, src_port=1026)) for call in _entering(0)),
        ),
        arrives=58,
    ),
)


def _in_parts(call: Call | Enter, identification: int = 7) -> Sequence[Step]:
    """An opening, its answer and what is said then, each in fragments."""
    said = ((call, (24, 40)), (Answer(back=0, flags="SA"), (24,)), (More(back=1, flags="PA"), (32, 40, 48)))
    return [Torn(step=step, cuts=cuts, identification=identification) for step, cuts in said]


FRAGMENTS = (
    Story(
        name="packets in fragments get whole to a service and back, from inside and outside",
        plans=(_SHOWN,),
        steps=(
            *(
                step
                for number, call in enumerate((_CALL, _QUERY))
                for version in (4, 6)
                for at in (0, 1)
                for step in _in_parts(replace(call, version=version, src_port=1024 + at), number)
            ),
            *(step for call in _entering(0, 2) for step in (Pause(ms=7_440_000), SweepAll(), *_in_parts(call))),
        ),
        arrives=48,
    ),
    Story(
        name="fragments go by the proxies that their first one went by",
        plans=(_REDIRECTED,),
        steps=tuple(step for version in (4, 6) for step in _in_parts(replace(_CALL, version=version))),
        arrives=6,
    ),
    Story(
        name="an identification is used again, by another connection of the same two",
        plans=(SHOP_OF_ONE,),
        steps=(
            *_in_parts(_QUERY),
            *_in_parts(replace(_QUERY, src_port=1025)),
            *(Torn(step=More(back=at, flags="A"), cuts=(24, 40)) for at in (5, 3, 5, 3)),
        ),
        arrives=10,
    ),
    Story(
        name="where no backend is ready, fragments get nowhere",
        plans=(replace(SHOP, workloads=(_CLIENT, _STRANGER)),),
        steps=tuple(
            Torn(step=replace(call, version=version), cuts=(24,)) for call in (_CALL, _QUERY) for version in (4, 6)
        ),
        arrives=0,
    ),
)

MOVING = (
    Story(
        name="a virtual machine keeps its connections when it moves to its client's device, and back",
        plans=(_BY_CHANCE, _MOVED, _BY_CHANCE),
        steps=(
            *_both(*(replace(_CALL, src_port=1024 + number) for number in range(4))),
            *(step for _ in range(2) for step in (Apply(), *_ALL_GO_ON)),
        ),
        arrives=64,
    ),
    Story(
        name="clients outside are answered by one that has moved, once they have said something",
        plans=(_BY_CHANCE_SHOWN, _MOVED_SHOWN, _BY_CHANCE_SHOWN),
        steps=(
            *(Exchange(call=call) for call in _entering(0)),
            Apply(),
            *(Answer(back=back, flags="PA") for back in (0, 5, 10, 15)),  # to what each server said last
            *(4 * [Answer(back=3, flags="PA")]),
            Apply(),
            *(8 * [Answer(back=3, flags="PA")]),
        ),
        arrives=32,
    ),
)

STORIES = (
    *OUTSIDE,
    *MOVING,
    *FRAGMENTS,
    Story(name="calls and answers", plans=(SHOP,), steps=(*_both(_CALL, _QUERY),), arrives=16),
    Story(
        name="the last service of a family goes, connections go on",
        plans=(SHOP, _EMPTY),
        steps=(
            *_both(_CALL),
            Apply(),
            *_SETTLED,
            More(back=0, flags="A"),
            More(back=5, flags="A"),
            Answer(back=0, flags="A"),
        ),
        arrives=11,
    ),
    Story(
        name="a connection stays when other backends take over",
        plans=(SHOP, _ONLY_FAR, _EMPTY, SHOP),
        steps=(
            Exchange(call=_CALL),
            *(step for _ in range(3) for step in (Apply(), More(back=0, flags="PA"), Answer(back=0, flags="A"))),
        ),
        arrives=10,
    ),
    Story(
        name="a write stopped after each of its steps",
        plans=(SHOP, _WITHOUT_NEAR, SHOP),
        steps=(
            *_both(replace(_QUERY, src_port=1025)),
            Adopt(),
            *(step for _ in range(20) for step in (Push(device="dpu-a", steps=1), Exchange(call=_QUERY))),
            Adopt(),
            *(step for _ in range(20) for step in (Push(device="dpu-a", steps=1), Exchange(call=_QUERY))),
        ),
        arrives=168,
    ),
    Story(
        name="a flood of openings takes no established connection's place",
        plans=(SHOP,),
        steps=(
            Exchange(call=_CALL),
            Flood(call=_CALL, count=40),
            Exchange(call=_CALL),
            Pause(ms=7_000_000),
            SweepAll(),
            Flood(call=_CALL, count=40),
            Exchange(call=_CALL),
        ),
        arrives=92,
    ),
    Story(
        name="programs change under a connection",
        plans=(SHOP,),
        steps=(
            Exchange(call=_CALL),
            *(
                step
                for how in ("fitting", "whole", "fitting", "whole", "whole")
                for step in (Restart(device="dpu-a", how=how), More(back=0, flags="A"), Answer(back=0, flags="A"))
            ),
        ),
        arrives=14,
    ),
    Story(
        name="a killed device answers again when it is filled",
        plans=(SHOP,),
        steps=(
            Exchange(call=_CALL),
            Restart(device="dpu-a", how="killed"),
            Exchange(call=replace(_CALL, src_port=1026)),
        ),
        arrives=8,
    ),
    Story(
        name="nobody gets the packets of a workload that has gone",
        plans=(SHOP_OF_ONE, _WITHOUT_NEAR, replace(_WITHOUT_NEAR, workloads=(*_WITHOUT_NEAR.workloads, _NEW))),
        steps=(
            *_both(_CALL),
            Apply(),
            More(back=0, flags="A"),
            Apply(),
            More(back=0, flags="A"),
            More(back=5, flags="A"),
        ),
        arrives=8,
    ),
    Story(
        name="connections stay with their proxy, or without one, when redirects come and go",
        plans=(_MESH, _REDIRECTED, _MESH),
        steps=(
            *_both(_CALL),
            Apply(),
            More(back=0, flags="A"),
            *_both(replace(_CALL, src_port=1025)),
            Apply(),
            More(back=0, flags="A"),
            More(back=9, flags="A"),
        ),
        arrives=19,
    ),
    Story(
        name="a way through proxies of both devices ends",
        plans=(_REDIRECTED,),
        steps=(Direct(client=0, peer=3, version=4, protocol=6, src_port=3024), Onward(back=0)),
        arrives=3,
    ),
    Story(
        name="connections that are counted end in every way, under changes of policies and programs",
        plans=(_BY_COUNT, _BY_COUNT_NEAR, SHOP, _BY_COUNT),
        steps=(
            Exchange(call=replace(_CALL, version=6)),
            Exchange(call=_CALL),
            More(back=1, flags="FA"),
            Answer(back=0, flags="FA"),
            Exchange(call=replace(_CALL, src_port=1025)),
            Answer(back=1, flags="R"),
            replace(_CALL, src_port=1025),  # the same port again
            replace(_CALL, src_port=1025),  # and its SYN once more
            *_both(replace(_CALL, src_port=1026)),
            Apply(),  # one backend of two goes
            *_SETTLED,
            replace(_CALL, src_port=1027),
            Apply(),  # nobody asks for counts, which go on
            replace(_CALL, src_port=1028),
            Apply(),
            Flood(call=_CALL, count=20),  # more than there are slots
            Pause(ms=180_000),
            SweepAll(),
            *_both(replace(_CALL, src_port=1029)),
            replace(_QUERY, service=1, src_port=1030),
        ),
        arrives=56,
    ),
    Story(
        name="connections of one source port stay apart when their server gets another MAC address",
        plans=(_ALONE, _ALONE_IN_IPV6),
        steps=(
            Adopt(),
            *(
                Exchange(call=Call(client=0, service=at, version=6, src_port=1024))  # from and to one workload
                for at in (1, 3)
            ),
            Apply(),
            *(More(back=3, flags="PA") for _ in range(8)),  # the one that got a port of its own, first
        ),
        arrives=16,
    ),
    Story(
        name="nobody reaches another network",
        plans=(SHOP,),
        steps=(
            Call(client=3, service=0, version=4, src_port=1024, is_own=False),
            Direct(client=3, peer=1, version=4, protocol=6, src_port=3024),
            Direct(client=3, peer=2, version=6, protocol=17, src_port=3024),
        ),
        arrives=0,
    ),
)
