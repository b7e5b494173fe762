"""`turnout device run`: the P4Runtime server of one device."""

from __future__ import annotations

import asyncio
import logging
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from runtime.device.listening import ListenError, parse_address
from runtime.device.modeltarget import ModelTarget
from runtime.device.server import Settings, serve
from runtime.device.target import Target, TargetError

WRONG_USE = 2
app = typer.Typer(no_args_is_help=True, add_completion=False, help="The P4Runtime server of one device.")


class TargetKind(StrEnum):
    """What runs the pipeline."""

    KERNEL = "kernel"
    MODEL = "model"


@app.callback()
def device() -> None:
    """The P4Runtime server of one device."""


@app.command()
def run(
    name: Annotated[str, typer.Option(help="Name of the device, for logs.")],
    listen: Annotated[str, typer.Option(help="unix:PATH, or HOST:PORT together with --insecure.")],
    state_dir: Annotated[Path | None, typer.Option(help="Folder for the BPF file system, locks and logs.")] = None,
    device_id: Annotated[int, typer.Option(min=1, help="P4Runtime device id.")] = 1,
    port: Annotated[
        list[str] | None,
        typer.Option(help="ID=INTERFACE, or ID=INTERFACE,redirect or ,peer to choose how packets get there."),
    ] = None,
    target: Annotated[TargetKind, typer.Option(help="kernel: eBPF on the ports. model: the interpreter.")] = (
        TargetKind.KERNEL
    ),
    ephemeral: Annotated[bool, typer.Option("--ephemeral", help="Take everything off the ports at the end.")] = False,
    insecure: Annotated[bool, typer.Option("--insecure", help="Allow TCP without TLS, on loopback only.")] = False,
) -> None:
    """Serve P4Runtime until SIGTERM or SIGINT. Prints `ready ADDRESS` once clients can connect."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        address = parse_address(listen, insecure=insecure)
    except ListenError as problem:
        _refuse(problem, WRONG_USE)
    if target is TargetKind.MODEL and port:
        _refuse("the model target has no ports; leave --port out", WRONG_USE)
    if target is TargetKind.KERNEL and state_dir is None:
        _refuse("the kernel target needs --state-dir", WRONG_USE)
    try:
        made = ModelTarget() if target is TargetKind.MODEL or state_dir is None else _kernel(state_dir, port, ephemeral)
        try:
            asyncio.run(serve(Settings(name=name, device_id=device_id, address=address), made, _ready))
        finally:
            made.close()
    except (ListenError, TargetError) as problem:
        _refuse(problem)


def _kernel(state_dir: Path, ports: list[str] | None, ephemeral: bool) -> Target:
    """The kernel target. Imported here: the model target must start where there is no libbpf."""
    from runtime.device.kernel.ports import PortSyntaxError, parse_ports
    from runtime.device.kernel.target import KernelTarget

    try:
        wanted = parse_ports(ports or [])
    except PortSyntaxError as problem:
        _refuse(problem, WRONG_USE)
    return KernelTarget(state_dir=state_dir, ports=wanted, ephemeral=ephemeral)


def _ready(address: str) -> None:
    print(f"ready {address}", flush=True)


def _refuse(text: object, code: int = 1) -> NoReturn:
    print(f"turnout device: error: {text}", file=sys.stderr)
    raise typer.Exit(code)
