"""What is remembered of hosts of storage and clients of services, as a check of mutants: the same steps each time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from runtime.verification.comparison import Comparison
from runtime.verification.levels import Level
from runtime.verification.meshes import NETWORKS, VIP_HOST, Segment, port_of
from runtime.verification.sans import PORTAL_PORT, REGISTRY_PORT, TARGET_PORT, San
from tests.differential.changing import change
from tests.differential.remembering import ACTIONS, Change, Open, remembered

CLIENTS, BACKENDS = range(1, 7), frozenset(range(4))
HOUR_MS, MINUTE_MS = 3_600_000, 60_000
FIRST_PORT = 1025


def _san(health: str, **rest: object) -> San:
    """Three targets, one of them a client of the portal, the first of this health; a registry."""
    targets = [{"workload": "host-10", "health": health}, {"workload": "host-11", "port": TARGET_PORT, "weight": 2}]
    spec = {
        "network": NETWORKS[0],
        "portals": [{"addresses": ["10.96.0.1", "fd00:96::1"], "port": PORTAL_PORT}],
        "targets": [*targets, {"workload": "host-12"}],
        "registries": [{"workload": "host-12", "port": REGISTRY_PORT}],
    }
    return San(spec=spec | rest)


STATES = (
    _san("up", sharedData=True, **{"class": "AF21"}),
    _san("down", sharedData=True, rate="1M"),
    _san("draining", sharedData=True, **{"class": 63}, rate="1M"),
    San(spec=None),
    _san("down", sharedData=False),
)


def steered(level: Level) -> None:
    """Hosts open connections to a portal and a registry, and are answered, while targets come and go and hours pass."""
    comparison = Comparison([level])
    present = STATES[0].entries()
    comparison.fill(present)
    for number, state in enumerate((*STATES, STATES[0])):
        desired = state.entries(present)
        change(comparison, present, desired)
        present = desired
        for segment in _segments(FIRST_PORT + number // 2):
            comparison.process(port_of(NETWORKS[0], segment.src), segment.frame())
        comparison.wait(HOUR_MS if number % 2 else 40)
        comparison.sweep()
    comparison.compare_state()


def _segments(src_port: int) -> Iterator[Segment]:
    """What hosts say, and what each target would answer if it has them."""
    for version, host, port in product((4, 6), (10, 11), (PORTAL_PORT, REGISTRY_PORT)):
        portal = VIP_HOST if port == PORTAL_PORT else 12
        for flags in ("S", "A", "PA"):
            yield Segment(version=version, src=host, dst=portal, src_port=src_port, dst_port=port, flags=flags)
    for version, target, host in product((4, 6), (10, 11), (10, 11)):
        port = TARGET_PORT if target == 11 else PORTAL_PORT
        for flags in ("SA", "PA"):
            yield Segment(version=version, src=target, dst=host, src_port=port, dst_port=src_port, flags=flags)


def clients_return(level: Level) -> None:
    """Clients of services with affinity come again sooner and later, while backends leave and the timeout changes."""
    remembered(Comparison([level]), _visits())


def _visits() -> Iterator[Open | Change | int | None]:
    for number, (action, timeout_ms, backends) in enumerate(
        (
            (ACTIONS[2], MINUTE_MS, BACKENDS),
            (ACTIONS[0], MINUTE_MS, BACKENDS - {1}),
            (ACTIONS[1], 3 * HOUR_MS, frozenset({1, 3})),
            (ACTIONS[2], 0, BACKENDS),
            (ACTIONS[2], 1_000, BACKENDS),
        )
    ):
        for version, protocol in product((4, 6), (6, 17)):
            yield Change(version, protocol, action, timeout_ms, backends)
        for pause_ms in (1, MINUTE_MS - 1, MINUTE_MS, 1_000):
            for version, protocol, client in product((4, 6), (6, 17), CLIENTS):
                yield Open(version, protocol, client, 20_000 + 10 * number)
            yield pause_ms
        yield None
