"""`turnout device run` as a process: how it starts, what it refuses, what it leaves, and interfaces that come and go."""

# ruff: noqa: E501  a row of a table is one line

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from finsy.proto import p4r
from typer.testing import CliRunner

from cli.device import app
from compiler.pipeline.assembly import pipeline
from compiler.printers.bundle import write_bundle
from compiler.printers.ebpf.printing import INCLUDE
from runtime.bpf.attach import attached
from runtime.bpf.namespaces import entered
from runtime.bpf.toolchain import compile_c
from tests.conformance.client import Client, RpcRefusedError
from tests.conformance.conftest import COMMAND, running
from tests.conformance.kernel import Topology, config_of, topology

ROOT = Path(__file__).parents[2]
PORT = r'table_entry { table_id: 0x02000001 match { field_id: 1 exact { value: "\001" } } match { field_id: 2 exact { value: "\000" } } action { action { action_id: 0x01000003 } } }'
REFUSED = """
#define TURNOUT_TC
#include "turnout/bpf.h"
SEC("tc") int turnout_tc(struct __sk_buff *ctx) { return *(volatile u32 *)(u64)ctx->data; }
"""


def refused(*arguments: str) -> tuple[int, str]:
    """Exit code and last line of stderr of a run that ends by itself."""
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--listen", "tcp"], "an address is unix:PATH or HOST:PORT, not 'tcp'"),
        (["--listen", "127.0.0.1:9559"], "TCP to 127.0.0.1:9559 would be without TLS: give --tls-cert and the like, use unix:PATH, or --insecure on loopback"),
        (["--listen", "unix:x.sock"], "the kernel target needs --state-dir"),
        (["--listen", "unix:x.sock", "--state-dir", "s", "--port", "1"], "a port is ID=INTERFACE, ID=INTERFACE,redirect or ID=INTERFACE,peer, not '1'"),
        (["--listen", "unix:x.sock", "--state-dir", "s", "--port", "1=a", "--port", "1=b"], "port 1 is given twice"),
        (["--listen", "unix:x.sock", "--target", "model", "--port", "1=a,redirect"], "port 1=a,redirect: the model's ports are no interfaces, they have names alone"),
    ],
)  # fmt: skip
def test_wrong_use(arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["run", "--name", "d", *arguments])
    assert (result.exit_code, result.stderr) == (2, f"turnout device: error: {words}\n")
    assert not list(tmp_path.iterdir())


def test_without_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    arguments = ["--name", "d", "--listen", f"unix:{tmp_path}/d.sock", "--state-dir", str(tmp_path / "s")]
    result = CliRunner().invoke(app, ["run", *arguments])
    words = "the kernel target needs root (BPF and network administration); run it with sudo"
    assert (result.exit_code, result.stderr) == (1, f"turnout device: error: {words}\n")
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
def test_a_socket_that_another_device_uses(tmp_path: Path) -> None:
    arguments = ["--name", "d", "--listen", f"unix:{tmp_path}/d.sock", "--target", "model"]
    with running(arguments, tmp_path) as address:
        words = f"turnout device: error: {tmp_path}/d.sock is in use: another device listens on it"
        assert refused(*arguments) == (1, words)
        assert (tmp_path / "d.sock").stat().st_mode & 0o777 == 0o600
        client = Client(address)
        client.become_primary(1)
        client.close()
    assert not (tmp_path / "d.sock").exists()


@pytest.mark.slow
def test_tcp_on_loopback(tmp_path: Path) -> None:
    arguments = ["--name", "d", "--listen", "127.0.0.1:0", "--target", "model", "--insecure"]
    with running(arguments, tmp_path) as address:
        assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d*", address)
        client = Client(address)
        client.become_primary(1)
        client.close()
        busy = refused("--name", "d", "--listen", address, "--target", "model", "--insecure")
        assert busy[0] == 1
        assert busy[1].startswith(f"turnout device: error: cannot listen on {address}: ")


