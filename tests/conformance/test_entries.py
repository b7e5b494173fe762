"""Write and Read of the real pipeline's tables, selectors and counters."""

# ruff: noqa: E501  a row of a table is one line

from __future__ import annotations

import pytest
from finsy.proto import p4r

from tests.conformance.client import Client, RpcRefusedError, entity

MAC = r"\002\000\000\000\000\001"
PORT = r'table_entry { table_id: 0x02000001 match { field_id: 1 exact { value: "\001" } } match { field_id: 2 exact { value: "\000" } } %s }'
UPLINK = "action { action { action_id: 0x01000003 } }"
WORKLOAD = r'action { action { action_id: 0x01000002 params { param_id: 1 value: "\007" } params { param_id: 2 value: "\010" } } }'
MEMBER = r'action_profile_member { action_profile_id: 0x11000014 member_id: %d action { action_id: 0x01000014 params { param_id: 1 value: "\012\000\000\%03o" } params { param_id: 2 value: "\037\220" } } }'
GROUP = "action_profile_group { action_profile_id: 0x11000014 group_id: %d %s max_size: 100 }"
BACKEND = r'table_entry { table_id: 0x02000014 match { field_id: 1 exact { value: "\%03o" } } %s }'


def group(number: int, *members: tuple[int, int]) -> str:
    return GROUP % (number, " ".join(f"members {{ member_id: {m} weight: {w} }}" for m, w in members))


def gateway(network: int) -> p4r.Update:
    """An INSERT into table `network`, which holds 4096 entries."""
    update = p4r.Update(type=p4r.Update.INSERT)
    entry = update.entity.table_entry
    entry.table_id = 0x02000006
    entry.match.add(field_id=1).exact.value = network.to_bytes(2, "big").lstrip(b"\0") or b"\0"
    entry.action.action.action_id = 0x01000008
    entry.action.action.params.add(param_id=1, value=b"\1")
    entry.action.action.params.add(param_id=2, value=b"\2")
    return update


ENTRIES = [
    PORT % UPLINK,
    PORT % WORKLOAD,
    r'table_entry { table_id: 0x02000002 match { field_id: 1 exact { value: "\300\250\000\001" } } match { field_id: 2 exact { value: "\001\000\000" } } action { action { action_id: 0x01000004 params { param_id: 1 value: "\377\377" } } } }',
    rf'table_entry {{ table_id: 0x02000003 match {{ field_id: 1 exact {{ value: "\001" }} }} match {{ field_id: 2 exact {{ value: "\012\000\000\001" }} }} action {{ action {{ action_id: 0x01000005 params {{ param_id: 1 value: "{MAC}" }} }} }} }}',
    rf'table_entry {{ table_id: 0x02000004 match {{ field_id: 1 exact {{ value: "\001" }} }} match {{ field_id: 2 exact {{ value: "\376\200\000\000\000\000\000\000\000\000\000\000\000\000\000\001" }} }} action {{ action {{ action_id: 0x01000005 params {{ param_id: 1 value: "{MAC}" }} }} }} }}',
    r'table_entry { table_id: 0x02000013 match { field_id: 1 exact { value: "\001" } } match { field_id: 2 exact { value: "\012\140\000\012" } } match { field_id: 3 exact { value: "\006" } } match { field_id: 4 exact { value: "\120" } } action { action { action_id: 0x01000013 params { param_id: 1 value: "\001" } params { param_id: 2 value: "\000" } params { param_id: 3 value: "\000" } } } metadata: "shop.yaml:3" }',
    r'table_entry { table_id: 0x02000015 match { field_id: 1 exact { value: "\001" } } match { field_id: 2 lpm { value: "\012\000\000\000" prefix_len: 8 } } action { action { action_id: 0x01000009 params { param_id: 1 value: "\001" } } } controller_metadata: 9 }',
    r'table_entry { table_id: 0x02000015 match { field_id: 1 exact { value: "\001" } } action { action { action_id: 0x01000009 params { param_id: 1 value: "\002" } } } }',
    r'table_entry { table_id: 0x02000045 match { field_id: 1 exact { value: "\001" } } match { field_id: 2 lpm { value: "\040\001\015\270\000\000\000\000\000\000\000\000\000\000\000\000" prefix_len: 32 } } action { action { action_id: 0x01000009 params { param_id: 1 value: "\001" } } } }',
]  # fmt: skip


