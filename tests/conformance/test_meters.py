"""Meters of a small pipeline, on both targets: cells of indexed meters, meters of entries, what is refused and read."""

# ruff: noqa: E501  a message is one line

from __future__ import annotations

import pytest

from tests.conformance.client import Client, RpcRefusedError, entity
from tests.conformance.conftest import Device
from tests.conformance.kernel import config_of
from tests.differential.metered import metered

LINE, EXCESS = "0x14000001", "0x14000002"
TWO = "cir: 1000 cburst: 100 pir: 2000 pburst: 200"
ONE = "cir: 1000 cburst: 100 pir: 1000 pburst: 100 eburst: 50"
ENTRY = r'table_entry { table_id: 0x02000001 match { field_id: 1 exact { value: "\%03o" } } %s }'
POLICE = "action { action { action_id: 0x01000001 } }"
PASS = "action { action { action_id: 0x01000002 } }"


@pytest.fixture
def client(primary: Client, device: Device) -> Client:
    """The primary of a device that runs the pipeline of meters."""
    primary.set_config("VERIFY_AND_COMMIT", config_of(metered(), device.target))
    return primary


def cell(index: int, config: str = "", meter: str = LINE, more: str = "") -> str:
    given = f"config {{ {config} }}" if config else ""
    return f"meter_entry {{ meter_id: {meter} index {{ index: {index} }} {given} {more} }}"


def direct(source: int, config: str = "", more: str = "") -> str:
    named = (ENTRY % (source, "")).removeprefix("table_entry ")
    given = f"config {{ {config} }}" if config else ""
    return f"direct_meter_entry {{ table_entry {named} {given} {more} }}"


def refusal(client: Client, text: str) -> tuple[int, str]:
    with pytest.raises(RpcRefusedError) as refused:
        client.write(text)
    (error,) = refused.value.errors
    return error


# cells


def test_a_cell_is_read_as_it_was_written_and_becomes_as_it_was(client: Client) -> None:
    assert client.read(cell(3)) == [entity(cell(3))]
    client.write(f"MODIFY {cell(3, TWO)}")
    assert client.read(cell(3)) == [entity(cell(3, TWO))]
    client.write(f"MODIFY {cell(3)}")
    assert client.read(cell(3)) == [entity(cell(3))]


def test_without_an_index_all_cells_are_written(client: Client) -> None:
    client.write(f"MODIFY meter_entry {{ meter_id: {EXCESS} config {{ {ONE} }} }}", f"MODIFY {cell(7, meter=EXCESS)}")
    wanted = [entity(cell(at, ONE if at != 7 else "", EXCESS)) for at in range(32)]
    assert client.read(f"meter_entry {{ meter_id: {EXCESS} }}") == wanted
    assert client.read("meter_entry { }") == [*(entity(cell(at)) for at in range(32)), *wanted]
    client.write(f"MODIFY meter_entry {{ meter_id: {EXCESS} }}")
    assert client.read(cell(8, meter=EXCESS)) == [entity(cell(8, meter=EXCESS))]


def test_extremes_are_read_as_they_were_written(client: Client) -> None:
    most = (1 << 63) - 1
    config = f"cir: {most} cburst: {most} pir: {most} pburst: {most}"
    client.write(f"MODIFY {cell(0, config)}", f"MODIFY {cell(1, 'cir: 0 cburst: 1 pir: 0 pburst: 1')}")
    assert client.read(cell(0)) == [entity(cell(0, config))]
    assert client.read(cell(1)) == [entity(cell(1, "cburst: 1 pburst: 1"))]


