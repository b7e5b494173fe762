"""Default entries that may be modified, constant tables, and tables with entries from the start, on both targets."""

from __future__ import annotations

import pytest

from tests.conformance.client import Client, RpcRefusedError, entity
from tests.conformance.conftest import Device
from tests.conformance.kernel import config_of
from tests.pipelines.fixed import fixed_pipeline

KINDS, PORTS, NETWORKS = 0x02000001, 0x02000002, 0x02000003
NOTHING = "action { action { action_id: 0x01000002 } }"


def octal(value: int) -> str:
    """A number's bytes as text_format writes them."""
    return "".join(rf"\{byte:03o}" for byte in value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def to(port: int) -> str:
    return f'action {{ action {{ action_id: 0x01000001 params {{ param_id: 1 value: "{octal(port)}" }} }} }}'


def call_it(kind: int) -> str:
    return f'action {{ action {{ action_id: 0x01000003 params {{ param_id: 1 value: "{octal(kind)}" }} }} }}'


CONST_KINDS = [
    r'match { field_id: 1 ternary { value: "\001\000\000\000\000\000" mask: "\001\000\000\000\000\000" } } priority: 3 '
    + call_it(1),
    r'match { field_id: 2 range { low: "\010\000" high: "\206\377" } } priority: 2 ' + call_it(2),
    r'match { field_id: 3 optional { value: "\002\000\000\000\000\001" } } priority: 1 ' + call_it(3),
]
INVALID, EXISTS, DENIED, UNIMPLEMENTED = 3, 6, 7, 12


@pytest.fixture
def fixed(primary: Client, device: Device) -> Client:
    """The primary of a device with the pipeline of `tests.pipelines.fixed`."""
    primary.set_config("VERIFY_AND_COMMIT", config_of(fixed_pipeline(), device.target))
    return primary


def entry(table: int, rest: str) -> str:
    return f"table_entry {{ table_id: {table} {rest} }}"


def default(table: int, rest: str = "") -> str:
    return entry(table, f"is_default_action: true {rest}")


def port(kind: int, rest: str) -> str:
    match = f'match {{ field_id: 1 exact {{ value: "{octal(kind)}" }} }}'
    return entry(PORTS, rf'{match} match {{ field_id: 2 exact {{ value: "\001" }} }} {rest}')


def counter_of_default(data: str) -> str:
    named = f"table_entry {{ table_id: {PORTS} is_default_action: true }}"
    return f"direct_counter_entry {{ {named} data {{ {data} }} }}"


def refusals(client: Client, *updates: str) -> list[tuple[int, str]]:
    with pytest.raises(RpcRefusedError) as refused:
        client.write(*updates)
    return refused.value.errors


# default entries


def test_default_entries_at_first(fixed: Client) -> None:
    assert fixed.read(default(KINDS)) == [entity(default(KINDS, f"is_const: true {call_it(9)}"))]
    assert fixed.read(default(PORTS)) == [entity(default(PORTS, to(5)))]
    assert fixed.read(default(NETWORKS)) == [entity(default(NETWORKS, NOTHING))]


@pytest.mark.parametrize("atomicity", ["ROLLBACK_ON_ERROR", "DATAPLANE_ATOMIC"])
def test_default_entries_are_part_of_a_batch(fixed: Client, atomicity: str) -> None:
    changes = (f"MODIFY {default(PORTS, to(8))}", f"INSERT {port(3, to(8))}", f"MODIFY {default(NETWORKS, to(8))}")
    before = fixed.read("table_entry { }", default(PORTS), default(NETWORKS))
    for at in range(len(changes) + 1):
        with pytest.raises(RpcRefusedError) as refused:
            fixed.write(*changes[:at], f"INSERT {default(PORTS)}", *changes[at:], atomicity=atomicity)
        assert [code for code, _ in refused.value.errors] == [10] * at + [INVALID] + [10] * (len(changes) - at)
        assert fixed.read("table_entry { }", default(PORTS), default(NETWORKS)) == before
    fixed.write(*changes, f"MODIFY {counter_of_default('packet_count: 6')}", atomicity=atomicity)
    assert fixed.read(default(PORTS), default(NETWORKS)) == [
        entity(default(PORTS, to(8))),
        entity(default(NETWORKS, to(8))),
    ]


def test_a_default_entry_is_modified_and_reset(fixed: Client) -> None:
    changed = default(PORTS, rf'{to(8)} metadata: "mine" controller_metadata: 3')
    fixed.write(f"MODIFY {changed}")
    assert fixed.read(default(PORTS)) == [entity(changed)]
    assert fixed.read(default(PORTS, 'metadata: "mine"')) == [entity(changed)]
    assert fixed.read(default(PORTS, 'metadata: "other"')) == []
    assert fixed.read(default(PORTS, "controller_metadata: 4")) == []
    fixed.write(f"MODIFY {default(PORTS, NOTHING)}")
    assert fixed.read(default(PORTS)) == [entity(default(PORTS, NOTHING))]
    fixed.write(f"MODIFY {changed}", f"MODIFY {default(PORTS)}")
    assert fixed.read(default(PORTS)) == [entity(default(PORTS, to(5)))]


def test_the_counter_of_a_default_entry(fixed: Client) -> None:
    asked, counted = counter_of_default(""), counter_of_default("packet_count: 7 byte_count: 9")
    fixed.write(f"MODIFY {counted}")
    assert fixed.read(asked) == [entity(counted)]
    with_data = default(PORTS, f"{to(5)} counter_data {{ packet_count: 7 byte_count: 9 }}")
    assert fixed.read(default(PORTS, "counter_data { }")) == [entity(with_data)]
    set_again = default(PORTS, f"{NOTHING} counter_data {{ packet_count: 1 }}")
    fixed.write(f"MODIFY {set_again}")
    assert fixed.read(default(PORTS, "counter_data { }")) == [entity(set_again)]
    fixed.write(f"MODIFY {default(PORTS)}")
    assert fixed.read(asked) == [entity(asked)]


def test_a_batch_that_fails_takes_a_default_entry_back(fixed: Client) -> None:
    with pytest.raises(RpcRefusedError):
        fixed.write(f"MODIFY {default(PORTS, NOTHING)}", f"INSERT {default(PORTS)}", atomicity="ROLLBACK_ON_ERROR")
    assert fixed.read(default(PORTS)) == [entity(default(PORTS, to(5)))]


MISUSES = [
    (f"INSERT {default(PORTS, NOTHING)}", INVALID,
     "table ports: the default entry is always there, it can only be modified"),
    (f"DELETE {default(PORTS)}", INVALID, "table ports: the default entry is always there, it can only be modified"),
    (f"MODIFY {default(PORTS, f'priority: 1 {NOTHING}')}", INVALID,
     "table ports: the default entry has neither match fields nor a priority"),
    (f"MODIFY {default(KINDS, call_it(1))}", DENIED, "table kinds: the default action call_it is constant"),
    (f"MODIFY {default(KINDS)}", DENIED, "table kinds: the default action call_it is constant"),
    (f"MODIFY {default(PORTS, call_it(1))}", INVALID,
     "table ports: no action of id 0x01000003; it has nothing, to"),
    (f"MODIFY {default(PORTS, 'action { action_profile_member_id: 1 }')}", INVALID,
     "table ports: the default entry carries an action"),
    (f"MODIFY {default(PORTS, to(65536))}", INVALID,
     "table ports: action to, parameter out: value 0x010000 does not fit in 16 bits"),
    (f"MODIFY {default(PORTS, 'idle_timeout_ns: 5')}", INVALID,
     "table ports has no idle timeout: its entries stay until they are deleted"),
    (f"MODIFY {default(PORTS, f'meter_counter_data {{ }} {NOTHING}')}", INVALID, "table ports has no direct meter"),
    (f"MODIFY {default(PORTS, 'meter_config { }')}", INVALID, "table ports has no direct meter"),
    (r"MODIFY direct_counter_entry { table_entry { table_id: 0x02000001 is_default_action: true } }", UNIMPLEMENTED,
     "table kinds: packets that miss are not counted"),
]  # fmt: skip


@pytest.mark.parametrize(("update", "code", "text"), MISUSES, ids=range(len(MISUSES)))
def test_what_a_default_entry_is_not(fixed: Client, update: str, code: int, text: str) -> None:
    assert refusals(fixed, update) == [(code, text)]


# constant tables


def test_a_constant_table_is_read(fixed: Client) -> None:
    wanted = [entity(entry(KINDS, f"{rest} is_const: true")) for rest in CONST_KINDS]
    assert fixed.read(f"table_entry {{ table_id: {KINDS} }}") == wanted
    assert fixed.read(entry(KINDS, CONST_KINDS[1])) == wanted[1:2]


@pytest.mark.parametrize("kind", ["INSERT", "MODIFY", "DELETE"])
def test_a_constant_table_is_not_written(fixed: Client, kind: str) -> None:
    text = "table kinds is constant: its entries are the pipeline's own"
    assert refusals(fixed, f"{kind} {entry(KINDS, CONST_KINDS[0])}") == [(DENIED, text)]
    if kind == "INSERT":
        assert refusals(fixed, f"INSERT {entry(KINDS, f'priority: 9 {call_it(1)}')}") == [(DENIED, text)]


def test_counters_of_constant_entries_are_written(fixed: Client) -> None:
    key = CONST_KINDS[0].partition("action")[0]
    fixed.write(f"MODIFY {entry(KINDS, key + 'counter_data { packet_count: 4 }')}")
    named = f"table_entry {{ table_id: {KINDS} {key} }}"
    counted = f"direct_counter_entry {{ {named} data {{ packet_count: 4 }} }}"
    assert fixed.read(f"direct_counter_entry {{ {named} }}") == [entity(counted)]


# tables with entries from the start


def test_entries_from_the_start(fixed: Client) -> None:
    const, other = port(1, to(7)), port(2, NOTHING)
    is_const = port(1, f"{to(7)} is_const: true")
    assert fixed.read(f"table_entry {{ table_id: {PORTS} }}") == [entity(is_const), entity(other)]
    assert [code for code, _ in refusals(fixed, f"INSERT {const}", f"INSERT {other}")] == [EXISTS, EXISTS]
    text = "table ports, entry kind=0x1, src=0x1: the pipeline has it as a constant entry"
    assert refusals(fixed, f"MODIFY {const}", f"DELETE {const}") == [(DENIED, text)] * 2
    changed = port(2, to(3))
    fixed.write(f"MODIFY {changed}", f"INSERT {port(4, NOTHING)}", f"MODIFY {port(1, 'counter_data { }')}")
    assert fixed.read(f"table_entry {{ table_id: {PORTS} }}")[1] == entity(changed)
    fixed.write(f"DELETE {changed}", f"DELETE {port(4, NOTHING)}")
    assert fixed.read(f"table_entry {{ table_id: {PORTS} }}") == [entity(is_const)]


def test_entries_from_the_start_count_against_the_size(fixed: Client) -> None:
    texts = [f"INSERT {port(number * 8, NOTHING)}" for number in (1, 2, 3)]
    assert refusals(fixed, *texts) == [(0, ""), (0, ""), (8, "table ports is full: it holds 4 entries")]


def test_the_next_commit_begins_anew(fixed: Client) -> None:
    fixed.write(f"DELETE {port(2, NOTHING)}", f"MODIFY {default(PORTS, NOTHING)}")
    config = fixed.get_config().config
    fixed.set_config("VERIFY_AND_COMMIT", config)
    assert len(fixed.read(f"table_entry {{ table_id: {PORTS} }}")) == 2
    assert fixed.read(default(PORTS)) == [entity(default(PORTS, to(5)))]


def test_is_const_is_the_devices_to_say(fixed: Client) -> None:
    update = f"INSERT {port(7, f'{NOTHING} is_const: true')}"
    assert refusals(fixed, update) == [(INVALID, "table ports: is_const is the device's to set")]
