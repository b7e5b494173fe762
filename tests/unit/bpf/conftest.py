"""What the tests of the BPF layer share: compiled test programs, and a pair of namespaces joined by a veth."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.bpf.bpffs import mount_bpffs, unmount_bpffs
from runtime.bpf.object import Object, load
from runtime.bpf.toolchain import compile_c
from tests.unit.bpf.veth import Pair, Pinger

PROGRAMS = Path(__file__).with_name("programs")


@pytest.fixture(scope="session")
def program_elf() -> Callable[[str], bytes]:
    """The ELF of one of the test programs."""

    def compiled(name: str) -> bytes:
        source = (PROGRAMS / f"{name}.bpf.c").read_text()
        return compile_c(source, name=f"{name}.bpf.c", include_dirs=[PROGRAMS / "include"])

    return compiled


@pytest.fixture
def veth_pair() -> Iterator[Pair]:
    """Two namespaces of this test's own."""
    near, far = f"tbpf{os.getpid()}a", f"tbpf{os.getpid()}b"
    try:
        for name in (near, far):
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", near, "link", "add", "v0", "type", "veth", "peer", "name", "v0", "netns", far)
        for name, address in ((near, "10.77.0.1/24"), (far, "10.77.0.2/24")):
            _ip("-n", name, "address", "add", address, "dev", "v0")
            _ip("-n", name, "link", "set", "v0", "up")
        index = int(_ip("-n", near, "-o", "link", "show", "v0").partition(":")[0])
        yield Pair(near=near, far=far, ifindex=index)
    finally:
        for name in (near, far):
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


@pytest.fixture
def pinger(veth_pair: Pair) -> Iterator[Pinger]:
    """Pings from `near` to `far`, which has answered once."""
    made = Pinger(veth_pair.near)
    assert made.answers(3)
    yield made
    made.socket.close()


@pytest.fixture
def basics(program_elf: Callable[[str], bytes]) -> Iterator[Object]:
    """The programs of basics.bpf.c, loaded."""
    with load(program_elf("basics")) as loaded:
        yield loaded


@pytest.fixture
def pins(tmp_path: Path) -> Iterator[Path]:
    """A BPF file system of this test's own."""
    folder = tmp_path / "bpf"
    mount_bpffs(folder)
    yield folder
    unmount_bpffs(folder)


def _ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout
