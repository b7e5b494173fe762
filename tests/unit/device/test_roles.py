"""Role configurations in Stratum's scheme: what is refused, what a role may do then, and who hears of what."""

from __future__ import annotations

import pytest
from finsy.proto import U128, p4r, stratum1
from google.protobuf import text_format
from google.protobuf.any_pb2 import Any

from runtime.device.arbitration import Arbitration, Notices
from runtime.device.refusals import Code, RefusedError, exhausted
from runtime.device.roles import MAX_BYTES, MAX_IDS, P4RoleConfig, object_id, read_role_config

TABLE, OTHER, COUNTER = 0x02000001, 0x02000002, 0x12000001


def config(text: str) -> Any:
    packed = Any()
    packed.Pack(text_format.Parse(text, P4RoleConfig()))
    return packed


def update(role: str, election_id: int | None, given: Any | None = None) -> p4r.MasterArbitrationUpdate:
    message = p4r.MasterArbitrationUpdate(device_id=1, role=p4r.Role(name=role, config=given))
    if election_id is not None:
        message.election_id.CopyFrom(U128.encode(election_id))
    return message


def refused(arbitration: Arbitration, client: str, message: p4r.MasterArbitrationUpdate) -> str:
    with pytest.raises(RefusedError) as error:
        arbitration.arbitrate(client, message)
    assert error.value.code == Code.INVALID_ARGUMENT
    return error.value.text


@pytest.fixture
def two() -> Arbitration:
    """Role `x` has TABLE for itself and shares COUNTER, `y` shares COUNTER as well."""
    arbitration = Arbitration(1)
    arbitration.arbitrate("a", update("x", 5, config(f"exclusive_p4_ids: {TABLE} shared_p4_ids: {COUNTER}")))
    arbitration.arbitrate("b", update("y", 5, config(f"shared_p4_ids: {COUNTER} can_push_pipeline: true")))
    return arbitration


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("exclusive_p4_ids: 0", "its config has the id 0, which no P4 object has"),
        ("exclusive_p4_ids: [7, 8] shared_p4_ids: [8, 9]", "its config has 0x00000008 as exclusive and as shared"),
        ("packet_in_filter { metadata_id: 1 value: 'x' }", "its config filters packets that it does not receive"),
        (
            "receives_packet_ins: true packet_in_filter { metadata_id: 1 }",
            "its config's packet filter lacks a metadata id or a value",
        ),
        (f"shared_p4_ids: {list(range(1, MAX_IDS + 2))}", f"its config has more than {MAX_IDS} ids"),
    ],
)
def test_configs_that_contradict_themselves(text: str, words: str) -> None:
    assert refused(Arbitration(1), "a", update("x", 1, config(text))) == f"role 'x': {words}"


def test_a_config_that_every_notification_would_have_to_carry(two: Arbitration) -> None:
    large = Any(type_url="type.googleapis.com/stratum.P4RoleConfig", value=b"\x7a" + b"\x80\x80\x04" + bytes(65_536))
    size = large.ByteSize()
    assert refused(two, "c", update("x", 9, large)) == f"role 'x': its config has {size} bytes, at most {MAX_BYTES}"


def test_other_schemes(two: Arbitration) -> None:
    other = Any(type_url="type.googleapis.com/acme.Role", value=b"x")
    assert refused(two, "c", update("x", 9, other)) == (
        "role 'x': its config is 'type.googleapis.com/acme.Role'; this device takes stratum.P4RoleConfig"
    )
    assert refused(two, "c", update("x", 9, Any())) == (
        "role 'x': its config is 'of no type'; this device takes stratum.P4RoleConfig"
    )
    broken = Any(type_url="type.googleapis.com/stratum.P4RoleConfig", value=b"\x0a")
    assert refused(two, "c", update("x", 9, broken)) == (
        "role 'x': its config is no stratum.P4RoleConfig: the bytes cannot be read"
    )
    assert refused(two, "c", update("", 9, config("can_push_pipeline: true"))) == (
        "the default role may do everything; a config is for a role with a name"
    )
    assert not two.is_live("c")


def test_what_is_one_roles_alone(two: Arbitration) -> None:
    assert refused(two, "c", update("z", 1, config(f"exclusive_p4_ids: {TABLE}"))) == (
        "role 'z' cannot have 0x02000001 to itself: role 'x' has it"
    )
    assert refused(two, "c", update("z", 1, config(f"exclusive_p4_ids: {COUNTER}"))) == (
        "role 'z' cannot have 0x12000001 to itself: role 'x' has it"
    )
    assert refused(two, "c", update("z", 1, config(f"shared_p4_ids: {TABLE}"))) == (
        "role 'z' cannot share 0x02000001: role 'x' has it to itself"
    )
    two.arbitrate("c", update("z", 1, config(f"exclusive_p4_ids: {OTHER} shared_p4_ids: {COUNTER}")))
    two.arbitrate("d", update("x", 6, config(f"exclusive_p4_ids: {TABLE}")))


def test_a_config_is_the_primarys(two: Arbitration) -> None:
    given = config(f"exclusive_p4_ids: {OTHER}")
    assert two.arbitrate("c", update("x", 4, given)) == Notices(now=("c",))
    assert two.config_of("x") == read_role_config("x", config(f"exclusive_p4_ids: {TABLE} shared_p4_ids: {COUNTER}"))
    assert two.notification("c").role.config == config(f"exclusive_p4_ids: {TABLE} shared_p4_ids: {COUNTER}")
    assert two.arbitrate("a", update("x", 5, given)) == Notices(now=("a", "c"))
    assert two.notification("c").role.config == given
    assert two.arbitrate("a", update("x", 5)) == Notices(now=("a", "c"))
    assert not two.notification("c").role.HasField("config")
    assert two.config_of("x") is None


