"""How connections spread over backends: by themselves, by their source, by chance; by weight; and who stays where."""

from __future__ import annotations

from collections import Counter

import pytest

from runtime.verification.shop import ADDRESSES, Node
from tests.unit.pipeline.spreading import (
    BY_CHANCE,
    BY_COUNT,
    BY_ITSELF,
    BY_SOURCE,
    FLOWS,
    IN_TURN,
    backend,
    change_to,
    group_of,
    openings,
    source,
    spreading,
)

BOTH = pytest.mark.parametrize("version", [4, 6])


@BOTH
def test_by_themselves_connections_of_one_source_go_everywhere_by_weight(version: int) -> None:
    counts = Counter(openings(spreading(version, BY_ITSELF, (1, 2, 5)), version).values())
    assert [round(counts[at] / len(FLOWS) * 8) for at in range(3)] == [1, 2, 5]


@BOTH
def test_by_chance_it_is_by_weight_as_well(version: int) -> None:
    counts = Counter(openings(spreading(version, BY_CHANCE, (1, 2, 5)), version).values())
    assert [round(counts[at] / len(FLOWS) * 8) for at in range(3)] == [1, 2, 5]


@BOTH
def test_by_chance_a_port_that_is_used_again_goes_elsewhere(version: int) -> None:
    """By itself it goes where it was; and a packet of a connection that is known never moves."""
    again = {
        action: {
            backend(spreading_at(ms, version, action), version, ADDRESSES[version]["client"], 40_000) for ms in WHEN
        }
        for action in (BY_ITSELF, BY_CHANCE)
    }
    assert (len(again[BY_ITSELF]), len(again[BY_CHANCE])) == (1, 4)
    node = spreading(version, BY_CHANCE, (1,) * 4)
    first = backend(node, version, ADDRESSES[version]["client"], 40_000)
    assert {backend(node, version, ADDRESSES[version]["client"], 40_000, "A") for _ in WHEN} == {first}


WHEN = range(1_000_000, 1_000_040)


def spreading_at(now_ms: int, version: int, action: str) -> Node:
    node = spreading(version, action, (1,) * 4)
    node.clock.now_ms = now_ms
    return node


@BOTH
def test_by_source_a_client_stays_and_clients_spread(version: int) -> None:
    node = spreading(version, BY_SOURCE, (1, 3))
    assert len(set(openings(node, version, flows=range(20_000, 20_100)).values())) == 1
    clients = Counter(backend(node, version, source(version, host), 40_000) for host in range(300))
    assert [round(clients[at] / 300 * 4) for at in range(2)] == [1, 3]


@pytest.mark.slow
@pytest.mark.parametrize(("version", "action"), [(4, BY_ITSELF), (6, BY_SOURCE)])
def test_one_of_a_hundred_that_goes_disturbs_few_flows_of_the_others(version: int, action: str) -> None:
    weights = (1,) * 100
    before, after = (spreading(version, action, weights) for _ in range(2))
    after.model.modify(group_of(version, (*weights[:50], 0, *weights[51:])))
    pairs = [
        tuple(backend(node, version, source(version, host), 40_000) for node in (before, after)) for host in range(700)
    ]
    assert all(new != 50 for _, new in pairs)
    disturbed = sum(old not in (50, new) for old, new in pairs)
    assert disturbed <= len(pairs) / 100


@BOTH
def test_the_algorithm_changes_on_a_live_service(version: int) -> None:
    """Connections that are known stay; new ones follow it, to the same backends as if it had always been so."""
    node = spreading(version, BY_ITSELF, (1,) * 4)
    client = ADDRESSES[version]["client"]
    old = openings(node, version, flows=range(20_000, 20_050))
    assert len(set(old.values())) == 4
    for action in (BY_SOURCE, BY_CHANCE, IN_TURN, BY_COUNT, BY_ITSELF):
        change_to(node, version, action)
        assert {sport: backend(node, version, client, sport, "A") for sport in old} == old
    change_to(node, version, BY_SOURCE)
    new = openings(node, version, flows=range(30_000, 30_050))
    assert set(new.values()) == {backend(spreading(version, BY_SOURCE, (1,) * 4), version, client, 40_000)}


@BOTH
def test_in_turn_shares_are_exact_and_nobody_waits_long(version: int) -> None:
    """A turn is taken by a connection, not by a packet, and by none that gets no backend."""
    node, client = spreading(version, IN_TURN, (1, 2, 5)), ADDRESSES[version]["client"]
    found = list(openings(node, version, flows=range(20_000, 20_080)).values())
    assert Counter(found) == {0: 10, 1: 20, 2: 50}
    for first in range(0, 80, 8):
        assert Counter(found[first : first + 8]) == {0: 1, 1: 2, 2: 5}
    again = {sport: backend(node, version, client, sport, "S") for sport in range(20_000, 20_080)}
    assert list(again.values()) == found
    assert backend(node, version, client, 30_000) == found[0]


@BOTH
def test_in_turn_goes_on_where_it_was_when_backends_or_algorithm_change(version: int) -> None:
    node = spreading(version, IN_TURN, (1, 1, 1))
    assert list(openings(node, version, flows=range(20_000, 20_004)).values()) == [0, 1, 2, 0]
    change_to(node, version, BY_ITSELF)
    openings(node, version, flows=range(21_000, 21_010))
    change_to(node, version, IN_TURN)
    assert list(openings(node, version, flows=range(22_000, 22_002)).values()) == [1, 2]
    node.model.modify(group_of(version, (1, 0, 1)))
    assert list(openings(node, version, flows=range(23_000, 23_004)).values()) == [0, 2, 0, 2]
    node.model.modify(group_of(version, (0, 0, 0)))
    backend(node, version, ADDRESSES[version]["client"], 24_000)
    node.model.modify(group_of(version, (1, 1, 1)))
    assert backend(node, version, ADDRESSES[version]["client"], 24_001) == 1
