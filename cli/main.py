"""The `turnout` command. Each command is a module of its own, imported only when it is called."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from compiler.collection import collection_paused

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
"""Command -> module and help. A module has an `app`, or a function named like the command."""
ENVIRONMENT = {"device": {"GRPC_EXPERIMENTS": "-event_engine_listener"}}
"""What libraries of a command read when they are imported, where the caller's environment has nothing of its own.

gRPC: the thread that waits for messages reads them as well. Its event engine hands each message from one thread to
another and to a third, for which a single write waits about a tenth longer.
"""


class LazyGroup(TyperGroup):
    """Knows its commands by name; imports a command's module when it is called or asked for help."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        for name, value in ENVIRONMENT.get(cmd_name, {}).items():
            os.environ.setdefault(name, value)
        with collection_paused():
            module = importlib.import_module(COMMANDS[cmd_name][0])
        gc.freeze()
        command = _command_of(module, cmd_name)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def _command_of(module: Any, name: str) -> Any:
    app = getattr(module, "app", None)
    if isinstance(app, typer.Typer):
        return typer.main.get_command(app)
    single = typer.Typer(add_completion=False)
    single.command(name)(getattr(module, name))
    return typer.main.get_command(single)


app = typer.Typer(
    cls=LazyGroup,
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
