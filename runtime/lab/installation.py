"""The installation that a lab's devices and proxies are started from."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from runtime.lab.errors import LabError


def turnout_program() -> str:
    """The `turnout` that belongs to this interpreter, or that of the PATH. Raises `LabError`."""
    beside = Path(sys.executable).with_name("turnout")
    found = str(beside) if beside.exists() else shutil.which("turnout")
    if found is None:
        raise LabError("there is no `turnout` to run the devices with", hint="./setup installs it")
    return found
