"""What refers and what is referred to: `@refers_to` and restrictions of arguments, on both targets."""

from __future__ import annotations

import pytest

from tests.conformance.client import Client, RpcRefusedError, entity
from tests.conformance.conftest import Device
from tests.conformance.kernel import config_of
from tests.conformance.referring import (
    CHAIN,
    call,
    default_route,
    exact,
    interface,
    member,
    neighbor,
    next_hop,
    one_shot,
    referring_pipeline,
    route,
    spread,
)

OK, INVALID, MISSING, IN_USE, ABORTED = (0, ""), 3, 5, 9, 10


@pytest.fixture
def client(primary: Client, device: Device) -> Client:
    """The primary of a device with the pipeline of `referring.ir`."""
    primary.set_config("VERIFY_AND_COMMIT", config_of(referring_pipeline(), device.target))
    return primary


def refused(client: Client, *updates: str, atomicity: str = "CONTINUE_ON_ERROR") -> list[tuple[int, str]]:
    with pytest.raises(RpcRefusedError) as error:
        client.write(*updates, atomicity=atomicity)
    return error.value.errors


def count(client: Client) -> int:
    return len(client.read("table_entry { }")) + len(client.read("action_profile_member { }"))


@pytest.mark.parametrize("atomicity", ["CONTINUE_ON_ERROR", "ROLLBACK_ON_ERROR", "DATAPLANE_ATOMIC"])
def test_in_the_order_of_a_batch(client: Client, atomicity: str) -> None:
    client.write(*CHAIN, atomicity=atomicity)
    assert count(client) == 4
    client.write(*(text.replace("INSERT", "DELETE", 1) for text in reversed(CHAIN)), atomicity=atomicity)
    assert count(client) == 0


def test_what_refers_to_nothing_is_refused(client: Client) -> None:
    assert refused(client, *reversed(CHAIN)) == [
        (INVALID, "table route, entry dst=0x4d/32: it refers to table next_hop, id=0x5, and there is none"),
        (INVALID, "table next_hop, entry id=0x5: it refers to table interface, id=0x1, and there is none"),
        (INVALID, "table neighbor, entry interface=0x1, address=0xa: it refers to table interface, id=0x1, "
         "and there is none"),
        OK,
    ]  # fmt: skip
    assert count(client) == 1


def test_several_fields_are_of_one_entry(client: Client) -> None:
    """There are a neighbour of that interface and one of that address, but none of both."""
    client.write(
        *(f"INSERT {interface(number)}" for number in (1, 2)),
        f"INSERT {neighbor(1, 10)}",
        f"INSERT {neighbor(2, 20)}",
    )
    assert refused(client, f"INSERT {next_hop(5, 1, 20)}", f"INSERT {next_hop(6, 2, 20)}") == [
        (INVALID, "table next_hop, entry id=0x5: it refers to table neighbor, address=0x14, interface=0x1, "
         "and there is none"),
        OK,
    ]  # fmt: skip


def test_what_is_referred_to_stays(client: Client) -> None:
    client.write(*CHAIN, f"INSERT {next_hop(6, 1, 10)}")
    assert refused(client, *(text.replace("INSERT", "DELETE", 1) for text in CHAIN)) == [
        (IN_USE, "table interface, entry id=0x1: it is in use (3 references)"),
        (IN_USE, "table neighbor, entry interface=0x1, address=0xa: it is in use (2 references)"),
        (IN_USE, "table next_hop, entry id=0x5: it is in use (1 references)"),
        OK,
    ]
    client.write(f"DELETE {next_hop(5, 1, 10)}")


def test_another_action_refers_to_something_else(client: Client) -> None:
    client.write(*CHAIN, f"INSERT {next_hop(6, 1, 10)}")
    assert refused(client, f"MODIFY {route(77, call('to_next_hop', 7))}") == [
        (INVALID, "table route, entry dst=0x4d/32: it refers to table next_hop, id=0x7, and there is none")
    ]
    client.write(f"MODIFY {route(77, call('to_next_hop', 6))}", f"DELETE {next_hop(5, 1, 10)}")
    assert [code for code, _ in refused(client, f"DELETE {next_hop(6, 1, 10)}")] == [IN_USE]
    client.write(f"MODIFY {next_hop(6, 1, 10)}")


@pytest.mark.parametrize("atomicity", ["ROLLBACK_ON_ERROR", "DATAPLANE_ATOMIC"])
def test_a_batch_that_fails_leaves_no_reference(client: Client, atomicity: str) -> None:
    client.write(*CHAIN[:3])
    before = client.read("table_entry { }")
    codes = [code for code, _ in refused(client, CHAIN[3], f"INSERT {route(78, call('to_next_hop', 9))}",
                                         f"DELETE {interface(1)}", atomicity=atomicity)]  # fmt: skip
    assert codes == [ABORTED, INVALID, ABORTED]
    assert client.read("table_entry { }") == before
    client.write(*(text.replace("INSERT", "DELETE", 1) for text in reversed(CHAIN[:3])))


