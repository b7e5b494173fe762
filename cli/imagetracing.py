"""`turnout image trace`: what an image's start reads; and `volumes`: how much of it is here. Others are cli.image's."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final, cast

import typer

from agents.storage.io.store import Store, StoredImage
from agents.storage.io.tracing import Program, record
from agents.storage.io.volumefiles import volume_path, write_trace
from agents.storage.translate.modes import BLOCK
from agents.storage.volumestatus import stored_volumes
from agents.storage.wire.errors import ImageError
from cli.console import Output, fail, print_rows
from cli.imageserving import app
from cli.imagestore import ImageArgument, ModeOption, OutputOption, opened_store
from cli.places import ROOT, STORE, StoreOption

__all__ = ["app"]

_COLUMNS: Final = ("volume", "size", "read", "extents", "files")
_VOLUME_COLUMNS: Final = ("volume", "size", "here", "at", "traced")


@app.command()
def trace(
    image: ImageArgument,
    command: Annotated[
        list[str] | None,
        typer.Argument(help="After --: what to run in it; by default what the image says.", show_default=False),
    ] = None,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, max=3600, help="How long it runs, unless it ends.")
    ] = 30,
    mode: ModeOption = None,
    store: StoreOption = STORE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Run an image's program here and record what it reads; nodes that adopt the image then read that ahead. Needs
    root, and the image's volumes on this node."""
    if os.geteuid():
        raise fail("only root can mount")
    with opened_store(store) as opened:
        found = opened.find(image, mode.plain if mode else "")
        if found.mode == BLOCK.name:
            raise ImageError("images in mode block are not read from other nodes, so there is nothing to trace")
        volumes = [(volume.digest, volume_path(store, volume.digest)) for volume in found.volumes]
        for digest, path in volumes:
            if not path.exists():
                raise ImageError(f"volume {digest} is not on this node; trace the image where it was converted")
        traces = record(volumes, found.mode, len(found.layers), _program(opened, found, command or []), seconds)
        for one in traces:
            write_trace(store, one)
    rows = [
        {
            "volume": one.volume,
            "size": one.size_bytes,
            "read": one.read_bytes,
            "extents": len(one.extents),
            "files": len({read.path for read in one.files}),
        }
        for one in traces
    ]
    print_rows(_COLUMNS, rows, output)


@app.command("volumes")
def volumes_command(
    root: Annotated[Path, typer.Option("--root", help="Folder of the agent's snapshots.")] = ROOT,
    store: StoreOption = STORE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Volumes: where each is, and how much of those on other nodes is here."""
    with opened_store(store) as opened:
        found = stored_volumes(opened, root)
    print_rows(_VOLUME_COLUMNS, [asdict(volume) for volume in found], output)


def _program(store: Store, image: StoredImage, command: list[str]) -> Program:
    """OCI image-spec, config.md: Entrypoint, then Cmd."""
    config: object = json.loads(store.documents(image)[1]).get("config")
    fields = cast("dict[str, Any]", config) if isinstance(config, dict) else {}
    arguments = command or [*_texts(fields, "Entrypoint"), *_texts(fields, "Cmd")]
    if not arguments:
        raise ImageError("the image says nothing of what to run; say it after --")
    environment = tuple(one for one in _texts(fields, "Env") if "=" in one)
    if not any(one.startswith("PATH=") for one in environment):
        environment = (*environment, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    return Program(arguments=tuple(arguments), environment=environment, folder=str(fields.get("WorkingDir") or "/"))


def _texts(fields: dict[str, Any], name: str) -> list[str]:
    found: object = fields.get(name)
    return [str(one) for one in cast("list[object]", found)] if isinstance(found, list) else []
