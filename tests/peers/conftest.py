"""What tests with foreign clients share: the pipeline as files, p4runtime-shell's Python, devices and shells."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from google.protobuf import text_format

from compiler.pipeline.assembly import pipeline
from compiler.printers.bundle import write_bundle
from compiler.printers.p4info import p4info
from runtime.doctor.shellenvironment import shell_environment, shell_python
from tests.peers.processes import PacketDevice, model_device, packet_device
from tests.peers.shellclient import Shell, opened

Files = tuple[Path, Path]
OpenShell = Callable[[str], AbstractContextManager[Shell]]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """P4Info as text, and a bundle without eBPF."""
    folder = tmp_path_factory.mktemp("pipeline")
    info, bundle = folder / "turnout.p4info.txtpb", folder / "turnout.bundle"
    info.write_text(text_format.MessageToString(p4info(pipeline())))
    bundle.write_bytes(write_bundle(pipeline()))
    return info, bundle


@pytest.fixture(scope="session")
def python_of_shell() -> Path:
    python = shell_python(shell_environment())
    if python is None:
        pytest.skip(f"p4runtime-shell is not in {shell_environment()}; ./setup puts it there")
    return python


@pytest.fixture
def shell_home(tmp_path: Path) -> dict[str, str]:
    """Environment of a shell on a terminal: a home for its history, and no questions to the terminal."""
    return {"HOME": str(tmp_path), "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}


@pytest.fixture(scope="session")
def open_shell(python_of_shell: Path, tmp_path_factory: pytest.TempPathFactory) -> OpenShell:
    """Opens a shell to an address; it is not connected yet."""

    def open_to(address: str) -> AbstractContextManager[Shell]:
        return opened(python_of_shell, address, tmp_path_factory.mktemp("shell"))

    return open_to


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Generator[PacketDevice]:
    with packet_device(tmp_path_factory.mktemp("device")) as running:
        yield running


@pytest.fixture
def model_address(tmp_path: Path) -> Generator[str]:
    with model_device(tmp_path) as address:
        yield address


@pytest.fixture(scope="module")
def shell_process(device: PacketDevice, open_shell: OpenShell) -> Generator[Shell]:
    with open_shell(device.address) as shell:
        yield shell


_ELECTION_IDS = itertools.count(10, 10)


@pytest.fixture
def next_election_id() -> int:
    """Above all that a device has seen, with nine free ones on either side."""
    return next(_ELECTION_IDS)


@pytest.fixture
def shell(shell_process: Shell, files: Files, next_election_id: int) -> Generator[Shell]:
    """Primary on `device`, which has the pipeline and nothing in its tables."""
    shell_process.connect(next_election_id, config=files)
    yield shell_process
    if shell_process.is_connected:
        shell_process.disconnect()
