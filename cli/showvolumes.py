"""`turnout show volumes`: what the agent of this node says of volumes. What the store alone says: `image volumes`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final

import typer

from agents.storage.statusservice import ask_volumes
from agents.storage.volumestatus import VolumeStatus
from agents.storage.wire.errors import ImageError
from cli.console import Output, fail, print_rows
from cli.imagestore import OutputOption
from cli.places import SOCKET

COLUMNS: Final = (
    *("volume", "role", "size", "here", "at", "traced"),
    *("attached", "pool", "references", "images", "containers"),
)
_KEY: Final = re.compile(r"([^/]+)/\d+/(.+)")
"""What containerd makes of a container's name: namespace, a number, the name."""
_SHOWN: Final = 3


def volumes_command(
    listen: Annotated[Path, typer.Option("--listen", help="The agent's socket.")] = SOCKET,
    output: OutputOption = Output.TABLE,
) -> None:
    """Volumes of this node, as its agent has them: role, size, how much is here, who has it, what is attached."""
    try:
        rows = [row_of(volume) for volume in ask_volumes(listen)]
    except ImageError as error:
        raise fail(str(error)) from error
    if output is Output.TABLE:
        rows = [{**row, **{name: _shortened(row[name]) for name in ("images", "containers")}} for row in rows]
    print_rows(COLUMNS, rows, output)


def row_of(volume: VolumeStatus) -> dict[str, object]:
    """`references` is how many images, and active snapshots and views, have it."""
    use = volume.use
    assert use is not None
    containers = [_container(key) for key in use.containers]
    return {
        "volume": volume.volume,
        "role": volume.role,
        "size": volume.size,
        "here": volume.here,
        "at": volume.at,
        "traced": volume.traced,
        "attached": use.attached,
        "pool": use.pool,
        "references": len(volume.images) + len(containers),
        "images": list(volume.images),
        "containers": containers,
    }


def _container(key: str) -> str:
    found = _KEY.fullmatch(key)
    return f"{found[1]}/{found[2]}" if found else key


def _shortened(names: object) -> str:
    assert isinstance(names, list)
    found = [str(name) for name in names]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    more = len(found) - _SHOWN
    return ", ".join(found[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
