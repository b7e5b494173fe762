"""A device for each target, as a process of its own, and clients to it."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest
from finsy.proto import p4r

from compiler.ir.nodes import Pipeline
from compiler.pipeline.assembly import pipeline as whole_pipeline
from runtime.bpf.namespaces import entered
from tests.conformance.client import Client, connecting
from tests.conformance.kernel import Topology, config_of, topology

COMMAND = (sys.executable, "-c", "from cli.main import main; main()", "device", "run")
TARGETS = [
    pytest.param("model", marks=pytest.mark.slow),
    pytest.param("kernel", marks=[pytest.mark.root, pytest.mark.slow]),
]


@dataclass(frozen=True, kw_only=True)
class Device:
    """A running device; `config` is one that its target takes."""

    target: str
    address: str
    config: p4r.ForwardingPipelineConfig
    pipeline: Pipeline
    ports: Topology | None
    """Of the kernel target."""


@pytest.fixture(scope="session", params=TARGETS)
def device(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Device]:
    folder = tmp_path_factory.mktemp("device")
    target: str = request.param
    config = config_of(whole_pipeline(), target)
    config.cookie.cookie = 77
    arguments = ["--name", "d", "--listen", f"unix:{folder}/d.sock", "--target", target]
    with topology("cfm") if target == "kernel" else nullcontext() as ports:
        if ports is not None:
            arguments += ["--state-dir", str(folder / "state"), "--ephemeral", *ports.arguments]
        with running(arguments, folder, ports.namespace if ports else None) as address:
            yield Device(target=target, address=address, config=config, pipeline=whole_pipeline(), ports=ports)


@contextmanager
def running(arguments: list[str], folder: Path, namespace: str | None = None) -> Generator[str]:
    """A `turnout device run` until the end of the block, which it must end cleanly; the address it listens on."""
    log = folder / "device.log"
    with log.open("w") as errors, entered(namespace) if namespace else nullcontext():
        process = subprocess.Popen(
            [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=errors, text=True, cwd=Path(__file__).parents[2]
        )
    assert process.stdout is not None
    with process.stdout:
        try:
            line = process.stdout.readline()
            assert line.startswith("ready "), log.read_text()
            yield line.removeprefix("ready ").strip()
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(timeout=30)
    assert code == 0, log.read_text()
    assert "Traceback" not in log.read_text()


_ELECTION_IDS = itertools.count(100, 100)


@pytest.fixture
def next_id() -> int:
    """A range of 100 election ids, above all that the device has seen."""
    return next(_ELECTION_IDS)


@pytest.fixture
def connect(device: Device) -> Iterator[Callable[[], Client]]:
    """Makes clients, which are closed at the end of the test."""
    with connecting(device.address) as connect:
        yield connect


@pytest.fixture
def primary(connect: Callable[[], Client], device: Device, next_id: int) -> Client:
    """The primary of a device whose pipeline has just been committed: every table is empty."""
    client = connect()
    client.become_primary(next_id)
    client.set_config("VERIFY_AND_COMMIT", device.config)
    return client
