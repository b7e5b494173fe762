"""Groups and sessions outlive a kill, go on in another pipeline, and packets are copied while the device is down."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from finsy.proto import p4r

from tests.conformance.client import Client, RpcRefusedError
from tests.conformance.conftest import TARGETS
from tests.conformance.kernel import Topology, config_of, topology
from tests.conformance.killing import Killable
from tests.conformance.test_replication import ALL, CLONED, TO_GROUP, frame, group, mirrored, replica, sent, session
from tests.conformance.wired import KernelWire, ModelWire, Wire
from tests.pipelines.controllers import controllers
from tests.pipelines.replicating import replicating

KEPT = 'metadata: "kept"'


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def ports(target: str) -> Generator[Topology | None]:
    with topology("crs") if target == "kernel" else nullcontext() as made:
        yield made


def wire_of(folder: Path, ports: Topology | None, held: ExitStack) -> Wire:
    return ModelWire(folder / "wire.sock", held) if ports is None else KernelWire(ports, held)


def written(client: Client, config: p4r.ForwardingPipelineConfig) -> list[p4r.Entity]:
    client.set_config("VERIFY_AND_COMMIT", config)
    client.write(sent(TO_GROUP, 0x01000003, 5), mirrored(CLONED, 5))
    client.write(
        f"INSERT {group(5, replica(17, 3), replica(1), KEPT)}",
        f"INSERT {session(5, replica(1, 1), 'packet_length_bytes: 60')}",
        f"INSERT {session(6, 'replicas { egress_port: 17 }')}",
    )
    return client.read(ALL)


def is_copied(wire: Wire) -> bool:
    wire.send(16, frame(TO_GROUP))
    return [wire.receive(port) for port in (17, 1)] == [frame(TO_GROUP, ttl=63)] * 2


def test_a_killed_device_has_them_again(target: str, ports: Topology | None, tmp_path: Path) -> None:
    more = ("--wire", str(tmp_path / "wire.sock")) if ports is None else ()
    with Killable(tmp_path, ports) as device:
        device.start(*more)
        client = device.primary()
        before = written(client, config_of(replicating(), target))
        client.close()
        with ExitStack() as held:
            wire = wire_of(tmp_path, ports, held)
            assert is_copied(wire)
            device.kill()
            assert ports is None or is_copied(wire)
        device.start(*more)
        client = device.primary()
        assert client.read(ALL) == before
        with ExitStack() as held:
            wire = wire_of(tmp_path, ports, held)
            assert is_copied(wire)
            wire.send(16, frame(TO_GROUP, CLONED, 1000))
            left = frame(TO_GROUP, CLONED, 1000, ttl=63)
            came = {wire.receive(1), wire.receive(1)}
            assert came == {frame(TO_GROUP, CLONED, 1000)[:60], left}
        client.close()


def test_they_go_on_in_another_pipeline(target: str, ports: Topology | None, tmp_path: Path) -> None:
    other = replace(replicating(), version="2", doc="The same, of another version.")
    more = ("--wire", str(tmp_path / "wire.sock")) if ports is None else ()
    with Killable(tmp_path, ports) as device, ExitStack() as held:
        device.start(*more)
        client = device.primary()
        before = written(client, config_of(replicating(), target))
        with pytest.raises(RpcRefusedError) as refused:
            client.set_config("RECONCILE_AND_COMMIT", config_of(controllers(), target))
        assert refused.value.code == "INVALID_ARGUMENT"
        client.set_config("RECONCILE_AND_COMMIT", config_of(other, target))
        assert client.read(ALL) == before
        assert is_copied(wire_of(tmp_path, ports, held))
        client.close()