REFUSED = [
    (f"INSERT {cell(1, TWO)}", 3, "meter line: its cells are always there, they can only be modified"),
    (f"DELETE {cell(1)}", 3, "meter line: its cells are always there, they can only be modified"),
    (f"MODIFY {cell(-1, TWO)}", 3, "meter line: index -1 is negative"),
    (f"MODIFY {cell(32, TWO)}", 11, "meter line: index 32 is outside of 0 to 31"),
    ("MODIFY meter_entry { }", 3, "meter id is missing"),
    (f"MODIFY {cell(1, TWO, '0x14000009')}", 3, "the pipeline has no meter of id 0x14000009"),
    (f"MODIFY {cell(1, 'cir: -5 cburst: 1 pir: 1 pburst: 1')}", 3, "meter line, index 1: cir is -5, a rate or burst is not negative"),
    (f"MODIFY {cell(1, 'cir: 2 cburst: 1 pir: 1 pburst: 1')}", 3, "meter line, index 1: cir 2 is above pir 1"),
    (f"MODIFY {cell(1, 'cir: 1 cburst: 1 pir: 1')}", 3, "meter line, index 1: pburst is 0, no packet would ever fit; a burst is above 0"),
    (f"MODIFY {cell(1, TWO + ' eburst: 9')}", 3, "meter line, index 1: eburst is 9, but a meter of two rates has no excess burst"),
    (f"MODIFY {cell(1, TWO, EXCESS)}", 3, "meter excess, index 1: pir is 2000, but of a meter of one rate it equals cir, 1000"),
    (f"MODIFY {cell(1, 'cir: 1 cburst: 5 pir: 1 pburst: 6', EXCESS)}", 3, "meter excess, index 1: pburst is 6, but of a meter of one rate it equals cburst, 5"),
    (f"MODIFY {cell(1, 'cir: 1 pir: 1', EXCESS)}", 3, "meter excess, index 1: cburst and eburst are 0, no packet would ever fit"),
    (f"MODIFY {cell(1, TWO, more='counter_data { red { packet_count: 1 } }')}", 3, "meter line, index 1: the counters of a meter can be set to 0 only, red is given otherwise"),
    (f"INSERT {direct(1, TWO)}", 3, "table workload: a direct meter comes and goes with its entry, it can only be modified"),
    (f"MODIFY {direct(1, TWO)}", 5, "table workload, entry source=0x1: there is no such entry"),
    ("MODIFY direct_meter_entry { table_entry { table_id: 0x02000001 is_default_action: true } }", 12, "table workload: packets that miss are not metered"),
    (f"INSERT {ENTRY % (1, PASS + ' meter_config { ' + TWO + ' }')}", 3, "table workload, meter: action pass does not execute it, so it takes no configuration"),
    (f"INSERT {ENTRY % (1, POLICE + ' meter_config { cir: 1 cburst: 1 }')}", 3, "table workload, meter: cir 1 is above pir 0"),
    (f"INSERT {ENTRY % (1, POLICE + ' meter_counter_data { green { byte_count: 1 } }')}", 3, "table workload: the counters of a meter can be set to 0 only, green is given otherwise"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "words"), REFUSED)
def test_refused(client: Client, text: str, code: int, words: str) -> None:
    assert refusal(client, text) == (code, words)
    assert client.read(cell(1)) == [entity(cell(1))]
    assert client.read("table_entry { }") == []


def test_a_read_is_refused_as_a_write_is(client: Client) -> None:
    for text, words in (
        (cell(32), "meter line: index 32 is outside of 0 to 31"),
        ("meter_entry { index { index: 1 } }", "an index is named together with its meter"),
        (direct(1), "table workload, entry source=0x1: there is no such entry"),
        ("direct_meter_entry { table_entry { table_id: 7 } }", "the pipeline has no table of id 0x00000007"),
    ):
        with pytest.raises(RpcRefusedError) as refused:
            client.read(text)
        assert [text for _, text in refused.value.errors] == [words]


# meters of entries


