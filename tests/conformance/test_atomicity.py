"""WriteRequest.atomicity over every kind of entity: what a batch that fails leaves, and what it says."""

# ruff: noqa: E501  a row of a table is one line

from __future__ import annotations

import pytest

from tests.conformance.client import Client, RpcRefusedError, entity

ALL_OR_NONE = ["ROLLBACK_ON_ERROR", "DATAPLANE_ATOMIC"]
PORT = r'table_entry { table_id: 0x02000001 match { field_id: 1 exact { value: "\%03o" } } match { field_id: 2 exact { value: "\005" } } action { action { %s } } %s }'
UPLINK = "action_id: 0x01000003"
WORKLOAD = r'action_id: 0x01000002 params { param_id: 1 value: "\007" } params { param_id: 2 value: "\010" }'
TUNNEL = r'table_entry { table_id: 0x02000002 match { field_id: 1 exact { value: "\300\250\000\%03o" } } match { field_id: 2 exact { value: "\001\000\000" } } action { action { action_id: 0x01000004 params { param_id: 1 value: "\%03o" } } } }'
ARP = r'table_entry { table_id: 0x02000003 match { field_id: 1 exact { value: "\001" } } match { field_id: 2 exact { value: "\012\000\000\%03o" } } action { action { action_id: 0x01000005 params { param_id: 1 value: "\002\000\000\000\000\%03o" } } } }'
GATEWAY = r'table_entry { table_id: 0x02000006 match { field_id: 1 exact { value: "\%03o" } } action { action { action_id: 0x01000008 params { param_id: 1 value: "\%03o" } params { param_id: 2 value: "\002" } } } }'
ROUTE = r'table_entry { table_id: 0x02000015 match { field_id: 1 exact { value: "\001" } } match { field_id: 2 lpm { value: "\012\000\000\000" prefix_len: %d } } action { action { action_id: 0x01000009 params { param_id: 1 value: "\%03o" } } } controller_metadata: 9 }'
MEMBER = r'action_profile_member { action_profile_id: 0x11000014 member_id: %d action { action_id: 0x01000014 params { param_id: 1 value: "\012\000\000\%03o" } params { param_id: 2 value: "\037\220" } } }'
GROUP = "action_profile_group { action_profile_id: 0x11000014 group_id: %d %s max_size: 100 }"
BACKEND = r'table_entry { table_id: 0x02000014 match { field_id: 1 exact { value: "\%03o" } } action { %s } }'
SET = r'table_entry { table_id: 0x02000044 match { field_id: 1 exact { value: "\%03o" } } action { action_profile_action_set { %s } } }'
SET_ACTION = r'action_profile_actions { action { action_id: 0x01000044 params { param_id: 1 value: "\%03o" } params { param_id: 2 value: "\120" } } weight: %d }'
CELL = "counter_entry { counter_id: 0x12000001 index { index: %d } data { packet_count: %d } }"
DIRECT = r'direct_counter_entry { table_entry { table_id: 0x02000001 match { field_id: 1 exact { value: "\%03o" } } match { field_id: 2 exact { value: "\005" } } } data { packet_count: %d } }'
_FLOW_KEY = " ".join(f'match {{ field_id: {n} exact {{ value: "\\001" }} }}' for n in range(1, 8))
FLOW = f"table_entry {{ table_id: 0x02000011 {_FLOW_KEY} }}"
COUNTED = "counter_data { packet_count: %d byte_count: 5 }"
TO_GROUP, TO_MEMBER = "action_profile_group_id: %d", "action_profile_member_id: %d"
EVERYTHING = (
    "table_entry { }",
    "table_entry { table_id: 0x02000001 counter_data { } }",
    "action_profile_member { }",
    "action_profile_group { }",
    "counter_entry { counter_id: 0x12000001 }",
)


def group(number: int, *members: tuple[int, int]) -> str:
    return GROUP % (number, " ".join(f"members {{ member_id: {m} weight: {w} }}" for m, w in members))


def action_set(number: int, *actions: tuple[int, int]) -> str:
    return SET % (number, " ".join(SET_ACTION % one for one in actions))


BEFORE = (
    PORT % (1, UPLINK, COUNTED % 4),
    PORT % (2, UPLINK, COUNTED % 6),
    TUNNEL % (1, 1),
    ARP % (1, 1),
    GATEWAY % (1, 1),
    GATEWAY % (2, 1),
    GATEWAY % (9, 1),
    ROUTE % (8, 1),
    ROUTE % (16, 2),
    *(MEMBER % (number, number) for number in (1, 2, 3, 4)),
    group(7, (1, 1), (2, 3)),
    group(8, (2, 1)),
    group(9),
    BACKEND % (1, TO_GROUP % 7),
    BACKEND % (2, TO_MEMBER % 3),
    BACKEND % (3, TO_GROUP % 8),
    action_set(1, (1, 1), (2, 2)),
    action_set(2, (3, 1)),
)
CHANGES = (
    f"MODIFY {PORT % (1, WORKLOAD, '')}",
    f"DELETE {PORT % (2, UPLINK, '')}",
    f"INSERT {PORT % (2, WORKLOAD, '')}",
    f"INSERT {PORT % (3, WORKLOAD, COUNTED % 9)}",
    f"MODIFY {TUNNEL % (1, 2)}",
    f"DELETE {ARP % (1, 1)}",
    f"INSERT {ARP % (2, 1)}",
    f"MODIFY {GATEWAY % (1, 2)}",
    f"DELETE {GATEWAY % (2, 1)}",
    f"INSERT {GATEWAY % (3, 3)}",
    f"INSERT {ROUTE % (12, 3)}",
    f"DELETE {ROUTE % (8, 1)}",
    f"MODIFY {ROUTE % (16, 3)}",
    f"INSERT {MEMBER % (5, 5)}",
    f"MODIFY {MEMBER % (2, 9)}",
    f"DELETE {MEMBER % (4, 4)}",
    f"INSERT {group(10, (5, 1), (1, 2))}",
    f"MODIFY {group(7, (5, 1))}",
    f"DELETE {group(9)}",
    f"MODIFY {BACKEND % (2, TO_GROUP % 10)}",
    f"DELETE {BACKEND % (3, TO_GROUP % 8)}",
    f"DELETE {group(8)}",
    f"INSERT {BACKEND % (4, TO_MEMBER % 1)}",
    f"MODIFY {action_set(1, (4, 1))}",
    f"DELETE {action_set(2)}",
    f"INSERT {action_set(3, (5, 1), (6, 2))}",
)
COUNTED_TOO = (
    f"MODIFY {CELL % (3, 7)}",
    "MODIFY counter_entry { counter_id: 0x12000001 data { packet_count: 8 } }",
    f"MODIFY {DIRECT % (1, 70)}",
    f"MODIFY {PORT % (2, UPLINK, COUNTED % 1)}",
)
"""Ports have a tag, so that no frame of the machine's own is counted."""
FAILING = f"INSERT {GATEWAY % (9, 1)}"
EXISTS = (6, "table network, entry network=0x9: it is there already")