def test_a_port_that_something_else_has(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, words = refused("--name", "d", "--listen", address, "--target", "model", "--insecure")
        assert (code, words.startswith(f"turnout device: error: cannot listen on {address}: ")) == (1, True)


class Kernel:
    """Arguments of a kernel device in a namespace with ports; the log of the last run."""

    def __init__(self, folder: Path, ports: Topology) -> None:
        self.namespace, self.ports = ports.namespace, ports
        self.folder = folder
        self.state = folder / "state"
        self.arguments = [
            "--name",
            "d",
            "--listen",
            f"unix:{folder}/d.sock",
            "--state-dir",
            str(self.state),
            *ports.arguments,
        ]

    @property
    def log(self) -> str:
        return (self.folder / "device.log").read_text()

    def refused(self, *more: str) -> tuple[int, str]:
        with entered(self.namespace):
            return refused(*self.arguments, *more)

    def programs(self, interface: str) -> list[str]:
        with entered(self.namespace):
            return [found.program_name for found in attached(socket.if_nametoindex(interface))]

    def logged(self, words: str) -> bool:
        """Whether the log says so within some seconds."""
        deadline = time.monotonic() + 10
        while words not in self.log:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with topology("cfn") as ports:
        made = Kernel(tmp_path, ports)
        yield made
        subprocess.run(["umount", "-l", str(made.state / "bpf")], capture_output=True, check=False)


@pytest.fixture
def config() -> p4r.ForwardingPipelineConfig:
    return config_of(pipeline(), "kernel")


DISPATCHER = "turnout_dispatc"


@pytest.mark.root
@pytest.mark.slow
def test_ephemeral_leaves_nothing(kernel: Kernel) -> None:
    with running([*kernel.arguments, "--ephemeral"], kernel.folder, kernel.namespace):
        assert [kernel.programs(name) for name in ("up1", "rep16")] == [[DISPATCHER]] * 2
        assert "an earlier run" not in kernel.log
        assert "port 16 is rep16 (peer)" in kernel.log
        assert "port 1 is up1 (redirect)" in kernel.log
    assert [kernel.programs(name) for name in ("up1", "rep16")] == [[], []]
    assert not (kernel.state / "bpf").is_mount()


@pytest.mark.root
@pytest.mark.slow
def test_the_pipeline_outlives_its_device(kernel: Kernel, config: p4r.ForwardingPipelineConfig) -> None:
    with running(kernel.arguments, kernel.folder, kernel.namespace) as address:
        client = Client(address)
        client.become_primary(1)
        client.set_config("VERIFY_AND_COMMIT", config)
        client.close()
    assert kernel.programs("rep16") == [DISPATCHER]
    assert {pin.name for pin in (kernel.state / "bpf").iterdir() if "." not in pin.name} == {
        "dispatch_tc",
        "dispatch_whole",
        "egress",
        "pipeline_1",
        "port_1",
        "port_16",
        "port_17",
        "port_of_ifindex",
        "port_of_other_ifindex",
    }
    with running([*kernel.arguments, "--ephemeral"], kernel.folder, kernel.namespace):
        assert "pipeline turnout has 0 entries, 0 members, 0 groups of the journal" in kernel.log
        assert kernel.programs("rep16") == [DISPATCHER]
    assert kernel.programs("rep16") == []
    assert not (kernel.state / "bpf").is_mount()


@pytest.mark.root
@pytest.mark.slow
def test_what_the_kernel_target_refuses(kernel: Kernel) -> None:
    code, words = kernel.refused("--port", "30=nothere")
    assert (code, words) == (1, "turnout device: error: port 30: there is no interface nothere")
    subprocess.run(["ip", "-n", kernel.namespace, "link", "set", "rep17", "down"], check=True)
    code, words = kernel.refused()
    down = "turnout device: error: port 17: interface rep17 is down (ip link set rep17 up)"
    assert (code, words) == (1, down)
    assert kernel.programs("up1") == []
    subprocess.run(["ip", "-n", kernel.namespace, "link", "set", "rep17", "up"], check=True)
    with running([*kernel.arguments, "--ephemeral"], kernel.folder, kernel.namespace):
        other = [f"unix:{kernel.folder}/other.sock" if a.startswith("unix:") else a for a in kernel.arguments]
        with entered(kernel.namespace):
            busy = refused(*other)
        words = f"turnout device: error: state directory {kernel.state} is in use: another device runs with it"
        assert busy == (1, words)
        assert kernel.programs("up1") == [DISPATCHER]


@pytest.mark.root
@pytest.mark.slow
def test_a_lost_interface_is_taken_up_again(kernel: Kernel) -> None:
    with running([*kernel.arguments, "--ephemeral"], kernel.folder, kernel.namespace) as address:
        subprocess.run(["ip", "-n", kernel.namespace, "link", "del", "rep17"], check=True)
        assert kernel.logged("port 17 has lost its interface rep17")
        client = Client(address)
        client.become_primary(1)
        client.close()
        make = ["ip", "link", "add", "rep17", "netns", kernel.namespace, "type", "veth", "peer", "name", "eth0"]
        subprocess.run([*make, "netns", kernel.ports.behind(17)], check=True)
        subprocess.run(["ip", "-n", kernel.namespace, "link", "set", "rep17", "up"], check=True)
        assert kernel.logged("port 17 has its interface rep17 again")
        assert kernel.programs("rep17") == [DISPATCHER]


@pytest.mark.root
@pytest.mark.slow
def test_a_program_that_the_verifier_refuses(kernel: Kernel, config: p4r.ForwardingPipelineConfig) -> None:
    elf = compile_c(REFUSED, name="refused.bpf.c", include_dirs=[INCLUDE])
    wrong = p4r.ForwardingPipelineConfig(p4info=config.p4info, p4_device_config=write_bundle(pipeline(), tc=elf))
    with running([*kernel.arguments, "--ephemeral"], kernel.folder, kernel.namespace) as address:
        client = Client(address)
        client.become_primary(1)
        client.set_config("VERIFY_AND_COMMIT", config)
        client.write(f"INSERT {PORT}")
        with pytest.raises(RpcRefusedError) as error:
            client.set_config("VERIFY_AND_COMMIT", wrong)
        assert error.value.code == "INVALID_ARGUMENT"
        found = re.search(
            r"the kernel refused program 'turnout_tc' \(EACCES\): (.*); whole log: (\S+)$", error.value.text
        )
        assert found is not None, error.value.text
        assert found[1].startswith("R1 offset is outside of the packet (at refused.bpf.c:4: `SEC")
        assert Path(found[2]).parent == kernel.state / "verifier"
        assert Path(found[2]).read_text()
        assert len(client.read("table_entry { }")) == 1
        assert client.get_config().config == config
        client.close()
