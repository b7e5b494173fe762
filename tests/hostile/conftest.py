"""A device of each target that is attacked, and one behind TLS whose clients have names."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator
from functools import cache
from pathlib import Path

import pytest

from compiler.ir.nodes import Pipeline
from compiler.ir.text import from_text
from compiler.ir.verifier import check
from tests.conformance.client import Client, connecting
from tests.conformance.conftest import TARGETS
from tests.conformance.wired import WiredDevice, wired
from tests.hostile.bystander import Bystander
from tests.pipelines.controllers import TEXT

LIMITS = ("unread-s=3", "stream-rate=50000", "updates=60000")
TABLE_SIZE = 60_000
_ELECTION_IDS = itertools.count(1000, 1000)


@cache
def large_table() -> Pipeline:
    """The pipeline `controllers`, whose table takes a batch as large as there may be."""
    return check(from_text(TEXT.replace("size 1024", f"size {TABLE_SIZE}")))


@pytest.fixture(scope="session", params=TARGETS)
def attacked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[WiredDevice]:
    folder = tmp_path_factory.mktemp("attacked")
    more = [word for limit in LIMITS for word in ("--limit", limit)]
    with wired(request.param, large_table(), folder, "hos", *more) as made:
        yield made


@pytest.fixture
def connect(attacked: WiredDevice) -> Iterator[Callable[[], Client]]:
    with connecting(attacked.address) as connect:
        yield connect


@pytest.fixture
def next_id() -> int:
    """A thousand election ids, above all that a device has seen."""
    return next(_ELECTION_IDS)


@pytest.fixture
def bystander(connect: Callable[[], Client], attacked: WiredDevice, next_id: int) -> Bystander:
    """The primary of the default role; the pipeline has just been committed."""
    client = connect()
    session = client.become_primary(next_id)
    client.set_config("VERIFY_AND_COMMIT", attacked.config)
    return Bystander(client, session, attacked.wire)


def device_process(address: str) -> int:
    """The process that listens on a unix socket, by its arguments."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and address.encode() in (process / "cmdline").read_bytes().split(b"\0"):
            return int(process.name)
    raise AssertionError(f"nobody listens on {address}")
