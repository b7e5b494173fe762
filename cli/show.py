"""`turnout show`: what devices hold and have counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated

import typer

from cli.console import Output, fail, print_rows
from cli.devices import addresses
from compiler.pipeline.assembly import pipeline
from runtime.client import inventory
from runtime.client.applying import runs
from runtime.client.errors import ClientError
from runtime.client.inventory import Inventory, Record
from runtime.client.session import Session

app = typer.Typer(help="Show what devices hold and have counted.", no_args_is_help=True)

DeviceOption = Annotated[
    list[str] | None,
    typer.Option("--device", help="NAME, ADDRESS or NAME=ADDRESS; default: every socket in /run/turnout."),
]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to print.")]


def _show(
    devices: list[str] | None, output: Output, columns: Sequence[str], read: Callable[[Inventory], Iterable[Record]]
) -> None:
    records: list[Record] = []
    try:
        for name, address in addresses(devices or ()).items():
            with Session(address) as session:
                _check_pipeline(name, session)
                records.extend(read(Inventory(name, session, pipeline())))
    except ClientError as error:
        raise fail(str(error)) from error
    print_rows(columns, records, output)


def _check_pipeline(name: str, session: Session) -> None:
    running = session.pipeline()
    if running is None:
        raise fail(f"device '{name}' runs no pipeline yet; `turnout apply` loads one")
    if not runs(running, pipeline()):
        raise fail(f"device '{name}' runs another pipeline ({running.p4info.pkg_info.name or 'without a name'})")


@app.command()
def services(device: DeviceOption = None, output: OutputOption = Output.TABLE) -> None:
    """Services with their backends, connections, packets and bytes."""
    _show(device, output, inventory.SERVICE_COLUMNS, Inventory.services)


@app.command()
def flows(device: DeviceOption = None, output: OutputOption = Output.TABLE) -> None:
    """Known connections to services."""
    _show(device, output, inventory.FLOW_COLUMNS, Inventory.flows)


@app.command()
def tables(device: DeviceOption = None, output: OutputOption = Output.TABLE) -> None:
    """Tables, how many entries they hold and how many they can hold."""
    _show(device, output, inventory.TABLE_COLUMNS, Inventory.tables)


@app.command()
def ports(device: DeviceOption = None, output: OutputOption = Output.TABLE) -> None:
    """Ports, what they lead to, and what came in by them."""
    _show(device, output, inventory.PORT_COLUMNS, Inventory.ports)


@app.command()
def drops(device: DeviceOption = None, output: OutputOption = Output.TABLE) -> None:
    """Dropped packets, by reason."""
    _show(device, output, inventory.DROP_COLUMNS, Inventory.drops)
