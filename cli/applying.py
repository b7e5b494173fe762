"""What `turnout apply` needs where it loads a pipeline, or says what was proved of it. Imported only then."""

from __future__ import annotations

from pathlib import Path

from cli.console import fail
from compiler.entries.desired import compile_entries
from compiler.pipeline.assembly import pipeline
from compiler.policy.policyset import Device, PolicySet, Profile
from compiler.printers.bundle import read_bundle, write_bundle
from runtime.build import build_bundle
from runtime.client.entries_text import entries_text
from runtime.verified import RecordError, device_standing, digest, program_digests, read_verification


def device_config(device: Device, verification: Path | None = None) -> bytes:
    """What a device of this profile loads, with a record if there is one."""
    record = verification.read_bytes() if verification is not None else None
    match device.profile:
        case Profile.EBPF:
            return build_bundle(pipeline(), record)
        case Profile.MODEL:
            return write_bundle(pipeline(), verification=record)
        case Profile.V1MODEL:
            raise fail(
                f"device '{device.name}' runs nothing yet, and its profile v1model needs a P4 compiler: build "
                "pipeline.v1model.p4 (`turnout compile` writes it), load it into the device, and apply again"
            )


def standing(policies: PolicySet, device: Device, verification: Path) -> str:
    """What a record says of the program and the entries that a device is to get."""
    try:
        record = read_verification(verification.read_bytes())
    except (OSError, RecordError) as problem:
        raise fail(f"{verification}: {problem}") from problem
    bundle = read_bundle(device_config(device))
    entries = compile_entries(policies, device).entries
    asked = digest(entries_text(pipeline(), entries, device.device_id).encode())
    return device_standing(record, program_digests(bundle.pipeline, bundle.tc, bundle.xdp), device.name, asked)
