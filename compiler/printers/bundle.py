"""The bundle: what `turnout compile` writes, and `SetForwardingPipelineConfig` carries as `p4_device_config`.

A zip without time stamps, so equal contents give equal bytes: manifest.json (name and version of the pipeline, format,
SHA-256 of every other part), pipeline.ir (the text form), tc.o and xdp.o (ELF; a model needs neither), and
verification.json (what `runtime.verified` says of the others), if there is one. The device derives layout and P4Info
from pipeline.ir itself.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from compiler.ir.nodes import Pipeline
from compiler.ir.text import TextError, from_text, to_text
from compiler.ir.verifier import PipelineError, check

FORMAT = 1
MANIFEST, PIPELINE, TC, XDP = "manifest.json", "pipeline.ir", "tc.o", "xdp.o"
VERIFICATION = "verification.json"
MAX_PART_BYTES = 64 << 20
MAX_PIPELINE_BYTES = 1 << 20
"""Of text, which takes some seconds to read: thirty times what the pipeline of this project has."""
_EPOCH = (1980, 1, 1, 0, 0, 0)


class BundleError(Exception):
    """Bytes that are no bundle, or a damaged one; the text says which part and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A bundle that has been read and checked."""

    pipeline: Pipeline
    tc: bytes | None = field(default=None, repr=False)
    xdp: bytes | None = field(default=None, repr=False)
    verification: bytes | None = field(default=None, repr=False)


def write_bundle(
    pipeline: Pipeline, *, tc: bytes | None = None, xdp: bytes | None = None, verification: bytes | None = None
) -> bytes:
    """The same arguments give the same bytes."""
    parts = {PIPELINE: to_text(pipeline).encode()}
    others = ((TC, tc), (XDP, xdp), (VERIFICATION, verification))
    parts |= {name: data for name, data in others if data is not None}
    manifest = {
        "format": FORMAT,
        "name": pipeline.name,
        "version": pipeline.version,
        "sha256": {name: _digest(data) for name, data in parts.items()},
    }
    parts = {MANIFEST: json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n", **parts}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, data in parts.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def read_bundle(data: bytes) -> Bundle:
    """Raises `BundleError`."""
    parts = _parts(data)
    _check_manifest(parts)
    if PIPELINE not in parts:
        raise BundleError(f"it has no {PIPELINE}")
    try:
        pipeline = check(from_text(parts[PIPELINE].decode(), path=PIPELINE))
    except PipelineError as problem:
        raise BundleError(f"{PIPELINE} is refused: {problem.diagnostics[0]}") from problem
    except (UnicodeDecodeError, TextError) as problem:
        raise BundleError(f"{PIPELINE} cannot be read: {problem}") from problem
    return Bundle(pipeline=pipeline, tc=parts.get(TC), xdp=parts.get(XDP), verification=parts.get(VERIFICATION))


def _parts(data: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            for info in infos:
                if info.filename not in (MANIFEST, PIPELINE, TC, XDP, VERIFICATION):
                    raise BundleError(f"it has a part {info.filename!r} that does not belong there")
                most = MAX_PIPELINE_BYTES if info.filename == PIPELINE else MAX_PART_BYTES
                if info.file_size > most:
                    raise BundleError(f"part {info.filename} has {info.file_size} bytes, at most {most}")
            return {info.filename: archive.read(info) for info in infos}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as problem:
        raise BundleError(f"it is no zip file, or a damaged one ({problem})") from problem


def _check_manifest(parts: Mapping[str, bytes]) -> None:
    try:
        manifest: Any = json.loads(parts.get(MANIFEST, b""))
        found_format, digests = manifest["format"], dict(manifest["sha256"])
    except (ValueError, KeyError, TypeError) as problem:
        raise BundleError(f"{MANIFEST} is missing or cannot be read") from problem
    if found_format != FORMAT:
        raise BundleError(f"its format is {found_format!r}, this version of Turnout reads {FORMAT}")
    for name, data in parts.items():
        if name != MANIFEST and digests.get(name) != _digest(data):
            raise BundleError(f"part {name} is damaged: its SHA-256 is not the manifest's")
    missing = digests.keys() - parts.keys()
    if missing:
        raise BundleError(f"it lacks {', '.join(sorted(missing))}")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
