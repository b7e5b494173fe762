"""`turnout shell`: p4runtime-shell, from its own environment, on a device."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from cli.console import fail, say
from cli.devices import TlsCa, TlsCert, TlsKey, addresses, client_tls
from runtime.client.channels import ClientTls
from runtime.client.errors import ClientError
from runtime.client.session import Session
from runtime.doctor.shellenvironment import shell_environment, shell_python


def shell(
    device: Annotated[
        str | None, typer.Option("--device", help="NAME or ADDRESS; default: the only socket in /run/turnout.")
    ] = None,
    device_id: Annotated[int, typer.Option(min=1, help="P4Runtime device id.")] = 1,
    election_id: Annotated[
        str, typer.Option(metavar="HIGH,LOW", help="The client with the highest id writes; `turnout apply` has 0,1.")
    ] = "0,2",
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
) -> None:
    """Open an interactive P4Runtime client, not written here, on a device."""
    environment = shell_environment()
    python = shell_python(environment)
    if python is None:
        raise fail(f"p4runtime-shell is not in {environment}; ./setup puts it there")
    found = addresses([] if device is None else [device])
    if len(found) > 1:
        raise fail(f"there are several devices, name one with --device: {', '.join(sorted(found))}")
    (address,) = found.values()
    tls = client_tls(tls_ca, tls_cert, tls_key)
    _look_first(address, device_id, tls)
    arguments = shell_arguments(python, address, device_id=device_id, election_id=election_id, tls=tls)
    os.execv(arguments[0], arguments)


def _look_first(address: str, device_id: int, tls: ClientTls | None) -> None:
    """The shell itself is silent about a device without a pipeline, and long-winded about one that is not there."""
    try:
        with Session(address, device_id, tls=tls, waits=say) as session:
            if session.pipeline() is None:
                say("the device runs no pipeline yet, so the shell will have no tables; `turnout apply` loads one")
    except ClientError as error:
        raise fail(str(error)) from error


def shell_arguments(
    python: Path, address: str, *, device_id: int, election_id: str, tls: ClientTls | None
) -> list[str]:
    """The command line. -P keeps the current folder out of the shell's imports."""
    secured: list[str] = []
    if tls is not None and not address.startswith("unix:"):
        secured = ["--ssl", "--cacert", str(tls.ca), "--cert", str(tls.cert), "--private-key", str(tls.key)]
    return [
        *(str(python), "-P", "-m", "p4runtime_sh", "--grpc-addr", address),
        *("--device-id", str(device_id), "--election-id", election_id),
        *secured,
    ]
