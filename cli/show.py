"""`turnout show`: what devices hold and have counted, and what has become of images and their volumes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from cli.console import Output, fail, print_rows, say
from cli.devices import TlsCa, TlsCert, TlsKey, addresses, client_tls
from cli.showdevice import show_devices
from cli.showimages import images_command
from cli.showvolumes import volumes_command
from compiler.ir.nodes import Pipeline
from compiler.pipeline.assembly import pipeline
from runtime.client import inventory
from runtime.client.applying import run_as
from runtime.client.channels import ClientTls
from runtime.client.errors import ClientError
from runtime.client.inventory import Inventory, Record
from runtime.client.session import Session

app = typer.Typer(help="Show what devices hold and have counted, and what has become of images.", no_args_is_help=True)

DeviceOption = Annotated[
    list[str] | None,
    typer.Option("--device", help="NAME, ADDRESS or NAME=ADDRESS; default: every socket in /run/turnout."),
]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to print.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One thing to show, and the command of its name."""

    name: str
    columns: Sequence[str]
    read: Callable[[Inventory], Iterable[Record]]
    doc: str


_PARTS = (
    _Part(
        name="services",
        columns=inventory.SERVICE_COLUMNS,
        read=Inventory.services,
        doc="Services with their backends, connections, packets and bytes.",
    ),
    _Part(
        name="backends",
        columns=inventory.BACKEND_COLUMNS,
        read=Inventory.backends,
        doc="Backends of services with algorithm LeastConnections, and the connections that are open to each.",
    ),
    _Part(
        name="ranges",
        columns=inventory.RANGE_COLUMNS,
        read=Inventory.ranges,
        doc="Clients outside that services let in or do not, by their ranges, and the new connections of each.",
    ),
    _Part(name="flows", columns=inventory.FLOW_COLUMNS, read=Inventory.flows, doc="Known connections to services."),
    _Part(
        name="redirects",
        columns=inventory.REDIRECT_COLUMNS,
        read=Inventory.redirects,
        doc="Rules of mesh redirects, and the new connections that each has decided.",
    ),
    _Part(
        name="policies",
        columns=inventory.POLICY_COLUMNS,
        read=Inventory.policies,
        doc="What NetworkPolicies of workloads allow, and the new connections of each.",
    ),
    _Part(
        name="limits",
        columns=inventory.LIMIT_COLUMNS,
        read=Inventory.limits,
        doc="Workloads whose new connections through a proxy are limited, and how many went to it and were dropped.",
    ),
    _Part(
        name="portals",
        columns=inventory.PORTAL_COLUMNS,
        read=Inventory.portals,
        doc="Portals and registries of storage: targets, class, rate, connections, packets and bytes.",
    ),
    _Part(
        name="tables",
        columns=inventory.TABLE_COLUMNS,
        read=Inventory.tables,
        doc="Tables, how many entries they hold and how many they can hold.",
    ),
    _Part(
        name="ports",
        columns=inventory.PORT_COLUMNS,
        read=Inventory.ports,
        doc="Ports, what they lead to, and what came in by them.",
    ),
    _Part(name="drops", columns=inventory.DROP_COLUMNS, read=Inventory.drops, doc="Dropped packets, by reason."),
)


def _show(part: _Part, devices: Mapping[str, str], tls: ClientTls | None, output: Output) -> None:
    records: list[Record] = []
    try:
        for name, address in devices.items():
            with Session(address, tls=tls, waits=say) as session:
                records.extend(part.read(Inventory(name, session, _pipeline_of(name, session))))
    except ClientError as error:
        raise fail(str(error)) from error
    print_rows(part.columns, records, output)


def _pipeline_of(name: str, session: Session) -> Pipeline:
    running = session.pipeline()
    if running is None:
        raise fail(f"device '{name}' runs no pipeline yet; `turnout apply` loads one")
    found = run_as(running, pipeline())
    if found is None:
        raise fail(f"device '{name}' runs another pipeline ({running.p4info.pkg_info.name or 'without a name'})")
    return found


def _add_command(part: _Part) -> None:
    @app.command(part.name, help=part.doc)
    def command(
        device: DeviceOption = None,
        output: OutputOption = Output.TABLE,
        tls_ca: TlsCa = None,
        tls_cert: TlsCert = None,
        tls_key: TlsKey = None,
    ) -> None:
        _show(part, addresses(device or ()), client_tls(tls_ca, tls_cert, tls_key), output)

    del command


for _part in _PARTS:
    _add_command(_part)


@app.command("device")
def device_command(
    device: DeviceOption = None,
    output: OutputOption = Output.TABLE,
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
) -> None:
    """What devices are and how they are: pipeline, ports, clients, limits, refusals, what their start has found."""
    show_devices(addresses(device or ()).values(), client_tls(tls_ca, tls_cert, tls_key), output)


app.command("images")(images_command)
app.command("volumes")(volumes_command)
