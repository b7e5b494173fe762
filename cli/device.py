"""`turnout device run`: the P4Runtime server of one device."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from cli.certs import certs
from runtime.device.limits import LimitError, parse_limits
from runtime.device.listening import Address, ListenError, TcpAddress, group_id, parse_address
from runtime.device.modeltarget import ModelTarget
from runtime.device.modelwire import ModelWire
from runtime.device.portnames import NamedPort, PortNameError, PortNames, port_names, split_names
from runtime.device.rightsfile import RightsError, read_rights
from runtime.device.server import Settings, serve
from runtime.device.statefolder import Beginning, StateFolder, without_folder
from runtime.device.supervising import Supervisor
from runtime.device.target import Target, TargetError
from runtime.device.tls import Renewal, TlsError, TlsFiles

if TYPE_CHECKING:
    from runtime.device.kernel.ports import PortSpec

WRONG_USE = 2
app = typer.Typer(no_args_is_help=True, add_completion=False, help="The P4Runtime server of one device.")


class TargetKind(StrEnum):
    """What runs the pipeline."""

    KERNEL = "kernel"
    MODEL = "model"


@app.callback()
def device() -> None:
    """The P4Runtime server of one device."""


app.command()(certs)


@app.command()
def run(
    name: Annotated[str, typer.Option(help="Name of the device, for logs.")],
    listen: Annotated[list[str], typer.Option(help="unix:PATH, or HOST:PORT with --tls-cert; may be repeated.")],
    state_dir: Annotated[
        Path | None, typer.Option(help="Folder for the journal, the BPF file system and logs; the kernel needs one.")
    ] = None,
    device_id: Annotated[int, typer.Option(min=1, help="P4Runtime device id.")] = 1,
    port: Annotated[
        list[str] | None,
        typer.Option(
            help="ID=INTERFACE; behind it ,redirect or ,peer (how packets get there), ,name=NAME and ,sdn=NUMBER (what "
            "controllers call it). Of the model, whose ports have no interface, a name."
        ),
    ] = None,
    target: Annotated[TargetKind, typer.Option(help="kernel: eBPF on the ports. model: the interpreter.")] = (
        TargetKind.KERNEL
    ),
    clean: Annotated[bool, typer.Option("--clean", help="Begin with nothing, whatever the folder has.")] = False,
    ephemeral: Annotated[
        bool, typer.Option("--ephemeral", help="At the end, take everything off the ports and keep nothing.")
    ] = False,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate of the device, in PEM, for TCP.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key.")] = None,
    tls_ca: Annotated[
        Path | None, typer.Option(help="The authority that has signed the clients' certificates.")
    ] = None,
    rights: Annotated[Path | None, typer.Option(help="What each client with a certificate may do (YAML).")] = None,
    socket_group: Annotated[str | None, typer.Option(help="A group that may use the unix socket as well.")] = None,
    limit: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE, such as message-mib=64; may be repeated (docs/device.md).")
    ] = None,
    wire: Annotated[
        Path | None, typer.Option(help="model target: a unix socket by which frames come in and go out.")
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Allow TCP without TLS, on loopback only.")] = False,
) -> None:
    """Serve P4Runtime until SIGTERM or SIGINT. Prints `ready ADDRESS` once clients can connect."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    files = _tls_files(tls_cert, tls_key, tls_ca)
    try:
        addresses = _addresses(listen, insecure=insecure, tls=files is not None)
        group = None if socket_group is None else group_id(socket_group)
    except ListenError as problem:
        _refuse(problem, WRONG_USE)
    try:
        limits = parse_limits(limit or [])
    except LimitError as problem:
        _refuse(problem, WRONG_USE)
    if rights is not None and files is None:
        _refuse("--rights are those of clients with a certificate: it needs --tls-cert and the like", WRONG_USE)
    if target is TargetKind.KERNEL and wire is not None:
        _refuse("the kernel target has its ports; leave --wire out", WRONG_USE)
    if target is TargetKind.KERNEL and state_dir is None:
        _refuse("the kernel target needs --state-dir", WRONG_USE)
    split = _split_ports(port or [])
    wanted = _ports(split) if target is TargetKind.KERNEL else _no_ports(split)
    names = _port_names(split)
    try:
        settings = Settings(
            name=name,
            device_id=device_id,
            addresses=addresses,
            tls=None if files is None else Renewal(files),
            socket_group=group,
            rights=None if rights is None else read_rights(rights),
            limits=limits,
        )
        with ExitStack() as undo:
            beginning = _beginning(undo, state_dir, target, names, clean=clean, ephemeral=ephemeral)
            if state_dir is None or target is TargetKind.MODEL:
                ports = ModelWire(wire) if wire is not None else None
                made: Target = ModelTarget(hash_seed=beginning.hash_seed, wire=ports)
            else:
                made = _kernel(state_dir, wanted, ephemeral, beginning)
            undo.callback(made.close)
            supervisor = Supervisor(os.environ.get("NOTIFY_SOCKET"))
            asyncio.run(serve(settings, made, beginning, _ready, supervisor))
    except RightsError as problem:
        print(problem, file=sys.stderr)
        raise typer.Exit(WRONG_USE) from problem
    except (ListenError, TargetError, TlsError) as problem:
        _refuse(problem)


