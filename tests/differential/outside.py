"""Clients outside of any policies, while these change: answers find back."""

from __future__ import annotations

from functools import partial

from hypothesis import strategies as st

from compiler.pipeline.ports import FIRST_PORT
from runtime.verification.cluster import Levels
from runtime.verification.comparison import Compared
from runtime.verification.fabric import End, Fabric, Journey
from runtime.verification.outsiders import (
    CLIENTS,
    DEVICES,
    PORTS,
    UPLINK,
    Call,
    Outside,
    answer,
    backend,
    calls,
    outsides,
    policies_of,
    port_of,
)
from runtime.verification.speaking import Ends, ends_of
from tests.differential.changing_worlds import answer_back, play_changes, some_of


def search_outside(levels: Levels, data: st.DataObject) -> Compared:
    return play_changes(levels, data, worlds=some_of(outsides()), calls=calls(), policies_of=policies_of, meet=_meet)


def _meet(fabric: Fabric, present: Outside, call: Call, tells: bool) -> None:
    journey = fabric.send(DEVICES[call.device], UPLINK, call.frame())
    got = _check(present, call, journey) if journey is not None else None
    network = present.network_of(call)
    if journey is None or got is None or network is None:
        return
    answered, check = answer(call, network, got), partial(_check_answer, call)
    answer_back(fabric, journey, call.frame(), port_of(network), answered, check, tells=tells)


def _check(outside: Outside, call: Call, journey: Journey) -> Ends | None:
    """What a backend got of a call, None when none did; that this is right."""
    network = outside.network_of(call)
    if call.is_flooded or network is None or call.port not in PORTS:
        assert journey.end is End.UNTOUCHED, journey
        return None
    offer = outside.offers[network]
    client = CLIENTS[call.version][call.client]
    if offer.bounds is not None and not offer.bounds.admit(client) and not journey.is_known:
        assert (journey.end, journey.last.outcome.drop_reason) == (End.DROPPED, "source_denied"), journey
        return None
    if not offer.backends(call.device) and not journey.is_known:
        assert journey.end in (End.ANSWERED, End.DROPPED), journey
        return None
    if journey.end is End.DROPPED:
        assert journey.last.outcome.drop_reason in ("flow_clash", "flow_table_full"), journey
        return None
    assert (journey.end, journey.last.outcome.egress_port) == (End.DELIVERED, port_of(network)), journey
    number, got = DEVICES.index(journey.last.device), ends_of(journey.frame)
    assert got is not None
    assert (got.dst, got.dst_port) == (backend(number, call.version), PORTS[call.port][1])
    own = got.src_port == call.src_port
    assert own or got.src_port >= FIRST_PORT, "another one where the client has its own in use to that backend"
    assert journey.is_known or number in offer.backends(call.device)
    assert got.src == client or client == got.dst, "a backend that looks like the client sees the network's gateway"
    return got


def _check_answer(call: Call, journey: Journey) -> None:
    """It leaves the device that let the call in, for the client, from the address that was called."""
    assert (journey.end, journey.last.device) == (End.LEFT, DEVICES[call.device]), journey
    seen = ends_of(journey.frame)
    assert seen is not None
    assert (seen.src, seen.src_port) == call.called
    assert (seen.dst, seen.dst_port) == (CLIENTS[call.version][call.client], call.src_port)
