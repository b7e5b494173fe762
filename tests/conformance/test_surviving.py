"""A device that is killed at any time starts again with all that it had acknowledged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from finsy.proto import p4r

from compiler.pipeline.assembly import pipeline
from runtime.device.failpoints import Point
from tests.conformance.client import Client, RpcRefusedError, entity
from tests.conformance.conftest import TARGETS
from tests.conformance.kernel import config_of, topology
from tests.conformance.killing import Killable
from tests.conformance.test_atomicity import CELL
from tests.conformance.test_configs import OTHER, PORT
from tests.conformance.test_roles import GATEWAY

EVERYTHING = ("table_entry { }", "action_profile_member { }", "action_profile_group { }")


@pytest.fixture(params=TARGETS)
def device(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Killable]:
    """Not yet started."""
    with topology("cfs") if request.param == "kernel" else nullcontext() as ports, Killable(tmp_path, ports) as made:
        yield made


@pytest.fixture
def config(request: pytest.FixtureRequest) -> p4r.ForwardingPipelineConfig:
    made = config_of(pipeline(), "kernel" if "kernel" in request.node.name else "model")
    made.cookie.cookie = 7
    return made


def state(client: Client) -> list[bytes]:
    """What controllers have written; learned entries are those with a timeout."""
    written = (entity for entity in client.read(*EVERYTHING) if not entity.table_entry.idle_timeout_ns)
    return sorted(entity.SerializeToString(deterministic=True) for entity in written)


def test_killed_between_two_writes(device: Killable, config: p4r.ForwardingPipelineConfig) -> None:
    device.start()
    client = device.primary()
    client.set_config("VERIFY_AND_COMMIT", config)
    client.write(f"INSERT {PORT}", f"INSERT {OTHER}")
    with pytest.raises(RpcRefusedError):
        client.write(f"INSERT {PORT}", f"DELETE {OTHER}")
    before = state(client)
    assert len(before) == 1
    client.close()
    for _ in range(2):
        device.kill()
        device.start()
        client = device.primary()
        assert state(client) == before
        assert client.get_config().config == config
        client.close()
    client = device.primary()
    client.write(f"INSERT {OTHER}")
    assert len(state(client)) == 2
    client.close()


def test_a_counter_that_was_to_be_set_when_it_was_killed(
    device: Killable, config: p4r.ForwardingPipelineConfig
) -> None:
    """It is, before anybody asks: not only with the next Write."""
    device.start()
    client = device.primary()
    client.set_config("VERIFY_AND_COMMIT", config)
    device.die_at(Point.INTENT)
    with pytest.raises(RpcRefusedError):
        client.write(f"MODIFY {CELL % (1, 7)}")
    client.close()
    device.dies()
    device.start()
    client = Client(device.address)
    (cell,) = client.read("counter_entry { counter_id: 0x12000001 index { index: 1 } }")
    assert cell.counter_entry.data.packet_count == 7
    client.close()


def test_killed_between_save_and_commit(device: Killable, config: p4r.ForwardingPipelineConfig) -> None:
    device.start()
    client = device.primary()
    client.set_config("VERIFY_AND_COMMIT", config)
    client.write(f"INSERT {PORT}")
    client.set_config("VERIFY_AND_SAVE", config)
    client.write(f"INSERT {OTHER}")
    before = state(client)
    client.close()
    device.kill()
    device.start()
    client = device.primary()
    assert state(client) == before
    client.set_config("COMMIT")
    assert state(client) == before
    client.close()


def test_the_highest_election_id_is_remembered(device: Killable) -> None:
    """Specification, section "Client Arbitration": only a full restart resets it."""
    device.start()
    client = device.primary()
    session = client.session()
    session.arbitrate(1000)
    assert session.told() == (0, 1000)
    client.close()
    device.kill()
    device.start()
    client = Client(device.address)
    session = client.session()
    session.arbitrate(999)
    assert session.told() == (5, 1000)
    session.arbitrate(1000)
    assert session.told() == (0, 1000)
    client.close()
    device.kill()
    device.start("--clean")
    device.primary().close()


def test_what_roles_may_do_is_remembered(device: Killable, config: p4r.ForwardingPipelineConfig) -> None:
    """Nobody has more rights, or sees more, because the device has started again."""
    limited = "exclusive_p4_ids: 0x02000006"
    device.start()
    client = device.primary()
    client.set_config("VERIFY_AND_COMMIT", config)
    client.write(f"INSERT {PORT}", f"INSERT {GATEWAY}")
    first = client.session()
    first.arbitrate(5, role="routing", config=limited)
    given = first.receive().arbitration.role.config
    client.close()
    for _ in range(2):
        device.kill()
        device.start()
        client = Client(device.address)
        client.role = "routing"
        assert client.read("table_entry { }") == [entity(GATEWAY)]
        backup = client.session()
        backup.arbitrate(4, role="routing")
        told = backup.receive().arbitration
        assert (told.status.code, told.role.config) == (5, given)
        other = client.session()
        other.arbitrate(5, role="monitoring", config="shared_p4_ids: 0x02000006")
        with pytest.raises(RpcRefusedError, match="role 'monitoring' cannot share 0x02000006: role 'routing' has it"):
            other.receive()
        client.close()
    client = Client(device.address)
    client.become_primary(6, role="routing", config=limited)
    with pytest.raises(RpcRefusedError) as refused:
        client.write(f"DELETE {PORT}", f"DELETE {GATEWAY}")
    assert [code for code, _ in refused.value.errors] == [7, 0]
    client.become_primary(7, role="routing")  # which asks for full access, as the specification says
    client.close()
    device.kill()
    device.start()
    client = Client(device.address)
    client.role = "routing"
    assert client.read("table_entry { }") == [entity(PORT)]
    client.close()


def test_clean_begins_with_nothing(device: Killable, config: p4r.ForwardingPipelineConfig) -> None:
    device.start()
    client = device.primary()
    client.set_config("VERIFY_AND_COMMIT", config)
    client.close()
    device.kill()
    device.start("--clean")
    assert f"what was kept in {device.state} is removed, as --clean asks" in device.said
    client = device.primary()
    assert not client.get_config().HasField("config")
    client.close()