def test_a_config_outlives_its_clients(two: Arbitration) -> None:
    two.leave("a")
    assert refused(two, "c", update("z", 1, config(f"exclusive_p4_ids: {TABLE}"))) == (
        "role 'z' cannot have 0x02000001 to itself: role 'x' has it"
    )


def test_who_may_load_pipelines(two: Arbitration) -> None:
    two.check_pusher("y")
    two.check_pusher("")
    with pytest.raises(RefusedError) as error:
        two.check_pusher("x")
    assert (error.value.code, error.value.text) == (
        Code.PERMISSION_DENIED,
        "role 'x' may not load a pipeline: its config has no can_push_pipeline",
    )


def test_who_hears_of_packets(two: Arbitration) -> None:
    def receivers(*metadata: tuple[int, bytes]) -> tuple[object, ...]:
        return two.receivers_of_packet(p4r.PacketMetadata(metadata_id=i, value=value) for i, value in metadata)

    assert receivers((1, b"\x07")) == ()
    two.arbitrate("all", update("", 1))
    two.arbitrate("a", update("x", 5, config("receives_packet_ins: true")))
    two.arbitrate(
        "b",
        update("y", 5, config(r'receives_packet_ins: true packet_in_filter { metadata_id: 1 value: "\000\007" }')),
    )
    assert receivers((2, b"\x01"), (1, b"\x07")) == ("all", "a", "b")
    assert receivers((1, b"\x08"), (2, b"\x07")) == ("all", "a")
    two.leave("all")
    assert receivers() == ("a",)


def test_who_hears_of_a_table(two: Arbitration) -> None:
    two.arbitrate("all", update("", 1))
    assert two.receivers_of(TABLE) == ("all", "a")
    assert two.receivers_of(COUNTER) == ("all", "a", "b")
    assert two.receivers_of(OTHER) == ("all",)


@pytest.mark.parametrize(
    ("text", "p4_id"),
    [
        ("table_entry { table_id: 1 }", 1),
        ("action_profile_member { action_profile_id: 2 member_id: 9 }", 2),
        ("action_profile_group { action_profile_id: 3 group_id: 9 }", 3),
        ("meter_entry { meter_id: 4 }", 4),
        ("direct_meter_entry { table_entry { table_id: 5 } }", 5),
        ("counter_entry { counter_id: 6 }", 6),
        ("direct_counter_entry { table_entry { table_id: 7 } }", 7),
        ("value_set_entry { value_set_id: 8 }", 8),
        ("register_entry { register_id: 9 }", 9),
        ("digest_entry { digest_id: 10 }", 10),
        ("extern_entry { extern_id: 11 }", 11),
        ("packet_replication_engine_entry { multicast_group_entry { multicast_group_id: 9 } }", 0),
        ("", 0),
    ],
)
def test_ids_of_entities(text: str, p4_id: int) -> None:
    assert object_id(text_format.Parse(text, p4r.Entity())) == p4_id


def test_no_kind_of_entity_is_forgotten() -> None:
    """Those without an id are known to have none."""
    kinds = {field.name for field in p4r.Entity.DESCRIPTOR.fields}
    assert len(kinds) == 12
    assert stratum1.p4_role_config_pb2.P4RoleConfig is P4RoleConfig


def test_a_config_is_noted_before_it_counts_and_remembered() -> None:
    noted: list[tuple[str, bytes]] = []
    arbitration = Arbitration(1, note_config=lambda role, given: noted.append((role, given)))
    mine, other = config(f"exclusive_p4_ids: {TABLE}"), config(f"shared_p4_ids: {OTHER}")
    arbitration.arbitrate("a", update("x", 5, mine))
    arbitration.arbitrate("a", update("x", 5, mine))
    arbitration.arbitrate("b", update("x", 4, other))  # a backup's counts for nothing
    assert noted == [("x", mine.SerializeToString())]
    arbitration.arbitrate("a", update("x", 6, other))
    arbitration.arbitrate("a", update("x", 7))
    assert noted[1:] == [("x", other.SerializeToString()), ("x", b"")]


def test_what_was_remembered_holds_before_any_client_is_there() -> None:
    arbitration = Arbitration(1)
    mine = config(f"exclusive_p4_ids: {TABLE}")
    arbitration.remember({"x": 5, "y": 3}, {"x": read_role_config("x", mine)})
    wanted = f"role 'y' cannot share 0x{TABLE:08x}: role 'x' has it to itself"
    assert refused(arbitration, "b", update("y", 4, config(f"shared_p4_ids: {TABLE}"))) == wanted
    kept = arbitration.config_of("x")
    assert kept is not None
    assert (kept.covers(TABLE), kept.covers(OTHER)) == (True, False)
    assert arbitration.config_of("y") is None
    arbitration.arbitrate("a", update("x", None))
    assert arbitration.notification("a").role.config == mine


def test_a_config_that_cannot_be_written_down_does_not_count() -> None:
    def full(role: str, given: bytes) -> None:
        raise exhausted(f"no room for {len(given)} bytes of {role}")

    arbitration = Arbitration(1, note_config=full)
    with pytest.raises(RefusedError, match="no room for"):
        arbitration.arbitrate("a", update("x", 5, config(f"exclusive_p4_ids: {TABLE}")))
    with pytest.raises(RefusedError, match="no client names role 'x'"):
        arbitration.config_of("x")