def test_the_meter_of_an_entry_comes_with_it_changes_and_goes(client: Client) -> None:
    asked = ENTRY % (1, "meter_config { }")
    with_meter = ENTRY % (1, f"{POLICE} meter_config {{ {TWO} }}")
    client.write(f"INSERT {with_meter}")
    assert client.read(asked) == [entity(with_meter)]
    assert client.read(ENTRY % (1, "")) == [entity(ENTRY % (1, POLICE))]
    assert client.read(direct(1)) == [entity(direct(1, TWO))]
    client.write(f"MODIFY {direct(1, 'cir: 1 cburst: 2 pir: 3 pburst: 4')}")
    assert client.read(direct(1)) == [entity(direct(1, "cir: 1 cburst: 2 pir: 3 pburst: 4"))]
    client.write(f"MODIFY {ENTRY % (1, POLICE)}")
    assert client.read(asked) == [entity(ENTRY % (1, POLICE))]
    client.write(f"MODIFY {with_meter}", f"MODIFY {direct(1)}")
    assert client.read(direct(1)) == [entity(direct(1))]
    client.write(f"MODIFY {with_meter}", f"DELETE {ENTRY % (1, '')}", f"INSERT {ENTRY % (1, POLICE)}")
    assert client.read(asked) == [entity(ENTRY % (1, POLICE))]


def test_all_meters_of_entries(client: Client) -> None:
    metered_entry = ENTRY % (2, f"{POLICE} meter_config {{ {TWO} }}")
    client.write(f"INSERT {ENTRY % (1, PASS)}", f"INSERT {metered_entry}")
    wanted = [entity(direct(1)), entity(direct(2, TWO))]
    assert client.read("direct_meter_entry { table_entry { } }") == wanted
    assert client.read("direct_meter_entry { table_entry { table_id: 0x02000001 } }") == wanted


def test_an_action_without_the_meter_takes_none_later_either(client: Client) -> None:
    client.write(f"INSERT {ENTRY % (1, PASS)}")
    words = "table workload, meter: action pass does not execute it, so it takes no configuration"
    assert refusal(client, f"MODIFY {direct(1, TWO)}") == (3, words)


# counters, batches


def test_counters_of_colors_are_read_when_asked_for_and_cleared(client: Client) -> None:
    nothing = "counter_data { green { } yellow { } red { } }"
    client.write(f"INSERT {ENTRY % (1, POLICE)}", f"MODIFY {cell(1, TWO, more='counter_data { }')}")
    assert client.read(cell(1, more="counter_data { }")) == [entity(cell(1, TWO, more=nothing))]
    assert client.read(direct(1, more="counter_data { }")) == [entity(direct(1, more=nothing))]
    client.write(f"MODIFY {direct(1, more='counter_data { }')}")
    (found,) = client.read(ENTRY % (1, "meter_counter_data { }"))
    assert found == entity(ENTRY % (1, f"{POLICE} meter_{nothing}"))


@pytest.mark.parametrize("atomicity", ["ROLLBACK_ON_ERROR", "DATAPLANE_ATOMIC"])
def test_a_batch_changes_meters_or_leaves_them(client: Client, atomicity: str) -> None:
    client.write(f"MODIFY {cell(1, TWO)}", f"INSERT {ENTRY % (1, POLICE + ' meter_config { ' + TWO + ' }')}")
    before = client.read("meter_entry { }", "direct_meter_entry { table_entry { } }")
    with pytest.raises(RpcRefusedError) as refused:
        client.write(
            f"MODIFY {cell(1, 'cir: 5 cburst: 5 pir: 5 pburst: 5')}",
            f"MODIFY {cell(2, TWO)}",
            f"MODIFY {direct(1)}",
            f"DELETE {ENTRY % (1, '')}",
            f"INSERT {ENTRY % (2, POLICE + ' meter_config { ' + TWO + ' }')}",
            f"INSERT {ENTRY % (1, POLICE + ' meter_config { ' + TWO + ' }')}",
            f"MODIFY {cell(1, more='counter_data { }')}",
            f"MODIFY {cell(99, TWO)}",
            atomicity=atomicity,
        )
    assert [code for code, _ in refused.value.errors] == [10] * 7 + [11]
    assert client.read("meter_entry { }", "direct_meter_entry { table_entry { } }") == before
    client.write(f"MODIFY {cell(1)}", f"MODIFY {cell(2, TWO)}", f"MODIFY {direct(1)}", atomicity=atomicity)
    assert client.read(cell(1), cell(2), direct(1)) == [entity(cell(1)), entity(cell(2, TWO)), entity(direct(1))]
