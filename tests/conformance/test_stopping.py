"""A device that is told to end (SIGTERM) in the midst of its work: it ends at once and well, and the next goes on.

What it had acknowledged is there again, whoever waits hears that it is gone, and packets pass while it is down.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from finsy.proto import p4r

from runtime.device.server import GRACE_S
from tests.conformance.client import Client, RpcRefusedError
from tests.conformance.conftest import TARGETS
from tests.conformance.kernel import Topology, config_of
from tests.conformance.killing import Killable
from tests.conformance.serving import ports_of, serving, talking
from tests.conformance.talking import Talk
from tests.conformance.test_failing import changed, request_for
from tests.conformance.writing import State, Writing, held

ROUNDS = 6
LONGEST_S = 0.25
LARGE = 30_000
"""Updates of a batch that is under way for a while."""
SLOW = 20_000
"""Entries of a kilobyte: more than what lies in the buffers of a connection."""
ENDED = {"UNAVAILABLE", "CANCELLED"}
"""What an RPC may hear that was under way: gRPC cancels those that are not over after the device's grace."""


@pytest.fixture(params=TARGETS)
def ports(request: pytest.FixtureRequest) -> Iterator[Topology | None]:
    with ports_of(request.param, "cfx") as made:
        yield made


@pytest.fixture
def device(ports: Topology | None, tmp_path: Path) -> Iterator[Killable]:
    """Running, with a pipeline; in the kernel with a service and a backend that echoes, too."""
    with serving(tmp_path, ports) as made:
        yield made


@pytest.fixture
def talk(device: Killable, ports: Topology | None) -> Iterator[Talk | None]:
    del device
    with talking(ports) as made:
        yield made
    assert made is None or made.longest_s < 1.0


class Asking:
    """One RPC in a thread; what it ended with."""

    def __init__(self, ask: Callable[[], object]) -> None:
        self.refusal: RpcRefusedError | None = None
        self._ask = ask
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def ended(self) -> RpcRefusedError | None:
        self._thread.join(timeout=30)
        assert not self._thread.is_alive()
        return self.refusal

    def _run(self) -> None:
        try:
            self._ask()
        except RpcRefusedError as refusal:
            self.refusal = refusal


def ends(device: Killable) -> float:
    """It does, with exit code 0; how long that took."""
    begun = time.monotonic()
    device.end()
    return time.monotonic() - begun


def goes_on(device: Killable, ports: Topology | None, talk: Talk | None) -> None:
    """Packets pass without a device; the next one finds what it has to, and mends nothing."""
    if talk is not None:
        assert talk.goes_on()
        assert (device.state / "bpf" / "dispatch_tc").exists()
    device.start()
    assert "Traceback" not in device.said
    assert "found otherwise" not in device.said
    assert "damaged" not in device.said
    if ports is not None:
        assert "goes on with it" in device.said


def test_in_the_midst_of_small_batches(device: Killable, ports: Topology | None, talk: Talk | None) -> None:
    rng, state, batches = random.Random(4), State(), 0
    for round_ in range(ROUNDS):
        client = device.primary(100 + round_)
        stream = client.become_primary(100 + round_, role="watcher")
        writing = Writing(client, rng, state)
        time.sleep(rng.uniform(0, LONGEST_S))
        assert ends(device) < GRACE_S + 3
        writing.end()
        with pytest.raises(RpcRefusedError) as told:
            stream.wait_for_end(unless=("arbitration",))
        assert (told.value.code, told.value.text) == ("UNAVAILABLE", "the device ends")
        client.close()
        goes_on(device, ports, talk)
        reader = Client(device.address)
        state = held(reader)
        reader.close()
        assert state in (writing.acknowledged, writing.pending), f"after {writing.batches} batches of round {round_}"
        batches += writing.batches
    assert batches > ROUNDS


@pytest.mark.parametrize("atomicity", ["DATAPLANE_ATOMIC", "CONTINUE_ON_ERROR"])
def test_in_the_midst_of_a_large_batch(
    device: Killable, ports: Topology | None, talk: Talk | None, atomicity: str
) -> None:
    """It is brought to its end, all of it, whether its client hears of that or not."""
    client = device.primary(100)
    wanted: State = {("arp", number): (number,) for number in range(LARGE)}
    request = request_for(wanted, {}, p4r.WriteRequest.Atomicity.Value(atomicity))
    writing = Asking(lambda: client.write_request(request))
    wait_for_write(device)
    device.end()
    refusal = writing.ended()
    assert refusal is None or refusal.code in ENDED
    client.close()
    goes_on(device, ports, talk)
    reader = Client(device.address)
    assert held(reader) == wanted
    reader.close()


def wait_for_write(device: Killable) -> None:
    """Until the journal has the intent."""
    deadline = time.monotonic() + 20
    before = journal_bytes(device)
    while journal_bytes(device) - before < LARGE:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def journal_bytes(device: Killable) -> int:
    return sum(path.stat().st_size for path in (device.state / "journal").glob("*.log"))


def test_in_the_midst_of_a_pipeline(device: Killable, ports: Topology | None, talk: Talk | None) -> None:
    """It is the old one or the new one afterwards, with all entries; clients hear which when they ask again."""
    client = device.primary(100)
    wanted: State = {("arp", number): (number,) for number in range(300)}
    client.write_request(request_for(wanted, {}, p4r.WriteRequest.CONTINUE_ON_ERROR))
    old = client.get_config().config
    new = config_of(changed(1), "model" if ports is None else "kernel")
    setting = Asking(lambda: client.set_config("RECONCILE_AND_COMMIT", new))
    time.sleep(0.15)
    device.end()
    refusal = setting.ended()
    assert refusal is None or refusal.code in ENDED
    client.close()
    goes_on(device, ports, talk)
    reader = Client(device.address)
    assert reader.get_config().config in ((new,) if refusal is None else (old, new))
    assert held(reader) == wanted
    reader.close()


def test_while_somebody_reads_slowly(device: Killable, ports: Topology | None, talk: Talk | None) -> None:
    """A reader that takes nothing holds nobody up."""
    client = device.primary(100)
    for first in range(0, SLOW, 1000):
        part: State = {("arp", number): (number,) for number in range(first, first + 1000)}
        request = request_for(part, {}, p4r.WriteRequest.CONTINUE_ON_ERROR)
        for update in request.updates:
            update.entity.table_entry.metadata = bytes(1000)
        client.write_request(request)
    pieces = iter(client.read_pieces("table_entry { }"))
    assert next(pieces)
    assert ends(device) < GRACE_S + 3
    with pytest.raises(RpcRefusedError) as told:
        list(pieces)
    assert told.value.code in ENDED
    client.close()
    goes_on(device, ports, talk)
