"""A service moves between two sets of backends, in batches of DATAPLANE_ATOMIC, while clients connect to it.

Whatever the service does not use leads to a trap, on every level: the other id's entry to another group, the other
group to another member, the other members to another address. So whoever meets half of a batch lands there.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import subprocess
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from finsy.proto import p4r

from compiler.pipeline.assembly import pipeline
from runtime.bpf.namespaces import entered
from tests.conformance.client import Client, update
from tests.conformance.conftest import Device
from tests.conformance.kernel import ADDRESS, Topology, config_of, topology
from tests.conformance.killing import Killable
from tests.conformance.talking import echoing
from tests.conformance.test_atomicity import BACKEND, MEMBER, ROUTE, TO_GROUP, group
from tests.conformance.test_traffic import BACKEND as BACKEND_PORT
from tests.conformance.test_traffic import CLIENT, SERVICE, TARGET_PORT, VIP, VIP_PORT, write_with_finsy

pytestmark = [pytest.mark.root, pytest.mark.slow]
BATCHES, CONNECTIONS = 1000, 200
REST = 20
"""After so many batches there is none until somebody has connected."""
PATIENCE_S, PAUSE_S = 30.0, 0.003
SETS = {1: (17, 27), 2: (18, 28)}
"""By service id, the last bytes of its backends' addresses."""
TRAP, TRAP_GROUP, TRAP_MEMBER = 19, 10, 9
NAMES = {ADDRESS.format(last): str(chosen) for chosen, lasts in SETS.items() for last in lasts}


def _name(connection: socket.socket, question: bytes) -> bytes:
    return NAMES.get(connection.getsockname()[0], "trap").encode() + b" " + question


def _members(chosen: int, *, is_used: bool) -> list[str]:
    first = 2 * chosen
    return [MEMBER % (first + at, last if is_used else TRAP) for at, last in enumerate(SETS[chosen])]


def _group(chosen: int, *, is_used: bool) -> str:
    return group(TRAP_GROUP + chosen, *(((2 * chosen, 1), (2 * chosen + 1, 1)) if is_used else ((TRAP_MEMBER, 1),)))


def _backend(chosen: int, *, is_used: bool) -> str:
    return BACKEND % (chosen, TO_GROUP % (TRAP_GROUP + (chosen if is_used else 0)))


class Moves:
    """The batches; where the service was before and after each is for others to read."""

    def __init__(self, client: Client) -> None:
        self._client = client
        (self._service,) = client.read(f"table_entry {{ table_id: {SERVICE} }}")
        self.begun = self.done = 0
        client.write(
            *(f"INSERT {text}" for text in _members(2, is_used=False)),
            *(f"INSERT {text}" for text in (*_members(1, is_used=True), MEMBER % (TRAP_MEMBER, TRAP))),
            f"INSERT {group(TRAP_GROUP, (TRAP_MEMBER, 1))}",
            f"INSERT {_group(2, is_used=False)}",
            f"INSERT {_group(1, is_used=True)}",
            f"MODIFY {_backend(1, is_used=True)}",
            f"INSERT {_backend(2, is_used=False)}",
            f"INSERT {ROUTE % (24, BACKEND_PORT)}",
        )

    @staticmethod
    def place_after(batches: int) -> int:
        """The service's id, which says where it is."""
        return 1 + batches % 2

    def updates(self, used: int, other: int) -> list[p4r.Update]:
        """What brings the service from one place to the other."""
        texts = [_backend(used, is_used=True), _backend(other, is_used=False)]
        texts += [_group(used, is_used=True), _group(other, is_used=False)]
        texts += _members(used, is_used=True) + _members(other, is_used=False)
        service = p4r.Update(type=p4r.Update.MODIFY, entity=self._service)
        service.entity.table_entry.action.action.params[0].value = bytes([used])
        return [service, *(update(f"MODIFY {text}") for text in texts)]

    def write(self, updates: list[p4r.Update]) -> None:
        atomic = p4r.WriteRequest.DATAPLANE_ATOMIC
        self._client.write_request(p4r.WriteRequest(device_id=1, updates=updates, atomicity=atomic))

    def next(self) -> None:
        self.begun += 1
        used = self.place_after(self.begun)
        self.write(self.updates(used, 3 - used))
        self.done = self.begun


