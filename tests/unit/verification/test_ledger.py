"""What connections have to be told apart: those that one server would take for one."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from runtime.verification import wire
from runtime.verification.ledger import Connection, Ledger, origin_of
from runtime.verification.policies.plan import PROXY_PLACES, PlannedWorkload
from runtime.verification.speaking import Ends

CLIENT, SERVER = PlannedWorkload(network=0, host=13), PlannedWorkload(network=0, host=14)
PROXY = PlannedWorkload(network=0, host=min(PROXY_PLACES))
TO = Ends(protocol=wire.TCP, src=ip_address("fd00::13"), src_port=1025, dst=ip_address("fd00::14"), dst_port=8001)


def opened(called: Ends, server: PlannedWorkload = SERVER) -> Connection:
    kept_at = frozenset({"dpu-a"})
    return Connection(client=CLIENT, server=server, kept_at=kept_at, called=called, to=TO, seen_ms={True: 0, False: 0})


def test_one_server_would_take_them_for_one() -> None:
    ledger, by_service = Ledger(), opened(replace(TO, dst=ip_address("fd00:96::11"), dst_port=53))
    ledger.open(CLIENT.network, by_service)
    assert ledger.looking_alike(opened(TO)) is by_service
    assert ledger.looking_alike(by_service) is None


def test_a_proxy_that_is_called_for_the_server_is_another_one() -> None:
    """Found by soak, seed 2016457447."""
    ledger, by_service = Ledger(), opened(replace(TO, dst=ip_address("fd00:96::11"), dst_port=53))
    directly = opened(TO, PROXY)
    ledger.open(CLIENT.network, by_service)
    assert ledger.looking_alike(directly) is None
    ledger.open(CLIENT.network, directly)
    assert ledger.of(origin_of(SERVER), TO.turned) == (by_service, False)
    assert ledger.of(origin_of(PROXY), TO.turned) == (directly, False)
    assert not by_service.is_over
