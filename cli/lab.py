"""`turnout lab`: nodes, DPUs and workloads of a policy as network namespaces of this machine."""

from __future__ import annotations

import os
import shutil
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.console import FAILED, Output, fail, print_rows, say
from runtime.applied import applied_folder, forget_applied
from runtime.lab.errors import LabError
from runtime.lab.names import check_lab_name
from runtime.lab.status import MemberStatus, exec_command, recorded, status
from runtime.lab.teardown import down

app = typer.Typer(
    name="lab", help="Nodes, DPUs and workloads as network namespaces of this machine.", no_args_is_help=True
)


NO_SUCH_PROGRAM = 127
"""What a shell exits with when it cannot find a program."""
COLUMNS = ("kind", "name", "namespace", "exists", "pid", "alive", "addresses")


class Offloads(StrEnum):
    ON = "on"
    OFF = "off"


def _name(value: str) -> str:
    try:
        return check_lab_name(value)
    except LabError as error:
        raise typer.BadParameter(str(error)) from error


LabName = Annotated[
    str, typer.Option("--name", envvar="TURNOUT_LAB", help="Which lab; several can be up.", callback=_name)
]


@app.command("up")
def lab_up(
    policy: Annotated[list[Path], typer.Argument(help="Policy files or folders.")],
    name: LabName = "lab",
    offloads: Annotated[Offloads, typer.Option(help="Checksum and segmentation offloads.")] = Offloads.ON,
) -> None:
    """Build a lab, or repair it; nothing happens when it is whole."""
    # Imported here: reading policies takes pydantic, and `exec` is called in loops.
    from cli.policies import load_policies
    from runtime.lab.building import Builder
    from runtime.lab.devices import device_command
    from runtime.lab.installation import turnout_program
    from runtime.lab.topology import topology_of

    policies = load_policies(policy).set
    try:
        topology = topology_of(policies, name)
        builder = Builder(device_command=device_command(turnout_program()), say=say)
        outcome = builder.up(topology, offloads=offloads is Offloads.ON)
    except LabError as error:
        raise fail(str(error)) from error
    nodes, devices, workloads = len(topology.nodes), len(topology.devices), len(topology.workloads)
    say(f"lab '{name}' {outcome.value}: {nodes} nodes, {devices} devices, {workloads} workloads")


@app.command("down")
def lab_down(name: LabName = "lab") -> None:
    """Remove a lab and all that runs in it, and the records of what was applied to its devices."""
    listens = _listens(name)
    try:
        was_up = down(name)
    except LabError as error:
        raise fail(str(error)) from error
    forget_applied(applied_folder(), listens)
    say(f"lab '{name}' {'removed' if was_up else 'was not up'}")


def _listens(name: str) -> tuple[str, ...]:
    """Where the devices of a lab are reached; of one that is not up, nothing."""
    try:
        return recorded(name).listens
    except LabError:
        return ()


@app.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def lab_exec(
    member: Annotated[str, typer.Argument(help="Workload, node or device; kind:name where a name is several.")],
    command: Annotated[list[str], typer.Argument(help="What to run, best after --.")],
    name: LabName = "lab",
) -> None:
    """Run a command in a member's namespace; its exit code becomes this one's."""
    words = command[1:] if command[0] == "--" else command
    if not words:
        raise typer.BadParameter("what to run is missing", param_hint="COMMAND")
    try:
        arguments = exec_command(recorded(name), member, words)
    except LabError as error:
        raise fail(str(error)) from error
    if shutil.which(words[0]) is None:
        say(f"turnout: error: {words[0]}: no such program")
        raise typer.Exit(NO_SUCH_PROGRAM)
    os.execv(arguments[0], arguments)


@app.command("status")
def lab_status(
    name: LabName = "lab",
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print it.")] = Output.TABLE,
) -> None:
    """Show what of a lab exists and runs; exit code 1 when something is missing."""
    try:
        found = status(name)
    except LabError as error:
        raise fail(str(error)) from error
    say(f"lab '{name}': {found.phase}, offloads {'on' if found.offloads else 'off'}")
    print_rows(COLUMNS, [_row(member, output) for member in found.members], output)
    if not found.is_whole:
        raise typer.Exit(FAILED)


def _row(member: MemberStatus, output: Output) -> dict[str, Any]:
    """One member by column; a list of addresses for programs, one string for people."""
    row = {column: getattr(member, column) for column in COLUMNS}
    addresses = list(member.addresses)
    return {**row, "addresses": " ".join(addresses) if output is Output.TABLE else addresses}