class Caller:
    """Connects, asks twice, ends the connection, and again; `wrong` is the first thing that must not be."""

    def __init__(self, namespace: str, moves: Moves) -> None:
        self._namespace, self._moves, self._is_ending = namespace, moves, False
        self.count = self.certain = 0
        """Connections, and those of which no batch was under way."""
        self.wrong: str | OSError | None = None
        self._thread = threading.Thread(target=self._call, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._is_ending = True
        self._thread.join()

    def _call(self) -> None:
        with entered(self._namespace):
            while not self._is_ending and self.wrong is None:
                try:
                    self.wrong = self._connect()
                except OSError as problem:
                    self.wrong = problem
                time.sleep(PAUSE_S)

    def _connect(self) -> str | None:
        before = self._moves.done
        with connected() as one:
            first = asked(one, "first")
            after = self._moves.begun
            answers = (first, asked(one, "second"))
        self.count += 1
        if before == after:
            self.certain += 1
            expected = {str(Moves.place_after(before))}
        else:
            expected = set(map(str, SETS))
        right = {(f"{place} first", f"{place} second") for place in expected}
        return None if answers in right else f"connection {self.count}, batches {before} to {after}: {answers}"


@contextmanager
def connected() -> Generator[socket.socket]:
    """To the service, from the namespace that the thread is in."""
    with socket.create_connection((VIP, VIP_PORT), timeout=PATIENCE_S) as one:
        yield one


def let_connect(callers: list[Caller]) -> None:
    seen = sum(caller.certain for caller in callers)
    while sum(caller.certain for caller in callers) == seen and not any(caller.wrong for caller in callers):
        time.sleep(PAUSE_S)


def asked(one: socket.socket, question: str) -> str:
    one.sendall(question.encode())
    return one.recv(100).decode()


@pytest.fixture
def ports() -> Iterator[Topology]:
    with topology("cfv") as made:
        namespace = made.behind(BACKEND_PORT)
        for last in (*itertools.chain.from_iterable(SETS.values()), TRAP):
            if last != BACKEND_PORT:
                address = f"{ADDRESS.format(last)}/24"
                subprocess.run(["ip", "-n", namespace, "address", "add", address, "dev", "eth0"], check=True)
        yield made


@pytest.fixture
def moves(ports: Topology, tmp_path: Path) -> Iterator[Moves]:
    """A device in a process of its own, with the service at its first place."""
    with ExitStack() as stack:
        device = stack.enter_context(Killable(tmp_path, ports))
        device.start()
        stack.enter_context(echoing(ports.behind(BACKEND_PORT), TARGET_PORT, _name))
        config = config_of(pipeline(), "kernel")
        made = Device(target="kernel", address=device.address, config=config, pipeline=pipeline(), ports=ports)
        asyncio.run(write_with_finsy(made, 10, tmp_path))
        client = device.primary(100)
        yield Moves(client)
        client.close()
        assert "Traceback" not in device.said


def test_connections_reach_one_set(moves: Moves, ports: Topology) -> None:
    namespace = ports.behind(CLIENT)
    callers = [Caller(namespace, moves) for _ in range(2)]
    with entered(namespace), ExitStack() as stack:
        standing = [(stack.enter_context(connected()), {"1"})]
        while moves.done < BATCHES or sum(caller.count for caller in callers) < CONNECTIONS:
            moves.next()
            if moves.done in (1, 2, 3):
                standing.append((stack.enter_context(connected()), {str(Moves.place_after(moves.done))}))
            if moves.done % REST == 0:
                let_connect(callers)
            if any(caller.wrong for caller in callers):
                break
        for caller in callers:
            caller.end()
            assert caller.wrong is None
        for one, places in standing:  # they stay where they were when they began
            assert {asked(one, "still").partition(" ")[0]} == places
    opened, certain = sum(caller.count for caller in callers), sum(caller.certain for caller in callers)
    print(f"{moves.done} batches, {opened} connections, {certain} of them with none under way")


def test_half_a_batch_would_be_seen(moves: Moves, ports: Topology) -> None:
    whole = moves.updates(2, 1)
    with entered(ports.behind(CLIENT)):
        for count in (1, 3, 5):
            moves.write(whole[:count])
            with connected() as one:
                assert asked(one, "where") == "trap where"
        moves.write(whole[5:])
        with connected() as one:
            assert asked(one, "where") == "2 where"
