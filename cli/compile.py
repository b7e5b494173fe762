"""`turnout compile`: everything that policies become, as files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf import text_format

from cli.console import fail, say
from cli.policies import load_policies
from compiler.entries.desired import Desired, compile_entries
from compiler.entries.storageplan import storage_plan
from compiler.ir.text import to_text
from compiler.pipeline.assembly import pipeline
from compiler.pipeline.offload import offload_pipeline
from compiler.pipeline.portable import portable
from compiler.policy.policyset import PolicySet, Profile
from compiler.printers.bundle import write_bundle
from compiler.printers.ebpf.printing import print_c
from compiler.printers.p4.printing import print_pna, print_v1model
from compiler.printers.p4.provenance import provenance
from compiler.printers.p4info import p4info
from runtime.bpf.chains import Hook
from runtime.bpf.errors import BpfError
from runtime.build import compile_source
from runtime.client.entries_text import entries_text
from runtime.report import report, report_text


def compile(
    policies: Annotated[list[Path], typer.Argument(help="Policy files or directories.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to; made if it is not there.")],
    emit: Annotated[
        list[str] | None,
        typer.Option(help="Only these: ir, p4, p4info, c, objects, entries, storage, report; may be repeated."),
    ] = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Then prove the policies as `turnout verify` does, and note it.")
    ] = False,
) -> None:
    """Write the pipeline (text form, P4, P4Info, C, objects, bundle), each device's entries, and a report.

    Needs no device and no root; the report measures memory and programs only as root.
    """
    wanted = _wanted(emit or [])
    loaded = load_policies(policies)
    compiled = [compile_entries(loaded.set, device) for device in loaded.set.devices]
    loaded.report(d for one in compiled for d in one.diagnostics)
    try:
        for name, content in _files(wanted, loaded.set, compiled):
            path = output / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            typer.echo(path)
    except (BpfError, OSError) as error:
        raise fail(str(error)) from error
    if verify:
        from cli.verify import prove

        prove(loaded, loaded.set.devices, record=output)


PARTS = ("ir", "p4", "p4info", "c", "objects", "entries", "storage", "report")


def _wanted(emit: list[str]) -> frozenset[str]:
    unknown = [part for part in emit if part not in PARTS]
    if unknown:
        raise typer.BadParameter(f"'{unknown[0]}' is none of {', '.join(PARTS)}", param_hint="--emit")
    return frozenset(emit or PARTS)


def _files(wanted: frozenset[str], policies: PolicySet, compiled: list[Desired]) -> Iterator[tuple[str, str | bytes]]:
    """Names and contents, cheap ones first."""
    whole = pipeline()
    lines = provenance(entry for one in compiled for entry in one.entries.table_entries)
    if "ir" in wanted:
        yield "pipeline.ir", to_text(whole)
    if "p4" in wanted:
        yield "pipeline.v1model.p4", print_v1model(portable(whole), lines)
        yield "pipeline.pna.p4", print_pna(offload_pipeline(), lines)
    if "p4info" in wanted:
        yield "p4info.txtpb", text_format.MessageToString(p4info(whole))
    if "entries" in wanted:
        for one in compiled:
            yield f"{one.device.name}/entries.txtpb", entries_text(whole, one.entries, one.device.device_id)
    if "storage" in wanted and policies.storage:
        yield "storage.json", json.dumps(storage_plan(policies), indent=2) + "\n"
    if "c" in wanted:
        yield "pipeline.bpf.c", print_c(whole, lines)
    objects: Mapping[Hook, bytes] = {}
    if wanted & {"objects", "report"} and any(one.device.profile is Profile.EBPF for one in compiled):
        say("compiling the C")
        objects = {hook: compile_source(print_c(whole), hook) for hook in Hook}
    if "objects" in wanted and objects:
        yield "tc.o", objects[Hook.TC]
        yield "xdp.o", objects[Hook.XDP]
        yield "bundle.zip", write_bundle(whole, tc=objects[Hook.TC], xdp=objects[Hook.XDP])
    if "report" in wanted:
        for one in compiled:
            runs_ebpf = one.device.profile is Profile.EBPF
            found = report(whole, one.device.name, one.entries, objects if runs_ebpf else {})
            yield f"{one.device.name}/report.txt", report_text(found)
            yield f"{one.device.name}/report.json", json.dumps(found.to_plain(), indent=2) + "\n"
