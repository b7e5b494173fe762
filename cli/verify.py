"""`turnout verify`: the user's own policies through interpreter and programs, and what speaks against them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.console import FAILED, Output, fail, print_rows, say
from cli.policies import Policies, load_policies
from compiler.entries.desired import compile_entries
from compiler.policy.policyset import Device
from compiler.printers.bundle import VERIFICATION, BundleError, read_bundle, write_bundle
from runtime.verified import NOT_VERIFIED, Verification, program_digests, program_standing

EXTRA = "turnout verify makes packets up with packages that are not here ({}): pip install 'turnout[verify]'"
BUNDLE = "bundle.zip"


def verify(
    policies: Annotated[list[Path], typer.Argument(help="Policy files or directories.")],
    device: Annotated[list[str] | None, typer.Option(help="Only this device; may be repeated.")] = None,
    packets: Annotated[int, typer.Option(min=1, help="How many packets for each device.")] = 5_000,
    seconds: Annotated[float | None, typer.Option(min=0, help="How long for each device, instead.")] = None,
    seed: Annotated[int, typer.Option(help="Of what chance brings.")] = 0,
    wire: Annotated[bool, typer.Option("--wire", help="Also on real veths; slow.")] = False,
    output: Annotated[Output, typer.Option(help="How the result is printed.")] = Output.TABLE,
    pcap: Annotated[Path | None, typer.Option(help="Folder for captures of counter-examples.")] = None,
    record: Annotated[
        Path | None, typer.Option("--record", "-o", help="Folder of `turnout compile` to note the result in.")
    ] = None,
    date: Annotated[str, typer.Option(help="To be noted in the record.")] = "",
) -> None:
    """Prove policies: traffic for each of them through interpreter and eBPF, packet by packet, and what they promise.

    As root on the programs in the kernel; without root only the interpreter is held to what the policies say.
    A counter-example is told in few steps, and ends with status 1.
    """
    if record is not None and not record.is_dir():
        raise fail(f"{record} is no folder: 'turnout compile -o {record}' makes it")
    loaded = load_policies(policies)
    devices = _chosen(loaded, device or [])
    loaded.report(d for one in devices for d in compile_entries(loaded.set, one).diagnostics)
    how = How(packets=packets, seconds=seconds, seed=seed, uses_wire=wire, output=output, pcap=pcap, date=date)
    prove(loaded, devices, how, record=record)


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """The options of `turnout verify`."""

    packets: int = 5_000
    seconds: float | None = None
    seed: int = 0
    uses_wire: bool = False
    output: Output = Output.TABLE
    pcap: Path | None = None
    date: str = ""


PLAINLY = How()


def prove(loaded: Policies, devices: Iterable[Device], how: How = PLAINLY, *, record: Path | None = None) -> None:
    """Prove, print, and note the result in a folder. Ends the command when something speaks against the policies."""
    try:
        from cli.verifying import verify_policies
        from runtime.verification.proof.proving import Effort
    except ModuleNotFoundError as missing:
        raise fail(EXTRA.format(missing.name)) from missing
    effort = Effort(packets=how.packets, seconds=how.seconds, seed=how.seed)
    verified = verify_policies(loaded.set, devices, effort, uses_wire=how.uses_wire, date=how.date)
    if verified.missing:
        say(f"turnout: the programs were not run, only the interpreter: {verified.missing}")
    _print(verified.proofs, verified.record, verified.missing, how.output)
    _write_captures(verified.proofs, how.pcap)
    if record is not None:
        write_record(record, verified.record)
    if not verified.holds:
        raise typer.Exit(FAILED)


def _chosen(loaded: Policies, names: list[str]) -> list[Device]:
    known = {device.name: device for device in loaded.set.devices}
    unknown = [name for name in names if name not in known]
    if unknown or not known:
        said = f"no device '{unknown[0]}' in these policies" if unknown else "these policies have no Device"
        raise fail(f"{said}; they have: {', '.join(known) or 'none'}")
    return [known[name] for name in names] or list(known.values())


def _print(proofs: tuple[Any, ...], record: Verification, missing: str, output: Output) -> None:
    if output is not Output.TABLE:
        _print_plain(proofs, record, missing, output)
        return
    columns = ("device", "result", "levels", "packets", "connections", "states", "calls", "backends", "policies")
    print_rows(columns, [_row(proof) for proof in proofs], output)
    for proof in proofs:
        for missed in proof.coverage.missed:
            sys.stdout.write(f"\n{proof.device}: no connection has reached {missed}\n")
        for other in proof.coverage.not_given:
            sys.stdout.write(f"\n{proof.device}: by source, and none of the sources here is given {other}\n")
        if proof.found is not None:
            sys.stdout.write(f"\ncounter-example for {proof.device}:\n{proof.found.text}\n")
    sys.stdout.write("".join(f"\n{name} {found}" for name, found in record.program.items()) + "\n")


def _row(proof: Any) -> dict[str, object]:
    covered = proof.coverage
    return {
        "device": proof.device,
        "result": "holds" if proof.holds else "counter-example",
        "levels": "; ".join(proof.levels),
        "packets": proof.packets,
        "connections": proof.flows,
        "states": proof.states,
        "calls": covered.calls,
        "backends": f"{covered.backends - len(covered.missed) - len(covered.not_given)} of {covered.backends}",
        "policies": "all tried" if proof.is_whole else "not all tried",
    }


def _print_plain(proofs: tuple[Any, ...], record: Verification, missing: str, output: Output) -> None:
    found = [{"device": p.device, "story": p.found.text.splitlines()} for p in proofs if p.found is not None]
    plain = {
        **json.loads(record.to_json()),
        "not_run": missing,
        "unreached_backends": {proof.device: proof.coverage.missed for proof in proofs},
        "backends_of_other_sources": {proof.device: proof.coverage.not_given for proof in proofs},
        "counter_examples": found,
    }
    if output is Output.JSON:
        sys.stdout.write(json.dumps(plain, indent=2) + "\n")
    else:
        import yaml

        yaml.safe_dump(plain, sys.stdout, sort_keys=False, allow_unicode=True)


def _write_captures(proofs: tuple[Any, ...], folder: Path | None) -> None:
    for proof in proofs:
        if folder is not None and proof.found is not None and proof.found.pcap:
            path = folder / f"{proof.device}.pcapng"
            try:
                folder.mkdir(parents=True, exist_ok=True)
                path.write_bytes(proof.found.pcap)
            except OSError as error:
                raise fail(str(error)) from error
            say(f"turnout: {path} holds the frames of the counter-example")


def write_record(folder: Path, record: Verification) -> None:
    """Beside what `turnout compile` has written, and into its bundle if it is the one that was verified."""
    data, bundle = record.to_json(), folder / BUNDLE
    try:
        (folder / VERIFICATION).write_bytes(data)
        if bundle.is_file():
            found = read_bundle(bundle.read_bytes())
            standing = program_standing(record, program_digests(found.pipeline, found.tc, found.xdp))
            if standing.startswith(NOT_VERIFIED):
                say(f"turnout: {bundle} carries no record: {standing}")
            whole = write_bundle(
                found.pipeline,
                tc=found.tc,
                xdp=found.xdp,
                verification=None if standing.startswith(NOT_VERIFIED) else data,
            )
            bundle.write_bytes(whole)
    except (OSError, BundleError) as error:
        raise fail(str(error)) from error
