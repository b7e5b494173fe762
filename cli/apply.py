"""`turnout apply`: bring devices to what policies say."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from cli.console import FAILED, fail, progress, say
from cli.devices import TlsCa, TlsCert, TlsKey, client_tls
from cli.policies import Policies, load_remembered_policies
from compiler.collection import collection_paused
from compiler.pipeline.assembly import pipeline
from compiler.policy.policyset import Device
from runtime.applied import Applied, AppliedError, applied_folder, write_applied
from runtime.bpf.errors import BpfError
from runtime.client.applying import Failure, Outlook, PipelineState, look, perform
from runtime.client.errors import ClientError
from runtime.client.fixup import RemovedBackends
from runtime.client.plan import Kind
from runtime.client.rendering import Renderer
from runtime.client.session import Session

SHOWN_STEPS = 12
Work = tuple[Session, Outlook]


@collection_paused()
def apply(
    policies: Annotated[list[Path], typer.Argument(help="Policy files or directories.")],
    device: Annotated[
        list[str] | None,
        typer.Option(help="Only this device, by NAME, or at another address, by NAME=ADDRESS; may be repeated."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
    replace_pipeline: Annotated[
        bool, typer.Option("--replace-pipeline", help="Load the pipeline anew, whatever runs: connections end.")
    ] = False,
    removed_backends: Annotated[
        RemovedBackends,
        typer.Option(help="Connections to backends that a service no longer has: let TCP drain, or end all of them."),
    ] = RemovedBackends.DRAIN,
    verification: Annotated[
        Path | None, typer.Option(help="A verification.json of `turnout verify`: say of what it speaks, and load it.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every update of the plan.")] = False,
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
) -> None:
    """Compile policies, compare with what the devices hold, and write the difference.

    Safe to run again, also after an interruption. Shows a plan: + added, ~ changed, - removed.
    """
    loaded = load_remembered_policies(policies)
    devices = _chosen(loaded, device or [])
    tls = client_tls(tls_ca, tls_cert, tls_key)
    ask = partial(_look, loaded=loaded, writes=not dry_run, replaces=replace_pipeline, removed=removed_backends)
    with ExitStack() as sessions:
        sessions.callback(loaded.remember)  # at the end what is left: in a thread the writes would take longer
        try:
            opened = [
                sessions.enter_context(Session(one.address, one.device_id, tls=tls, waits=say)) for one in devices
            ]
            work = [(session, ask(session, one)) for one, session in zip(devices, opened, strict=True)]
            loaded.report(diagnostic for _, outlook in work for diagnostic in outlook.diagnostics)
            for _, outlook in work:
                _show(outlook, verbose=verbose)
                if verification is not None:
                    _show_standing(loaded, outlook.device, verification)
            if not dry_run:
                _record(loaded, devices)
                _perform_all(work, verification, loaded.prepare)
        except (ClientError, BpfError) as error:
            raise fail(str(error)) from error


def _record(loaded: Policies, devices: list[Device]) -> None:
    """For `turnout explain`. Before the first write: what a stopped run has written is of these policies as well."""
    try:
        for one in devices:
            record = Applied(device=one.name, address=one.address, sources=loaded.sources)
            write_applied(applied_folder(), record)
    except AppliedError as problem:
        say(f"turnout: {problem}; `turnout explain` needs --policies then")


def _chosen(loaded: Policies, wanted: list[str]) -> list[Device]:
    known = {device.name: device for device in loaded.set.devices}
    if not known:
        raise fail("these policies have no Device, so there is nothing to apply them to")
    chosen: list[Device] = []
    for name, _, address in (word.partition("=") for word in wanted):
        if name not in known:
            raise fail(f"no device '{name}' in these policies; they have: {', '.join(known)}")
        chosen.append(replace(known[name], address=address) if address else known[name])
    return chosen or list(known.values())


def _look(
    session: Session, device: Device, *, loaded: Policies, writes: bool, replaces: bool, removed: RemovedBackends
) -> Outlook:
    if writes:
        session.become_primary()
    return look(session, device, loaded.set, pipeline(), replaces=replaces, removed=removed)


def _show(outlook: Outlook, *, verbose: bool) -> None:
    plan, name = outlook.plan, outlook.device.name
    if outlook.pipeline is not PipelineState.SAME:
        before = f", replacing {outlook.running}" if outlook.running else ""
        typer.echo(f"{name}: + pipeline {pipeline().name} {pipeline().version}{before}")
    renderer = Renderer(pipeline())
    shown = plan.steps if verbose or len(plan.steps) <= SHOWN_STEPS else plan.steps[:SHOWN_STEPS]
    for step in shown:
        typer.echo(f"{name}: {renderer.step(step)}")
    if len(shown) < len(plan.steps):
        typer.echo(f"{name}: ... and {len(plan.steps) - len(shown)} more (--verbose shows them)")
    counts = ", ".join(f"{plan.count(kind)} {word}" for kind, word in _WORDS.items())
    typer.echo(f"{name}: {counts}, {plan.unchanged} unchanged")
    if outlook.fix_up.words:
        typer.echo(f"{name}: known connections: {outlook.fix_up.words}")


_WORDS = {Kind.INSERT: "to add", Kind.MODIFY: "to change", Kind.DELETE: "to remove"}


def _show_standing(loaded: Policies, device: Device, verification: Path) -> None:
    from cli.applying import standing  # not at the top, as below

    typer.echo(f"{device.name}: {standing(loaded.set, device, verification)}")


def _perform_all(work: list[Work], verification: Path | None, meanwhile: Callable[[], None]) -> None:
    refused = 0
    total = sum(len(outlook.plan.steps) for _, outlook in work)
    written = 0
    try:
        with progress("writing", total) as bar:
            for session, outlook in work:

                def done(count: int) -> None:
                    nonlocal written
                    written += count
                    bar.advance(count)

                for failure in perform(
                    session, outlook, pipeline(), lambda o=outlook: _bundle(o.device, verification), done, meanwhile
                ):
                    refused += 1
                    _complain(outlook, failure)
    except KeyboardInterrupt:
        say(f"turnout: stopped after {written} of {total} updates; what worked still works, run it again to finish")
        raise typer.Exit(130) from None
    if refused:
        say(f"turnout: error: {refused} of {total} updates were refused")
        raise typer.Exit(FAILED)


def _bundle(device: Device, verification: Path | None = None) -> bytes:
    from cli.applying import device_config  # not at the top: printing a pipeline is rare, and long to import

    return device_config(device, verification)


def _complain(outlook: Outlook, failure: Failure) -> None:
    say(f"{outlook.device.name}: refused: {failure.text}\n    {Renderer(pipeline()).step(failure.step)}")