@pytest.mark.parametrize("text", ENTRIES)
def test_written_is_read_modified_deleted(primary: Client, text: str) -> None:
    primary.write(f"INSERT {text}")
    assert primary.read("table_entry { }") == [entity(text)]
    assert primary.read(text) == [entity(text)]
    primary.write(f"MODIFY {text}")
    assert primary.read("table_entry { }") == [entity(text)]
    with pytest.raises(RpcRefusedError) as refused:
        primary.write(f"INSERT {text}")
    assert [code for code, _ in refused.value.errors] == [6]
    primary.write(f"DELETE {text}")
    assert primary.read("table_entry { }") == []
    with pytest.raises(RpcRefusedError) as refused:
        primary.write(f"DELETE {text}")
    assert [code for code, _ in refused.value.errors] == [5]


def test_modify_replaces_the_action(primary: Client) -> None:
    primary.write(f"INSERT {PORT % UPLINK}", f"MODIFY {PORT % WORKLOAD}")
    assert primary.read("table_entry { table_id: 0x02000001 }") == [entity(PORT % WORKLOAD)]


def test_a_batch_tells_of_every_update_in_order(primary: Client) -> None:
    too_wide = (PORT % UPLINK).replace(r"\000", r"\020\000", 1)
    with pytest.raises(RpcRefusedError) as refused:
        primary.write(
            f"INSERT {PORT % UPLINK}",
            f"INSERT {PORT % UPLINK}",
            f"INSERT {too_wide}",
            f"MODIFY {PORT % WORKLOAD}",
            "INSERT table_entry { table_id: 5 }",
            f"INSERT {BACKEND % (1, 'action { action_profile_group_id: 4 }')}",
        )
    assert (refused.value.code, refused.value.text) == ("UNKNOWN", "4 of 6 updates failed")
    assert refused.value.errors == [
        (0, ""),
        (6, "table port, entry port=0x1, vlan=0x0: it is there already"),
        (3, "table port, match field vlan: value 0x1000 does not fit in 12 bits"),
        (0, ""),
        (3, "the pipeline has no table of id 0x00000005"),
        (5, "action profile backends_ipv4, group 4: there is no such group"),
    ]
    assert primary.read("table_entry { }") == [entity(PORT % WORKLOAD)]


def test_a_read_answers_what_it_can(primary: Client) -> None:
    primary.write(f"INSERT {PORT % UPLINK}")
    requests = ("table_entry { table_id: 7 }", "table_entry { }", "counter_entry { counter_id: 1 }")
    found: list[p4r.Entity] = []
    with pytest.raises(RpcRefusedError) as refused:
        found.extend(one for piece in primary.read_pieces(*requests) for one in piece)
    assert found == [entity(PORT % UPLINK)]
    assert (refused.value.code, refused.value.text) == ("UNKNOWN", "2 of 3 read requests failed")
    assert refused.value.errors == [
        (3, "the pipeline has no table of id 0x00000007"),
        (0, ""),
        (3, "the pipeline has no counter of id 0x00000001"),
    ]


def test_members_groups_entries(primary: Client) -> None:
    primary.write(*(f"INSERT {MEMBER % (n, n)}" for n in (1, 2, 3)))
    primary.write(f"INSERT {group(7, (1, 1), (2, 3))}", f"INSERT {group(8)}")
    entries = [
        BACKEND % (1, "action { action_profile_group_id: 7 }"),
        BACKEND % (2, "action { action_profile_member_id: 3 }"),
    ]
    entries.append(BACKEND % (3, "action { action_profile_group_id: 8 }"))
    primary.write(*(f"INSERT {one}" for one in entries))
    assert primary.read("table_entry { table_id: 0x02000014 }") == [entity(one) for one in entries]
    assert primary.read("action_profile_group { }") == [entity(group(7, (1, 1), (2, 3))), entity(group(8))]
    assert primary.read("action_profile_member { action_profile_id: 0x11000014 member_id: 2 }") == [
        entity(MEMBER % (2, 2))
    ]
    primary.write(f"MODIFY {MEMBER % (1, 9)}", f"MODIFY {MEMBER % (3, 8)}", f"MODIFY {group(7, (1, 5), (3, 1))}")
    primary.write(f"MODIFY {group(8, (2, 1))}")
    with pytest.raises(RpcRefusedError) as refused:
        primary.write(f"DELETE {MEMBER % (2, 2)}", f"DELETE {group(8)}", f"DELETE {MEMBER % (3, 3)}")
    assert [code for code, _ in refused.value.errors] == [9, 9, 9]
    primary.write(*(f"DELETE {one}" for one in entries))
    primary.write(f"DELETE {group(7)}", f"DELETE {group(8)}", *(f"DELETE {MEMBER % (n, n)}" for n in (1, 2, 3)))
    assert primary.read("action_profile_member { }", "action_profile_group { }", "table_entry { }") == []


