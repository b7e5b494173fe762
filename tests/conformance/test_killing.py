"""A device that is killed in the midst of writes, again and again: what it had acknowledged is there each time.

Every other time it dies at a place that is chosen by name, else after a time that is chosen.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.device.failpoints import Point
from tests.conformance.client import Client
from tests.conformance.conftest import TARGETS
from tests.conformance.kernel import Topology
from tests.conformance.killing import Killable
from tests.conformance.serving import ports_of, serving
from tests.conformance.talking import Talk
from tests.conformance.test_traffic import CLIENT, VIP, VIP_PORT
from tests.conformance.writing import State, Writing, held

KILLS = int(os.environ.get("TURNOUT_KILLS", "20"))
TOLD = 25
EACH_S = 20
"""Of patience: a quiet machine takes three seconds to start a device and compare, a busy one ten."""
LONGEST_S = 0.25
PLACES = (Point.INTENT, Point.APPLIED, Point.CONCLUDED)
OF_SIDES = (Point.STAGED, Point.TURNED, Point.LEFT, Point.ALIKE)
"""In the kernel alone."""
SEED = int(os.environ.get("TURNOUT_SEED", "1"))


@pytest.fixture(params=TARGETS)
def ports(request: pytest.FixtureRequest) -> Iterator[Topology | None]:
    with ports_of(request.param, "cfk") as made:
        yield made


@pytest.fixture
def device(ports: Topology | None, tmp_path: Path) -> Iterator[Killable]:
    """Running, with a pipeline; in the kernel with a service and a backend that echoes, too."""
    with serving(tmp_path, ports) as made:
        yield made


@pytest.mark.timeout(60 + EACH_S * KILLS)
def test_killed_at_any_instant_of_writing(device: Killable, ports: Topology | None) -> None:
    rng, state, batches, in_midst = random.Random(SEED), State(), 0, 0
    talk = Talk(ports.behind(CLIENT), VIP, VIP_PORT) if ports is not None else None
    for kill in range(KILLS):
        client = device.primary(100 + kill)
        writing = Writing(client, rng, state)
        time.sleep(rng.uniform(0, LONGEST_S))
        if kill % 2:
            device.die_at(rng.choice(PLACES if ports is None else PLACES + OF_SIDES))
            device.dies()
        else:
            device.kill()
        writing.end()
        client.close()
        device.start()
        reader = Client(device.address)
        state = held(reader)
        reader.close()
        assert state in (writing.acknowledged, writing.pending), f"after {writing.batches} batches of round {kill}"
        in_midst += state != writing.acknowledged
        batches += writing.batches
        assert "Traceback" not in device.said
        if kill % TOLD == TOLD - 1:
            print(f"{kill + 1} of {KILLS} kills", flush=True)
    print(f"{KILLS} kills, {batches} batches acknowledged, {in_midst} done that were not")
    assert batches > KILLS
    if talk is not None:
        assert talk.goes_on()
        talk.end()
        assert talk.failed is None