def _tls_files(cert: Path | None, key: Path | None, ca: Path | None) -> TlsFiles | None:
    if cert is None and key is None and ca is None:
        return None
    if cert is None or key is None or ca is None:
        _refuse("--tls-cert, --tls-key and --tls-ca go together: clients are asked for a certificate", WRONG_USE)
    return TlsFiles(cert=cert, key=key, ca=ca)


def _addresses(texts: list[str], *, insecure: bool, tls: bool) -> tuple[Address, ...]:
    """Raises `ListenError`."""
    if insecure and tls:
        raise ListenError("--insecure and --tls-cert exclude each other")
    addresses = tuple(parse_address(text, insecure=insecure, tls=tls) for text in texts)
    if len(set(addresses)) < len(addresses):
        raise ListenError("an address to listen on is given twice")
    if tls and not any(isinstance(address, TcpAddress) for address in addresses):
        raise ListenError("TLS is for TCP: none of the addresses is HOST:PORT")
    return addresses


def _beginning(
    undo: ExitStack, state_dir: Path | None, target: TargetKind, names: PortNames, *, clean: bool, ephemeral: bool
) -> Beginning:
    """What the folder has, which is this process's until `undo`; nothing without a folder. Raises `TargetError`."""
    if state_dir is None:
        return without_folder(names)
    if target is TargetKind.KERNEL:
        from runtime.device.kernel.target import check_rights  # not at the top: a model starts where there is no libbpf

        check_rights()
    folder = StateFolder(state_dir)
    undo.callback(folder.close)
    beginning = folder.begin(target.value, clean=clean, ports=names)
    if ephemeral:
        undo.callback(folder.forget)
    return beginning


def _split_ports(texts: list[str]) -> list[NamedPort]:
    try:
        return [split_names(text) for text in texts]
    except PortNameError as problem:
        _refuse(problem, WRONG_USE)


def _port_names(split: list[NamedPort]) -> PortNames:
    try:
        return port_names(split)
    except PortNameError as problem:
        _refuse(problem, WRONG_USE)


def _no_ports(split: list[NamedPort]) -> tuple[PortSpec, ...]:
    """Of the model, whose ports have names alone."""
    odd = next((text for text, _, _ in split if "," in text), None)
    if odd is not None:
        _refuse(f"port {odd}: the model's ports are no interfaces, they have names alone", WRONG_USE)
    return ()


def _ports(split: list[NamedPort]) -> tuple[PortSpec, ...]:
    """Read before the state directory is made. Imported here: the model target must start where there is no libbpf."""
    from runtime.device.kernel.ports import PortSyntaxError, parse_ports

    try:
        return parse_ports([text for text, _, _ in split])
    except PortSyntaxError as problem:
        _refuse(problem, WRONG_USE)


def _kernel(state_dir: Path, ports: tuple[PortSpec, ...], ephemeral: bool, beginning: Beginning) -> Target:
    from runtime.device.kernel.target import KernelTarget  # not at the top, as above

    return KernelTarget(
        state_dir=state_dir,
        ports=ports,
        ephemeral=ephemeral,
        hash_seed=beginning.hash_seed,
        is_clean=beginning.is_clean,
    )


def _ready(address: str) -> None:
    print(f"ready {address}", flush=True)


def _refuse(text: object, code: int = 1) -> NoReturn:
    print(f"turnout device: error: {text}", file=sys.stderr)
    raise typer.Exit(code)
