"""Where p4runtime-shell is: in an environment beside Turnout's own, since it pins an older protobuf."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

FOLDER: Final = ".venv-shell"


def shell_environment(prefix: Path | None = None) -> Path:
    """The folder that ./setup makes, beside the environment at `prefix` (default: the one that runs this)."""
    return (Path(sys.prefix) if prefix is None else prefix).with_name(FOLDER)


def shell_python(environment: Path) -> Path | None:
    """The interpreter that can run p4runtime-shell; None when the environment is missing or without it."""
    python = environment / "bin" / "python"
    packages = environment.glob("lib/python3*/site-packages/p4runtime_sh/__init__.py")
    return python if python.exists() and any(packages) else None
