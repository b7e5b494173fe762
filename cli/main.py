"""The `turnout` command. Each command is a module of its own, imported only when it is called."""

from __future__ import annotations

import gc
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from cli.lazygroup import lazy_group

COMMANDS = {
    "check": ("cli.check", "Check policies and explain every mistake."),
    "compile": ("cli.compile", "Write P4, P4Info, C, objects, entries and a report."),
    "verify": ("cli.verify", "Prove policies: interpreter against eBPF, packet by packet."),
    "apply": ("cli.apply", "Bring devices to what policies say."),
    "show": ("cli.show", "Show what devices hold and have counted."),
    "explain": ("cli.explain", "What becomes of a packet or a service on devices as they are now, and why."),
    "lab": ("cli.lab", "Nodes, DPUs and workloads as network namespaces of this machine."),
    "device": ("cli.device", "The P4Runtime server of one DPU."),
    "proxy": ("cli.proxy", "The shared proxy of a network on a DPU."),
    "agent": ("cli.agent", "Long-running processes: containers from converted images, a cluster's conversions."),
    "image": ("cli.imagetracing", "Container images as volumes: convert, list, mount."),
    "crds": ("cli.crds", "CustomResourceDefinitions of the kinds of policies, for a Kubernetes cluster."),
    "doctor": ("cli.doctor", "What this machine can do, and what to install."),
    "shell": ("cli.shell", "Open p4runtime-shell on a device."),
}
"""Command -> module and help."""
ENVIRONMENT = {"device": {"GRPC_EXPERIMENTS": "-event_engine_listener"}}
"""What libraries of a command read when they are imported, where the caller's environment has nothing of its own.

gRPC: the thread that waits for messages reads them as well. Its event engine hands each message from one thread to
another and to a third, for which a single write waits about a tenth longer.
"""


app = typer.Typer(
    cls=lazy_group(COMMANDS, ENVIRONMENT),
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"turnout {version('turnout')}")
        raise typer.Exit


@app.callback()
def turnout(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Service, mesh and storage policies, compiled to P4 tables and eBPF programs, on DPUs."""


def main() -> None:
    """Entry point. A broken pipe (as in `turnout show | head`) ends quietly.

    What is there at the end is not gone through for cycles once more: of many policies that takes a tenth of a second.
    """
    try:
        app()
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    finally:
        gc.freeze()