def test_action_sets(primary: Client) -> None:
    action = r'action { action_id: 0x01000014 params { param_id: 1 value: "\012\000\000\001" } params { param_id: 2 value: "\120" } }'
    wanted = [
        BACKEND % (1, f"action {{ action_profile_action_set {{ {' '.join(f'action_profile_actions {{ {action} weight: {w} }}' for w in ws)} }} }}")
        for ws in ((1, 2), (3,), ())
    ]  # fmt: skip
    primary.write(f"INSERT {wanted[0]}")
    for one in wanted:
        primary.write(f"MODIFY {one}")
        assert primary.read("table_entry { }") == [entity(one)]
    assert primary.read("action_profile_member { }", "action_profile_group { }") == []
    primary.write(f"DELETE {wanted[0]}")
    primary.write(f"INSERT {MEMBER % (1, 1)}", f"DELETE {MEMBER % (1, 1)}")


def test_counters(primary: Client) -> None:
    primary.write(
        "MODIFY counter_entry { counter_id: 0x12000001 index { index: 5 } data { packet_count: 3 byte_count: 200 } }"
    )
    cells = primary.read("counter_entry { counter_id: 0x12000001 }")
    assert [one.counter_entry.index.index for one in cells] == list(range(32))
    assert [i for i, one in enumerate(cells) if one.counter_entry.data.packet_count] == [5]
    primary.write("MODIFY counter_entry { counter_id: 0x12000001 data { packet_count: 1 } }")
    cells = primary.read("counter_entry { counter_id: 0x12000001 }")
    assert {one.counter_entry.data.packet_count for one in cells} == {1}
    primary.write(
        f"INSERT {PORT % (UPLINK + ' counter_data { packet_count: 4 byte_count: 5 }')}",
        "INSERT " + (PORT % UPLINK).replace(r"\001", r"\002", 1),
    )
    direct = primary.read("direct_counter_entry { table_entry { table_id: 0x02000001 } }")
    assert [(d.direct_counter_entry.data.packet_count, d.direct_counter_entry.data.byte_count) for d in direct] == [
        (4, 5),
        (0, 0),
    ]
    primary.write(f"MODIFY {PORT % 'counter_data { packet_count: 6 }'}")
    assert primary.read(f"direct_counter_entry {{ {PORT % ''} }}")[0].direct_counter_entry.data.packet_count == 6
    primary.write(f"DELETE {PORT % ''}", f"INSERT {PORT % UPLINK}")
    assert primary.read(f"direct_counter_entry {{ {PORT % ''} }}")[0].direct_counter_entry.data.packet_count == 0


def test_a_full_table_names_itself_and_its_size(primary: Client) -> None:
    for first in range(0, 4096, 1024):
        primary.write_request(p4r.WriteRequest(device_id=1, updates=[gateway(n) for n in range(first, first + 1024)]))
    with pytest.raises(RpcRefusedError) as refused:
        primary.write_request(p4r.WriteRequest(device_id=1, updates=[gateway(5000)]))
    assert refused.value.errors == [(8, "table network is full: it holds 4096 entries")]
    pieces = list(primary.read_pieces("table_entry { table_id: 0x02000006 }"))
    assert [len(piece) for piece in pieces] == [1000, 1000, 1000, 1000, 96]


def test_default_entries(primary: Client) -> None:
    (found,) = primary.read("table_entry { table_id: 0x02000001 is_default_action: true }")
    assert found.table_entry.action.action.action_id == 0x01000001
    assert found.table_entry.is_const
    for filtered in ('metadata: "x"', "controller_metadata: 1"):
        assert primary.read(f"table_entry {{ table_id: 0x02000001 is_default_action: true {filtered} }}") == []
    with pytest.raises(RpcRefusedError) as refused:
        primary.write(
            "MODIFY table_entry { table_id: 0x02000001 is_default_action: true action { action { action_id: 0x01000003 } } }"
        )
    assert refused.value.errors == [(7, "table port: the default action miss is constant")]


def test_learned_tables_are_the_data_planes(primary: Client) -> None:
    keys = " ".join(f'match {{ field_id: {n} exact {{ value: "\\001" }} }}' for n in range(1, 8))
    flow = f"table_entry {{ table_id: 0x02000011 {keys} }}"
    with pytest.raises(RpcRefusedError) as refused:
        primary.write(f"INSERT {flow}", f"MODIFY {flow}", f"DELETE {flow}")
    assert [code for code, _ in refused.value.errors] == [7, 7, 0]  # a delete of what is gone is done
    assert primary.read("table_entry { table_id: 0x02000011 time_since_last_hit { } counter_data { } }", flow) == []
