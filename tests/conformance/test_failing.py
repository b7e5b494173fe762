"""A device that dies exactly between two steps of its work: what it had acknowledged is there, and nothing half.

`runtime.device.failpoints` has the places. What was asked for is done by the next start once the journal has it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from finsy.proto import p4r

from compiler.ir.nodes import Pipeline
from compiler.pipeline.assembly import pipeline
from runtime.device.failpoints import Point
from tests.conformance.client import RpcRefusedError
from tests.conformance.conftest import TARGETS
from tests.conformance.kernel import Topology, config_of
from tests.conformance.killing import Killable
from tests.conformance.serving import ports_of, serving
from tests.conformance.talking import Talk
from tests.conformance.test_traffic import CLIENT, VIP, VIP_PORT
from tests.conformance.writing import INSERT, MODIFY, State, entity_of, held

Atomicity = p4r.WriteRequest.Atomicity.ValueType
CONTINUE, ROLLBACK, ATOMIC = (
    p4r.WriteRequest.CONTINUE_ON_ERROR,
    p4r.WriteRequest.ROLLBACK_ON_ERROR,
    p4r.WriteRequest.DATAPLANE_ATOMIC,
)
OF_SIDES: Final = (Point.STAGED, Point.TURNED, Point.LEFT, Point.ALIKE)
OF_WRITES: Final = (Point.INTENT, *OF_SIDES, Point.APPLIED, Point.CONCLUDED)
OF_ROLLBACK: Final = (Point.INTENT, Point.UNDONE, Point.APPLIED, Point.CONCLUDED)
OF_SNAPSHOTS: Final = (Point.SNAPSHOT_BEGUN, Point.SNAPSHOT_PIECE, Point.SNAPSHOT_WHOLE, Point.SNAPSHOT_NAMED)
OF_CONFIGS: Final = (Point.LOADED, Point.CONFIG_INTENT, Point.ACTIVATED, Point.RELEASED, Point.CONFIG_CONCLUDED)
OF_STARTS: Final = (Point.REPLAYING, Point.TAKEN_OVER, Point.ADOPTED, Point.STARTED)
LARGE_BYTES, LARGE_WRITES = 1 << 20, 9
"""More than a log may have before it becomes a snapshot."""
QUIET_S = 0.2
"""After this the last write has been brought to both sides."""


@pytest.fixture(params=TARGETS)
def ports(request: pytest.FixtureRequest) -> Iterator[Topology | None]:
    with ports_of(request.param, "cff") as made:
        yield made


class Dying:
    """A device with a pipeline, and in the kernel with a connection through it; and what this test has written."""

    def __init__(self, device: Killable, ports: Topology | None) -> None:
        self.device, self.target = device, "model" if ports is None else "kernel"
        self.state: State = {}
        self.talk = Talk(ports.behind(CLIENT), VIP, VIP_PORT) if ports is not None else None
        self.deaths = 0
        self.client = device.primary(100)

    def at(self, point: Point, act: Callable[[], object], after: State) -> None:
        """Die there while it acts, start again; it holds `after` then, and takes more."""
        time.sleep(QUIET_S)
        self.device.die_at(point)
        with suppress(RpcRefusedError):
            act()
        self.device.dies()
        self.start(point, after)

    def start(self, point: Point, after: State) -> None:
        self.client.close()
        if self.talk is not None:
            assert self.talk.goes_on(), f"while it is down, after {point}"
        self.device.start()
        assert "Traceback" not in self.device.said
        assert "found otherwise" not in self.device.said, f"after {point}"
        self.deaths += 1
        self.client = self.device.primary(100 + self.deaths)
        assert held(self.client) == after, f"after {point}"
        self.state = after
        self.write({("arp", 299): (self.deaths,)})
        assert held(self.client) == self.state
        if self.talk is not None:
            assert self.talk.goes_on(), f"after {point}"

    def write(self, changes: State, atomicity: Atomicity = ATOMIC) -> None:
        self.client.write_request(request_for(changes, self.state, atomicity))
        self.state = self.state | changes

    def end_talk(self) -> None:
        """Its service is about to go."""
        if self.talk is not None:
            self.talk.end()
            self.talk = None

    def end(self) -> None:
        self.client.close()
        if self.talk is not None:
            self.talk.end()
            assert self.talk.failed is None
            assert self.talk.longest_s < 1.0


def request_for(changes: State, state: State, atomicity: Atomicity) -> p4r.WriteRequest:
    """One that makes these changes of a state."""
    made = p4r.WriteRequest(device_id=1, atomicity=atomicity)
    for key, value in changes.items():
        made.updates.add(type=MODIFY if key in state else INSERT).entity.CopyFrom(entity_of(key, value))
    return made


@pytest.fixture
def dying(ports: Topology | None, tmp_path: Path) -> Iterator[Dying]:
    """With a pipeline that holds a few entries of every kind."""
    with serving(tmp_path, ports) as device:
        made = Dying(device, ports)
        made.write(changes(0))
        yield made
        made.end()


def changes(step: int) -> State:
    """A member, a group that has it, an entry that leads there, and entries of their own."""
    group = {("member", 1): (step, 7), ("member", 2): (step, 8), ("group", 3): (1, 2), ("backend", 4): (3,)}
    return group | {("arp", number): (step,) for number in range(5)}


def points(target: str, chosen: Iterable[Point]) -> Iterator[tuple[int, Point]]:
    """Those that the target has, numbered from 1. The model has no sides."""
    return enumerate((point for point in chosen if target == "kernel" or point not in OF_SIDES), 1)


def test_in_a_single_write(dying: Dying) -> None:
    for step, point in points(dying.target, OF_WRITES):
        wanted: State = {("arp", 1): (step + 100,)}
        request = request_for(wanted, dying.state, CONTINUE)
        dying.at(point, partial(dying.client.write_request, request), dying.state | wanted)


def test_in_an_atomic_batch(dying: Dying) -> None:
    for step, point in points(dying.target, OF_WRITES):
        request = request_for(changes(step), dying.state, ATOMIC)
        dying.at(point, partial(dying.client.write_request, request), dying.state | changes(step))


def test_in_a_batch_that_is_rolled_back(dying: Dying) -> None:
    for step, point in points(dying.target, OF_ROLLBACK):
        request = request_for(changes(step), dying.state, ROLLBACK)
        request.updates.add(type=INSERT).entity.CopyFrom(request.updates[0].entity)
        dying.at(point, partial(dying.client.write_request, request), dying.state)


def test_in_a_snapshot(dying: Dying) -> None:
    """It may begin at any of the writes: once a second it is seen whether the log is long."""
    large = request_for(changes(0), dying.state, CONTINUE)
    large.updates[-1].entity.table_entry.metadata = b"x" * LARGE_BYTES

    def write_much() -> None:
        for _ in range(LARGE_WRITES):
            dying.client.write_request(large)

    for _, point in points(dying.target, OF_SNAPSHOTS):
        dying.at(point, write_much, dying.state | changes(0))


def changed(version: int) -> Pipeline:
    """Another pipeline, with a place for everything."""
    whole = pipeline()
    tables = tuple(
        replace(table, size=table.size + version) if table.name == "arp" else table for table in whole.tables
    )
    return replace(whole, tables=tables, version=str(version))


def test_in_a_reconciliation(dying: Dying) -> None:
    for step, point in points(dying.target, OF_CONFIGS):
        config = config_of(changed(step), dying.target)
        dying.at(point, partial(dying.client.set_config, "RECONCILE_AND_COMMIT", config), dying.state)
        if point is not Point.LOADED:
            assert dying.client.get_config().config == config


def test_in_a_commit(dying: Dying) -> None:
    dying.end_talk()
    for step, point in points(dying.target, OF_CONFIGS):
        config = config_of(changed(step), dying.target)
        after = dying.state if point is Point.LOADED else {}
        dying.at(point, partial(dying.client.set_config, "VERIFY_AND_COMMIT", config), after)


def test_between_save_and_commit(dying: Dying) -> None:
    dying.end_talk()
    for step, point in points(
        dying.target, (Point.LOADED, Point.CONFIG_INTENT, Point.RELEASED, Point.CONFIG_CONCLUDED)
    ):
        config = config_of(changed(step), dying.target)
        after = dying.state if point is Point.LOADED else {}
        dying.at(point, partial(dying.client.set_config, "VERIFY_AND_SAVE", config), after)
    for point in (Point.LOADED, Point.CONFIG_INTENT, Point.ACTIVATED, Point.RELEASED, Point.CONFIG_CONCLUDED):
        dying.client.set_config("VERIFY_AND_SAVE", config_of(changed(9), dying.target))
        dying.state = {}
        dying.write(changes(1))
        dying.at(point, partial(dying.client.set_config, "COMMIT"), dying.state)


def test_in_a_start(dying: Dying) -> None:
    for _, point in points(dying.target, OF_STARTS):
        dying.client.close()
        dying.device.kill()
        dying.device.die_at(point)
        for _ in range(2 if point is Point.REPLAYING else 1):
            with pytest.raises(AssertionError):
                dying.device.start()
        dying.device.forget_point()
        dying.start(point, dying.state)
