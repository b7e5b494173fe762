"""RECONCILE_AND_COMMIT to a pipeline whose store of connections has another layout: every connection goes on."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from finsy.proto import p4r

from compiler.pipeline.assembly import pipeline
from runtime.bpf.namespaces import entered
from runtime.device.failpoints import Point
from tests.conformance.client import Client, RpcRefusedError
from tests.conformance.kernel import Topology, config_of, topology
from tests.conformance.killing import Killable
from tests.conformance.serving import serving
from tests.conformance.talking import Talk
from tests.conformance.test_takeover import counted
from tests.conformance.test_traffic import CLIENT, FLOW, SERVICE, VIP, VIP_PORT
from tests.pipelines.relaid import relaid_pipeline

pytestmark = [pytest.mark.root, pytest.mark.slow]
PATIENCE_S = 5.0
QUESTION = b"still there?"


class Opening:
    """Connections that are opened one after the other, as fast as they come, and stay open."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._sockets: list[socket.socket] = []
        self._ending = False
        self.failed: OSError | None = None
        self._thread = threading.Thread(target=self._open, daemon=True)
        self._thread.start()

    @property
    def count(self) -> int:
        return len(self._sockets)

    def stop(self) -> None:
        self._ending = True
        self._thread.join()

    def answers(self, step: int = 1) -> int:
        """How many of them answer now; of each `step`th is asked."""
        return sum(_answers(one) for one in self._sockets[::step])

    def close(self) -> None:
        for one in self._sockets:
            one.close()

    def _open(self) -> None:
        with entered(self._namespace):
            while not self._ending:
                one = socket.socket()
                one.settimeout(PATIENCE_S)
                try:
                    one.connect((VIP, VIP_PORT))
                except OSError as problem:
                    self.failed = problem
                    return
                self._sockets.append(one)


def _answers(one: socket.socket) -> bool:
    try:
        one.sendall(QUESTION)
        return one.recv(len(QUESTION), socket.MSG_WAITALL) == QUESTION
    except OSError:
        return False


@pytest.fixture
def ports() -> Iterator[Topology]:
    with topology("cfr") as made:
        yield made


@pytest.fixture
def device(ports: Topology, tmp_path: Path) -> Iterator[Killable]:
    """Running, with a service and a backend that echoes."""
    with serving(tmp_path, ports) as made:
        yield made


def take_service_away(client: Client) -> None:
    """From now on only what is known gets to the backend."""
    (entry,) = client.read(f"table_entry {{ table_id: {SERVICE} }}")
    client.write_request(p4r.WriteRequest(device_id=1, updates=[p4r.Update(type=p4r.Update.DELETE, entity=entry)]))


def learned(client: Client) -> int:
    return len(client.read(f"table_entry {{ table_id: {FLOW} }}"))


@pytest.mark.parametrize("way", ["there", "back"])
def test_connections_that_are_opened_meanwhile(device: Killable, ports: Topology, way: str) -> None:
    client = device.primary(100)
    after = config_of(relaid_pipeline(), "kernel")
    if way == "back":
        client.set_config("RECONCILE_AND_COMMIT", after)
        after = config_of(pipeline(), "kernel")
    talks = [Talk(ports.behind(CLIENT), VIP, VIP_PORT) for _ in range(3)]
    opening = Opening(ports.behind(CLIENT))
    client.set_config("RECONCILE_AND_COMMIT", after)
    opening.stop()
    assert opening.failed is None
    assert opening.count > 100
    # Each was learned once: nothing was forgotten and decided anew.
    assert counted(client) == len(talks) + opening.count
    take_service_away(client)
    assert opening.answers() == opening.count
    for one in talks:
        assert one.goes_on()
        assert one.longest_s < 1.0
        one.end()
        assert one.failed is None
    opening.close()
    assert "Traceback" not in device.said
    assert "store connections_ipv4: learned entries go on in their new layout" in device.said
    client.close()


def test_killed_in_the_midst_of_it(device: Killable, ports: Topology) -> None:
    client = device.primary(100)
    opening = Opening(ports.behind(CLIENT))
    while opening.count < 60:
        time.sleep(0.01)
    opening.stop()
    take_service_away(client)
    for at, point in enumerate((Point.CONFIG_INTENT, Point.READING, Point.BRINGING, Point.ACTIVATED, Point.RELEASED)):
        after = config_of(pipeline() if at % 2 else relaid_pipeline(), "kernel")
        device.die_at(point)
        with pytest.raises(RpcRefusedError):
            client.set_config("RECONCILE_AND_COMMIT", after)
        device.dies()
        client.close()
        # Some are looked for while nobody brings anything over, the others are left to the next start.
        assert opening.answers(3) == len(range(0, opening.count, 3)), f"while it is down, after {point}"
        device.start()
        client = device.primary(101 + at)
        assert client.get_config().config == after
        assert learned(client) == opening.count, f"after {point}"
        assert opening.answers() == opening.count, f"after {point}"
    opening.close()
    client.close()
