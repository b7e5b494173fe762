"""Roles with a configuration (P4RoleConfig): what each may write, read and load, on both targets."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.conformance.client import Client, RpcRefusedError, Session, entity
from tests.conformance.conftest import Device

DENIED, ABORTED = 7, 10
NETWORK, PORT, PROFILE, COUNTER = 0x02000006, 0x02000001, 0x11000014, 0x12000001
GATEWAY = (
    r'table_entry { table_id: 0x02000006 match { field_id: 1 exact { value: "\001" } } action { action { '
    r'action_id: 0x01000008 params { param_id: 1 value: "\001" } params { param_id: 2 value: "\002" } } } }'
)
UPLINK = (
    r'table_entry { table_id: 0x02000001 match { field_id: 1 exact { value: "\001" } } '
    r'match { field_id: 2 exact { value: "\000" } } action { action { action_id: 0x01000003 } } }'
)
MEMBER = (
    r"action_profile_member { action_profile_id: 0x11000014 member_id: 1 action { action_id: 0x01000014 "
    r'params { param_id: 1 value: "\012\000\000\001" } params { param_id: 2 value: "P" } } }'
)


@pytest.fixture
def routing(primary: Client, connect: Callable[[], Client], next_id: int) -> Iterator[Client]:
    """Primary of role `routing`, which has table `network` for itself and shares a profile; empty tables."""
    client = connect()
    session = client.become_primary(
        next_id, role="routing", config=f"exclusive_p4_ids: {NETWORK} shared_p4_ids: {PROFILE}"
    )
    yield client
    client.election_id = next_id + 90
    session.arbitrate(next_id + 90, role="routing")  # gives its ids back: roles outlive their clients


def denied(role: str, p4_id: int) -> tuple[int, str]:
    return DENIED, f"role '{role}' may not write P4 object 0x{p4_id:08x}: its config does not have it"


def test_each_update_is_checked(routing: Client) -> None:
    with pytest.raises(RpcRefusedError) as refused:
        routing.write(f"INSERT {GATEWAY}", f"INSERT {UPLINK}", f"INSERT {MEMBER}", f"INSERT {GATEWAY}")
    assert [code for code, _ in refused.value.errors] == [0, DENIED, 0, 6]
    assert refused.value.errors[1] == denied("routing", PORT)
    assert routing.read("table_entry { }", "action_profile_member { }") == [entity(GATEWAY), entity(MEMBER)]


def test_none_of_a_batch_is_done_that_goes_back_on_an_error(routing: Client) -> None:
    with pytest.raises(RpcRefusedError) as refused:
        routing.write(f"INSERT {GATEWAY}", f"INSERT {UPLINK}", f"INSERT {MEMBER}", atomicity="ROLLBACK_ON_ERROR")
    not_tried = (ABORTED, "not tried, since update 2 of the batch failed")
    assert refused.value.errors == [not_tried, denied("routing", PORT), not_tried]
    assert routing.read("table_entry { }") == []


@pytest.mark.parametrize(
    "text",
    [
        "MODIFY counter_entry { counter_id: 0x12000001 index { } data { } }",
        "MODIFY direct_counter_entry { table_entry { table_id: 0x02000001 } data { } }",
        "DELETE table_entry { table_id: 0x02000001 }",
        "INSERT table_entry { table_id: 0x0200ffff }",
        "INSERT table_entry { table_id: 0x02000001 is_default_action: true }",
    ],
)
def test_what_is_not_the_roles_is_refused_whatever_it_says(routing: Client, text: str) -> None:
    with pytest.raises(RpcRefusedError) as refused:
        routing.write(text)
    assert [code for code, _ in refused.value.errors] == [DENIED]


def test_a_read_is_filtered(primary: Client, routing: Client) -> None:
    primary.write(f"INSERT {GATEWAY}", f"INSERT {UPLINK}", f"INSERT {MEMBER}")
    everything = ("table_entry { }", "action_profile_member { }", "counter_entry { }", "direct_counter_entry { }")
    kinds = {found.WhichOneof("entity") for found in primary.read(*everything)}
    assert kinds == {"table_entry", "action_profile_member", "counter_entry", "direct_counter_entry"}
    assert routing.read(*everything) == [entity(GATEWAY), entity(MEMBER)]
    assert routing.read("table_entry { table_id: 0x02000001 }") == []
    with pytest.raises(RpcRefusedError) as refused:
        routing.read("table_entry { table_id: 0x0200ffff }")
    assert refused.value.code == "UNKNOWN"


def test_a_read_for_an_unknown_role(primary: Client) -> None:
    primary.role = "nobody"
    with pytest.raises(RpcRefusedError) as refused:
        primary.read("table_entry { }")
    text = "no client names role 'nobody', and it never had a primary"
    assert (refused.value.code, refused.value.text) == ("NOT_FOUND", text)


def test_a_pipeline_is_loaded_by_who_may(routing: Client, device: Device, next_id: int) -> None:
    for action in ("VERIFY", "VERIFY_AND_SAVE", "VERIFY_AND_COMMIT", "RECONCILE_AND_COMMIT"):
        with pytest.raises(RpcRefusedError) as refused:
            routing.set_config(action, device.config)
        assert (refused.value.code, refused.value.text) == (
            "PERMISSION_DENIED",
            "role 'routing' may not load a pipeline: its config has no can_push_pipeline",
        )
    assert routing.get_config().config.cookie == device.config.cookie
    routing.become_primary(next_id + 1, role="routing", config="can_push_pipeline: true")
    routing.set_config("VERIFY", device.config)


def told(session: Session) -> tuple[int, bool]:
    answer = session.receive().arbitration
    return answer.status.code, answer.role.HasField("config")


def test_the_primary_changes_the_config(routing: Client, connect: Callable[[], Client], next_id: int) -> None:
    backup = connect().session()
    backup.arbitrate(next_id - 1, role="routing", config="receives_packet_ins: true")
    first = backup.receive().arbitration
    assert first.status.code == 6
    given = first.role.config
    second = routing.session()
    second.arbitrate(next_id + 1, role="routing", config=f"shared_p4_ids: {PORT}")
    assert told(second) == (0, True)
    changed = backup.receive().arbitration.role.config
    assert changed != given
    routing.write(f"INSERT {UPLINK}", election_id=next_id + 1)
    with pytest.raises(RpcRefusedError) as refused:
        routing.write(f"INSERT {GATEWAY}", election_id=next_id + 1)
    assert refused.value.errors == [denied("routing", NETWORK)]
    second.arbitrate(next_id + 1, role="routing")
    assert told(second) == (0, False)
    assert told(backup) == (6, False)
    routing.write(f"INSERT {GATEWAY}", election_id=next_id + 1)


def refusal(session: Session) -> tuple[str, str]:
    with pytest.raises(RpcRefusedError) as refused:
        session.receive()
    return refused.value.code, refused.value.text


def test_configs_that_end_the_stream(routing: Client, connect: Callable[[], Client], next_id: int) -> None:
    overlapping = connect().session()
    overlapping.arbitrate(next_id, role="monitoring", config=f"shared_p4_ids: {NETWORK}")
    assert refusal(overlapping) == (
        "INVALID_ARGUMENT",
        "role 'monitoring' cannot share 0x02000006: role 'routing' has it to itself",
    )
    of_default = connect().session()
    of_default.arbitrate(None, config="can_push_pipeline: true")
    assert refusal(of_default) == (
        "INVALID_ARGUMENT",
        "the default role may do everything; a config is for a role with a name",
    )
    routing.write(f"INSERT {GATEWAY}")


def test_the_default_role_writes_what_is_a_roles_alone(primary: Client, routing: Client) -> None:
    """It has full pipeline access."""
    primary.write(f"INSERT {GATEWAY}")
    routing.write(f"DELETE {GATEWAY}")
