"""Where containers from images have their things, unless an option says otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

STORE: Final = Path("/var/lib/turnout/images")
"""Converted images."""
ROOT: Final = Path("/var/lib/turnout/snapshots")
SOCKET: Final = Path("/run/turnout/snapshots.sock")
"""Of the storage agent."""
StoreOption = Annotated[
    Path, typer.Option("--store", envvar="TURNOUT_IMAGES", help="Folder that converted images are kept in.")
]
