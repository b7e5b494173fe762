"""`turnout show images`: what has become of images that are, or are to be, converted."""

from __future__ import annotations

import platform as machine
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from agents.storage.clusteradoption import adopted_conversions
from agents.storage.conversionstatus import images_of, status_of
from agents.storage.io.adoptionrecords import adoption_records
from agents.storage.io.conversionrecords import Wanted, records
from agents.storage.io.store import Store
from agents.storage.io.volumefiles import find_volume, remote_volume
from agents.storage.translate.platforms import machine_platform
from agents.storage.volumestatus import HERE
from cli.console import Output, print_rows
from cli.imagestore import OutputOption, opened_store
from cli.places import STORE, StoreOption
from cli.policies import load_policies
from compiler.policy.policyset import ImageConversion

_ASKED = ("name", "source", "mode", "destination")
COLUMNS = (*_ASKED, "phase", "progress", "ready", "volumes", "size", "compression", "at", "message")
FIELDS = (*_ASKED, "phase", "progress", "blocks", "compression", "conditions", "ready", "at", "adopted_for")


def images_command(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Policy files; default: all that there is in the store.", show_default=False),
    ] = None,
    store: StoreOption = STORE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Images that are or are to be converted: phase, progress, volumes, what went wrong. -o json has the status of an
    ImageConversion."""
    policies = load_policies(files).set.conversions if files else ()
    with opened_store(store) as opened:
        if files:
            rows = [_row(opened, policy.key, _wanted(policy), _platforms(policy)) for policy in policies]
        else:
            rows = [_row(opened, "", wanted, ()) for wanted in _all(opened)]
    print_rows(COLUMNS if output is Output.TABLE else FIELDS, rows, output)


def _wanted(policy: ImageConversion) -> Wanted:
    destination = "" if policy.destination is None else str(policy.destination)
    return Wanted(source=str(policy.source), mode=policy.mode, destination=destination)


def _platforms(policy: ImageConversion) -> tuple[str, ...]:
    return policy.platforms or (str(machine_platform(machine.machine())),)


def _all(store: Store) -> Iterator[Wanted]:
    """Of every record, and of every image that none tells of."""
    recorded = [record.wanted for record in records(store.folder)]
    told = {(wanted.source, wanted.mode) for wanted in recorded}
    stored = {(name, image.mode) for image in store.images() for name in image.names}
    others = [Wanted(source=source, mode=mode) for source, mode in stored - told]
    yield from sorted([*recorded, *others], key=lambda wanted: (wanted.source, wanted.mode, wanted.destination))


def _row(store: Store, name: str, wanted: Wanted, platforms: tuple[str, ...]) -> dict[str, object]:
    status: dict[str, Any] = status_of(store, wanted, platforms).model_dump(mode="json", by_alias=True)
    found, adoptions = images_of(store, wanted, platforms), adoption_records(store.folder)
    compressions = {image.compression for image in found}
    images = [(image.manifest_digest, image.mode) for image in found]
    blocks = {block["name"]: block["sizeBytes"] for block in status["blocks"]}
    return {
        "name": name,
        "source": wanted.source,
        "mode": wanted.mode,
        "destination": wanted.destination,
        **status,
        "volumes": len(blocks),
        "size": sum(blocks.values()),
        "compression": ", ".join(sorted(compressions)),
        "at": ", ".join(sorted({_place(store, one["name"]) for one in status["blocks"]})),
        "adopted_for": sorted({key for image in images for key in adopted_conversions(adoptions, image)}),
        "message": status["conditions"][0]["message"],
    }


def _place(store: Store, digest: str) -> str:
    remote = remote_volume(find_volume(store.folder, digest))
    return HERE if remote is None else str(remote.server)