def test_the_default_entry(client: Client) -> None:
    assert refused(client, f"MODIFY {default_route(call('to_next_hop', 5))}") == [
        (INVALID, "table route, default entry: it refers to table next_hop, id=0x5, and there is none")
    ]
    client.write(*CHAIN[:3], f"MODIFY {default_route(call('to_next_hop', 5))}")
    assert [code for code, _ in refused(client, f"DELETE {next_hop(5, 1, 10)}")] == [IN_USE]
    client.write(f"MODIFY {default_route()}", f"DELETE {next_hop(5, 1, 10)}")


def test_members_refer_by_their_action_and_entries_by_their_keys(client: Client) -> None:
    assert refused(client, f"INSERT {member(1, call('to_next_hop', 5))}") == [
        (INVALID, "action profile hops, member 1: it refers to table next_hop, id=0x5, and there is none")
    ]
    client.write(*CHAIN[:3], f"INSERT {member(1, call('to_next_hop', 5))}")
    assert refused(client, f"INSERT {spread(2, 'action_profile_member_id: 1')}") == [
        (INVALID, "table spread, entry class=0x2: it refers to table interface, id=0x2, and there is none")
    ]
    client.write(f"INSERT {spread(1, 'action_profile_member_id: 1')}")
    assert [code for code, _ in refused(client, f"DELETE {next_hop(5, 1, 10)}")] == [IN_USE]
    client.write(f"MODIFY {member(1, call('miss'))}", f"DELETE {next_hop(5, 1, 10)}", f"DELETE {neighbor(1, 10)}")
    assert refused(client, f"DELETE {interface(1)}") == [
        (IN_USE, "table interface, entry id=0x1: it is in use (1 references)")
    ]


def test_sets_of_one_shot(client: Client) -> None:
    client.write(*CHAIN[:3])
    assert refused(client, f"INSERT {spread(1, one_shot(5, 6))}") == [
        (INVALID, "table spread, entry class=0x1: it refers to table next_hop, id=0x6, and there is none")
    ]
    client.write(f"INSERT {spread(1, one_shot(5, 5))}")
    assert refused(client, f"DELETE {next_hop(5, 1, 10)}") == [
        (IN_USE, "table next_hop, entry id=0x5: it is in use (2 references)")
    ]
    client.write(f"MODIFY {spread(1, one_shot())}", f"DELETE {next_hop(5, 1, 10)}")


def test_a_key_that_matches_anything_refers_to_nothing(client: Client) -> None:
    mark = 'match { field_id: 2 ternary { value: "\\001" mask: "\\001" } } priority: 1'
    allowed = f"{mark} action {{ action {{ {call('allow')} }} }}"
    by_interface = f'match {{ field_id: 1 optional {{ value: "\\001" }} }} {allowed}'
    client.write(f"INSERT table_entry {{ table_id: 0x02000001 {allowed} }}")
    assert refused(client, f"INSERT table_entry {{ table_id: 0x02000001 {by_interface} }}") == [
        (INVALID, "table filter, entry interface=0x1, mark=0x1&0x1 priority 1: it refers to table interface, id=0x1, "
         "and there is none")
    ]  # fmt: skip
    client.write(CHAIN[0], f"INSERT table_entry {{ table_id: 0x02000001 {by_interface} }}")
    assert [code for code, _ in refused(client, f"DELETE {interface(1)}")] == [IN_USE]


def test_multicast_groups(client: Client) -> None:
    assert refused(client, f"INSERT {route(1, call('to_group', 3))}") == [
        (INVALID, "table route, entry dst=0x1/32: it refers to multicast group 3, and there is none")
    ]


def test_what_arguments_an_action_may_have(client: Client) -> None:
    violated = "violates the @action_restriction of action"
    assert refused(
        client,
        f"INSERT {interface(1, port=0)}",
        f"INSERT {interface(1, port=510)}",
        f"INSERT {route(1, call('to_group', 0))}",
        f"MODIFY {default_route(call('to_group', 0))}",
        f"INSERT {interface(1, port=508)}",
    ) == [
        (INVALID, f"table interface: {violated} leave_by: 'port != 0', where port::value = 0x0"),
        (INVALID, f"table interface: {violated} leave_by: 'port < 509', where port::value = 0x1fe"),
        (INVALID, f"table route: {violated} to_group: 'group != 0', where group::value = 0x0"),
        (7, "table route: action to_group cannot be the default action, only an entry's"),
        OK,
    ]
    assert refused(client, f"MODIFY {interface(1, port=509)}")[0][0] == INVALID
    assert client.read(exact(6, 1)) == [entity(interface(1, port=508))]


def test_over_another_pipeline_and_back(client: Client, device: Device) -> None:
    """Contents that refer are carried over in an order in which they can be."""
    client.write(*CHAIN, f"MODIFY {default_route(call('to_next_hop', 5))}")
    before = client.read("table_entry { }")
    client.set_config("RECONCILE_AND_COMMIT", config_of(referring_pipeline("2"), device.target))
    assert sorted(map(str, client.read("table_entry { }"))) == sorted(map(str, before))
    errors = refused(client, f"DELETE {interface(1)}", f"DELETE {next_hop(5, 1, 10)}")
    assert [code for code, _ in errors] == [IN_USE, IN_USE]
