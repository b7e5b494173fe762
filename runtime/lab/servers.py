"""How the servers of a workload are started: the interpreter on `server.py` alone, which is quick to begin."""

from __future__ import annotations

import sys
from pathlib import Path

from runtime.lab.topology import LabWorkload

SERVER = Path(__file__).with_name("server.py")


def server_command(workload: LabWorkload) -> list[str]:
    """The command that serves all that a workload's annotation asks for. It prints "ready" when it listens."""
    name = workload.key.rpartition("/")[2]
    return [sys.executable, "-I", "-S", str(SERVER), name, *(f"{kind}:{port}" for kind, port in workload.serve)]
