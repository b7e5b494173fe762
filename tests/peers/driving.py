"""A device, and p4runtime-shell on it with a script of what is done there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from compiler.ir.nodes import Pipeline
from tests.conformance.wired import WiredDevice, wired

Files = tuple[Path, Path]
"""P4Info and bundle, as clients load them."""


@contextmanager
def started(
    pipeline: Pipeline, folder: Path, named: Mapping[int, str] | None = None
) -> Generator[tuple[WiredDevice, Files]]:
    """`named` as in `wired`."""
    with wired("model", pipeline, folder, "", named=named) as device:
        info, bundle = folder / "p4info.txtpb", folder / "bundle"
        info.write_text(text_format.MessageToString(device.config.p4info))
        bundle.write_bytes(device.config.p4_device_config)
        yield device, (info, bundle)


@contextmanager
def shell_on(python: Path, script: Path, device: WiredDevice, files: Files, what: str) -> Generator[Any]:
    """What the function of the script answers; the shell stays the primary until the end of the block."""
    command = [str(python), str(script), device.address, *map(str, files), what]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line, "the shell has ended"
            yield json.loads(line)
        finally:
            process.stdin.close()
            process.wait(timeout=60)
    assert process.returncode == 0
