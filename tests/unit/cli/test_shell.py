"""`turnout shell`: the command line that it becomes, and its refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.shell import shell_arguments
from runtime.client.channels import ClientTls


def test_the_command_line() -> None:
    tls = ClientTls(ca=Path("ca.pem"), cert=Path("me.pem"), key=Path("me.key"))
    assert shell_arguments(Path("/e/bin/python"), "unix:/run/d.sock", device_id=3, election_id="0,2", tls=tls) == [
        "/e/bin/python",
        "-P",
        "-m",
        "p4runtime_sh",
        "--grpc-addr",
        "unix:/run/d.sock",
        "--device-id",
        "3",
        "--election-id",
        "0,2",
    ]
    assert shell_arguments(Path("python"), "dpu-a:9559", device_id=1, election_id="0,2", tls=tls)[-7:] == [
        "--ssl",
        "--cacert",
        "ca.pem",
        "--cert",
        "me.pem",
        "--private-key",
        "me.key",
    ]


def test_without_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.shell.shell_environment", lambda: tmp_path / ".venv-shell")
    run = CliRunner().invoke(app, ["shell"])
    assert run.exit_code == 1
    assert run.stderr == f"turnout: error: p4runtime-shell is not in {tmp_path}/.venv-shell; ./setup puts it there\n"


def test_several_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def python(_environment: Path) -> Path:
        return Path("/e/bin/python")

    monkeypatch.setattr("cli.shell.shell_python", python)
    monkeypatch.setattr("cli.devices.SOCKETS", tmp_path)
    for name in ("dpu-b", "dpu-a"):
        (tmp_path / f"{name}.sock").touch()
    run = CliRunner().invoke(app, ["shell"])
    assert run.exit_code == 1
    assert run.stderr == "turnout: error: there are several devices, name one with --device: dpu-a, dpu-b\n"
