"""`turnout image`: container images as volumes. What converts and keeps them is in agents/storage."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from agents.storage.io import housekeeping, mounts
from agents.storage.io.conversionrecords import forget_records
from agents.storage.io.store import Store, StoredImage
from agents.storage.io.volumefiles import find_volume, remote_volume
from agents.storage.translate import modes
from agents.storage.wire.errors import ImageError
from cli.console import FAILED, Output, fail, print_rows, say
from cli.imageconvert import convert_command
from cli.imagestore import (
    COLUMNS,
    ImageArgument,
    ModeOption,
    OutputOption,
    opened_store,
    row_of,
)
from cli.places import STORE, StoreOption

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, help=__doc__)
app.command("convert")(convert_command)


@app.command("list")
def list_command(store: StoreOption = STORE, output: OutputOption = Output.TABLE) -> None:
    """Images that have been converted."""
    with opened_store(store) as opened:
        print_rows(COLUMNS, [row_of(image) for image in opened.images()], output)


@app.command()
def inspect(
    image: ImageArgument,
    mode: ModeOption = None,
    store: StoreOption = STORE,
    output: OutputOption = Output.YAML,
) -> None:
    """One image: its layers, and its volumes with role, file, and how many images have each."""
    with opened_store(store) as opened:
        plain = _plain(opened.find(image, mode.plain if mode else ""), opened)
    if output is Output.JSON:
        sys.stdout.write(json.dumps(plain, indent=2) + "\n")
    else:
        yaml.safe_dump(plain, sys.stdout, sort_keys=False)


def _plain(image: StoredImage, store: Store) -> dict[str, Any]:
    volumes = [
        {
            "name": volume.digest,
            "role": volume.role,
            "layers": volume.layers or len(image.layers),
            "sizeBytes": volume.size_bytes,
            "images": store.references(volume.digest),
            "file": str(find_volume(store.folder, volume.digest)),
        }
        for volume in image.volumes
    ]
    return {
        "manifest": image.manifest_digest,
        "config": image.config_digest,
        "platform": image.platform,
        "mode": image.mode,
        "names": list(image.names),
        "layers": [{"digest": digest, "diffID": diff_id} for digest, diff_id in image.layers],
        "blocks": volumes,
    }


@app.command()
def mount(
    image: ImageArgument,
    directory: Annotated[Path, typer.Argument(help="Where to.", show_default=False)],
    upper: Annotated[
        Path | None, typer.Option("--upper", help="Folder for changes; without it the image is read-only.")
    ] = None,
    mode: ModeOption = None,
    store: StoreOption = STORE,
) -> None:
    """Mount an image's root file system. Needs root."""
    _need_root()
    with opened_store(store) as opened:
        found = opened.find(image, mode.plain if mode else "")
        path, *others = (_here(find_volume(store, volume.digest)) for volume in found.volumes)
        if others:
            mounts.mount_over_each_other([path, *others], directory, upper)
        elif found.mode == modes.BLOCK.name:
            if upper is not None:
                raise fail(
                    "a disk has no upper folder: mode block keeps changes in clones, which the snapshotter makes"
                )
            mounts.mount_disk(path, directory)
        elif found.mode == modes.EROFS.name:
            mounts.mount(path, directory, upper)
        else:
            mounts.mount_layers(path, len(found.layers), directory, upper)


def _here(path: Path) -> Path:
    remote = remote_volume(path)
    if remote is not None:
        raise fail(f"volume {path.stem} is at {remote.server}; the agent (turnout agent storage) attaches it")
    return path


@app.command()
def unmount(directory: Annotated[Path, typer.Argument(help="What was given to mount.", show_default=False)]) -> None:
    """Take away what `mount` put there; changes stay in the upper folder. Needs root."""
    _need_root()
    try:
        mounts.unmount(directory)
    except ImageError as error:
        raise fail(str(error)) from error


def _need_root() -> None:
    if os.geteuid():
        raise fail("only root can mount")


@app.command()
def remove(image: ImageArgument, mode: ModeOption = None, store: StoreOption = STORE) -> None:
    """Forget an image, and remove the volumes that no other image has."""
    with opened_store(store) as opened:
        found = opened.find(image, mode.plain if mode else "")
        opened.remove(found)
        for name in found.names:
            forget_records(store, name, found.mode)
        housekeeping.collect(opened)


@app.command()
def gc(store: StoreOption = STORE) -> None:
    """Remove volumes without an image, and what stopped conversions have left."""
    with opened_store(store) as opened:
        removed = housekeeping.collect(opened)
    say(f"{len(removed)} files removed")


@app.command()
def fsck(store: StoreOption = STORE) -> None:
    """Read every volume and compare it with its digest. Exit code 1 if one is missing or other."""
    with opened_store(store) as opened:
        found = list(housekeeping.faults(opened))
    for fault in found:
        say(fault)
    if found:
        raise typer.Exit(FAILED)
