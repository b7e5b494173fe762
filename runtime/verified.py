"""The record of what `turnout verify` has proved: of which program and entries, on what, with how much. Pure.

It lies beside what `turnout compile` writes, as verification.json, and in the bundle. A record speaks for exactly the
bytes whose SHA-256 it holds: for any others nothing is verified.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from compiler.ir.nodes import Pipeline
from compiler.ir.text import to_text
from compiler.printers.bundle import PIPELINE, TC, XDP

FORMAT = 1
NOT_VERIFIED = "not verified"


class RecordError(Exception):
    """Bytes that are no record; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedDevice:
    """`entries` is the SHA-256 of the device's entries.txtpb. `is_whole`: all that the policies say was tried."""

    device: str
    entries: str
    levels: tuple[str, ...]
    packets: int
    flows: int
    states: int
    is_whole: bool
    holds: bool

    def __str__(self) -> str:
        parts = "" if self.is_whole else ", not all that the policies say"
        return f"{self.packets} packets, {self.flows} connections on {'; '.join(self.levels)}{parts}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """`program` holds the SHA-256 of each part of the bundle that was run: pipeline.ir, tc.o, xdp.o.

    `date` is empty unless one was given: a record says the same whenever it is made.
    """

    program: Mapping[str, str]
    devices: tuple[VerifiedDevice, ...]
    seed: int
    kernel: str
    date: str = ""
    format: int = field(default=FORMAT, kw_only=True)

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), indent=2, sort_keys=True).encode() + b"\n"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def program_digests(pipeline: Pipeline, tc: bytes | None = None, xdp: bytes | None = None) -> dict[str, str]:
    """Of the parts of a bundle; None for those that it has not."""
    parts = {PIPELINE: to_text(pipeline).encode(), TC: tc, XDP: xdp}
    return {name: digest(data) for name, data in parts.items() if data is not None}


def read_verification(data: bytes) -> Verification:
    """Raises `RecordError`."""
    try:
        plain: Any = json.loads(data)
        if plain["format"] != FORMAT:
            raise RecordError(f"its format is {plain['format']!r}, this version of Turnout reads {FORMAT}")
        plain["devices"] = tuple(_device(one) for one in plain["devices"])
        return Verification(**plain)
    except (ValueError, KeyError, TypeError) as problem:
        raise RecordError(f"it is no record of a verification ({problem})") from problem


def _device(plain: dict[str, Any]) -> VerifiedDevice:
    plain["levels"] = tuple(plain["levels"])
    return VerifiedDevice(**plain)


def program_standing(record: Verification, program: Mapping[str, str]) -> str:
    """What a record says of a program, given the digests of its parts; begins with NOT_VERIFIED or "verified"."""
    others = [name for name, found in program.items() if record.program.get(name, found) != found]
    if others:
        return f"{NOT_VERIFIED}: {', '.join(others)} is not what was verified"
    failed = [one.device for one in record.devices if not one.holds]
    if failed:
        return f"{NOT_VERIFIED}: a counter-example was found for {', '.join(failed)}"
    unseen = [name for name in program if name not in record.program]
    if unseen:
        return f"{NOT_VERIFIED}: {', '.join(unseen)} was not run, only the interpreter"
    return f"verified on kernel {record.kernel}" + (f", {record.date}" if record.date else "")


def device_standing(record: Verification, program: Mapping[str, str], device: str, entries: str) -> str:
    """The same of a device's program and entries; `entries` is the digest of what the policies ask for now."""
    said = program_standing(record, program)
    if said.startswith(NOT_VERIFIED):
        return said
    found = next((one for one in record.devices if one.device == device), None)
    if found is None:
        return f"{NOT_VERIFIED}: the record does not speak of this device"
    if found.entries != entries:
        return f"{NOT_VERIFIED}: its entries are not those that were verified"
    return f"{said}: {found}"