def held(client: Client) -> list[str]:
    return sorted(str(one) for one in client.read(*EVERYTHING))


def fill(client: Client) -> list[str]:
    client.write(*(f"INSERT {one}" for one in BEFORE), f"MODIFY {CELL % (3, 2)}")
    return held(client)


@pytest.mark.parametrize("atomicity", ALL_OR_NONE)
def test_all_of_a_batch_is_done(primary: Client, atomicity: str) -> None:
    fill(primary)
    primary.write(*CHANGES, atomicity=atomicity)
    together = held(primary)
    primary.set_config("VERIFY_AND_COMMIT", primary.get_config().config)
    fill(primary)
    for change in CHANGES:
        primary.write(change)
    assert held(primary) == together


@pytest.mark.parametrize("atomicity", ALL_OR_NONE)
def test_none_of_a_batch_is_done(primary: Client, atomicity: str) -> None:
    before = fill(primary)
    for at in range(len(CHANGES) + 1):
        batch = (*CHANGES[:at], FAILING, *CHANGES[at:])
        with pytest.raises(RpcRefusedError) as refused:
            primary.write(*batch, atomicity=atomicity)
        undone = (10, f"undone, since update {at + 1} of the batch failed")
        not_tried = (10, f"not tried, since update {at + 1} of the batch failed")
        assert refused.value.code == "UNKNOWN"
        assert refused.value.errors == [undone] * at + [EXISTS] + [not_tried] * (len(batch) - at - 1)
        assert held(primary) == before
    primary.write(*CHANGES, atomicity=atomicity)


@pytest.mark.parametrize("atomicity", ALL_OR_NONE)
def test_counters_are_set_with_the_batch_or_as_they_were(primary: Client, atomicity: str) -> None:
    before = fill(primary)
    for at in range(len(COUNTED_TOO) + 1):
        with pytest.raises(RpcRefusedError) as refused:
            primary.write(*COUNTED_TOO[:at], FAILING, *COUNTED_TOO[at:], atomicity=atomicity)
        assert [code for code, _ in refused.value.errors] == [10] * at + [6] + [10] * (len(COUNTED_TOO) - at)
        assert held(primary) == before
    primary.write(*COUNTED_TOO, *CHANGES[3:], atomicity=atomicity)
    cells = primary.read("counter_entry { counter_id: 0x12000001 }")
    assert {one.counter_entry.data.packet_count for one in cells} == {8}
    assert [primary.read(DIRECT % (port, 0))[0].direct_counter_entry.data.packet_count for port in (1, 2)] == [70, 1]


@pytest.mark.parametrize("atomicity", ALL_OR_NONE)
def test_entries_that_packets_learned_may_be_gone_already(primary: Client, atomicity: str) -> None:
    fill(primary)
    primary.write(*CHANGES, f"DELETE {FLOW}", atomicity=atomicity)
    assert primary.read(FLOW.replace(_FLOW_KEY, "")) == []


def test_a_mistake_is_told_as_in_any_batch(primary: Client) -> None:
    with pytest.raises(RpcRefusedError) as refused:
        primary.write("INSERT table_entry { table_id: 5 }", "INSERT register_entry { }", atomicity="DATAPLANE_ATOMIC")
    assert refused.value.errors == [
        (3, "the pipeline has no table of id 0x00000005"),
        (10, "not tried, since update 1 of the batch failed"),
    ]


def test_an_empty_batch_is_done(primary: Client) -> None:
    for atomicity in ("CONTINUE_ON_ERROR", *ALL_OR_NONE):
        primary.write(atomicity=atomicity)
    assert primary.read("table_entry { }") == []


def test_a_batch_that_undoes_itself(primary: Client) -> None:
    before = fill(primary)
    change = (f"DELETE {GATEWAY % (1, 1)}", f"INSERT {GATEWAY % (1, 5)}", f"MODIFY {GATEWAY % (1, 1)}")
    for atomicity in ALL_OR_NONE:
        primary.write(*change, atomicity=atomicity)
        assert held(primary) == before
    assert primary.read(GATEWAY % (1, 1)) == [entity(GATEWAY % (1, 1))]
