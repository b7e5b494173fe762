"""What controllers asked of digests outlives a kill, and packets are told again by the device that follows."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import pytest

from tests.conformance.client import Session
from tests.conformance.conftest import TARGETS
from tests.conformance.kernel import Topology, config_of, topology
from tests.conformance.killing import Killable
from tests.conformance.test_digests import LEARN, config, frame, told
from tests.conformance.wired import KernelWire, ModelWire, Wire
from tests.pipelines.digests import digests


@contextmanager
def wire_of(folder: Path, ports: Topology | None) -> Generator[Wire]:
    with ExitStack() as held:
        yield ModelWire(folder / "wire.sock", held) if ports is None else KernelWire(ports, held)


@pytest.mark.parametrize("target", TARGETS)
def test_a_killed_device_goes_on_to_tell(target: str, tmp_path: Path) -> None:
    is_kernel = target == "kernel"
    given = config_of(digests(), target)
    more = () if is_kernel else ("--wire", str(tmp_path / "wire.sock"))
    with topology("cds") if is_kernel else nullcontext() as ports, Killable(tmp_path, ports) as device:
        device.start(*more)
        client = device.primary()
        client.set_config("VERIFY_AND_COMMIT", given)
        client.write(f"INSERT {config(size=3, timeout=77)}", f"MODIFY {config(ack=9)}")
        before = client.read("digest_entry { }")
        client.close()
        device.kill()
        device.start(*more)
        client = device.primary()
        assert client.read("digest_entry { }") == before
        session: Session = client.session()
        session.arbitrate(1000)
        assert session.told() == (0, 1000)
        with wire_of(tmp_path, ports) as wire:
            wire.send(16, frame(5))
            assert told(session) == (int(LEARN, 16), 1, [(16, 5)])
        client.close()
