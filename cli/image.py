"""`turnout image`: container images as volumes. What converts and keeps them is in agents/storage."""

from __future__ import annotations

import json
import os
import platform as machine
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from agents.storage.conversion import Converted, convert
from agents.storage.io import housekeeping, mounts
from agents.storage.io.credentials import CredentialFile
from agents.storage.io.registries import RegistryOptions
from agents.storage.io.registryhttp import Connection
from agents.storage.io.store import Store, StoredImage
from agents.storage.io.volumefiles import find_volume, remote_volume
from agents.storage.translate import modes
from agents.storage.translate.platforms import machine_platform, parse_platform
from agents.storage.wire.errors import ImageError
from agents.storage.wire.oci import Platform
from cli.console import FAILED, Output, fail, print_rows, say
from cli.policies import load_policies
from compiler.policy.imagekinds import MODE_ALIASES
from compiler.policy.imagenames import ImageName, ImageNameError, parse_image_name
from compiler.policy.policyset import ImageConversion

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, help=__doc__)

STORE = Path("/var/lib/turnout/images")
StoreOption = Annotated[
    Path, typer.Option("--store", envvar="TURNOUT_IMAGES", help="Folder that converted images are kept in.")
]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="Form of the result on stdout.")]


class Mode(StrEnum):
    """Those of ImageConversion that images can be converted in."""

    EROFS = modes.EROFS.name
    OVERLAYFS = modes.OVERLAYFS.name
    BLOCK = modes.BLOCK.name
    OVERLAYBD = "overlaybd"

    @property
    def plain(self) -> str:
        """Without other names for the same."""
        return MODE_ALIASES.get(self.value, self.value)


ModeOption = Annotated[
    Mode | None, typer.Option("--mode", help="Which one, of an image that was converted in several modes.")
]
ImageArgument = Annotated[
    str, typer.Argument(help="Name it was converted by, or the beginning of its digest.", show_default=False)
]


@contextmanager
def opened_store(folder: Path) -> Generator[Store]:
    """The store; what goes wrong with an image ends the command with exit code 1."""
    try:
        store = Store(folder)
        try:
            yield store
        finally:
            store.close()
    except ImageError as error:
        raise fail(str(error)) from error


@app.command("convert")
def convert_command(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Policy files with ImageConversions, or images: [registry/]repository[:tag][@digest], "
            "oci:DIRECTORY[:NAME], oci-archive:FILE[:NAME].",
            show_default=False,
        ),
    ],
    platform: Annotated[
        list[str] | None, typer.Option("--platform", help="os/architecture[/variant]; may be given again.")
    ] = None,
    mode: Annotated[
        Mode | None,
        typer.Option(
            "--mode",
            help="erofs unless a policy says otherwise; overlayfs keeps layers apart; block (or overlaybd) is a disk "
            "that containers write to clones of.",
        ),
    ] = None,
    virtual_size: Annotated[
        int | None,
        typer.Option("--virtual-size-gb", min=1, max=65_536, help="Size of the disk in GiB, in mode block."),
    ] = None,
    tls_ca: Annotated[
        Path | None, typer.Option("--tls-ca", help="PEM file of authorities to trust besides the system's.")
    ] = None,
    plain_http: Annotated[bool, typer.Option("--plain-http", help="No TLS; for loopback that is the default.")] = False,
    credentials: Annotated[
        Path | None, typer.Option("--credentials", help="A config.json; default: where docker and podman look.")
    ] = None,
    mirror: Annotated[
        list[str] | None, typer.Option("--mirror", help="REGISTRY=HOST[:PORT], asked first; may be given again.")
    ] = None,
    store: StoreOption = STORE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Convert images to volumes. Safe to run again: what is there is not made twice, what was stopped goes on."""
    wanted = [one for source in sources for one in _wanted(source, platform or [], mode, virtual_size)]
    mirrors = _mirrors(mirror or [])
    results: list[Converted] = []
    with opened_store(store) as opened:
        registries = RegistryOptions(
            connection=Connection(ca_file=tls_ca, plain_http=plain_http),
            credentials=CredentialFile(credentials),
            mirrors=mirrors,
        )
        for one in wanted:
            with _progress(str(one.name)) as on_progress:
                results.append(convert(one.name, one.platform, opened, on_progress, registries, one.mode))
    rows = [{**row_of(r.image), "made": "before" if r.was_there else "now"} for r in results]
    print_rows([*COLUMNS, "made"], rows, output)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    name: ImageName
    platform: Platform
    mode: modes.Mode


def _wanted(source: str, platforms: list[str], mode: Mode | None, size_gib: int | None) -> list[_Wanted]:
    """What an argument stands for: a policy file when there is one of that name. Options come before what it says."""
    try:
        if Path(source).exists():
            return [
                one for policy in _conversions(Path(source)) for one in _of_policy(policy, platforms, mode, size_gib)
            ]
        name, chosen = parse_image_name(source), _mode(mode.plain if mode else modes.EROFS.name, size_gib)
        return [_Wanted(name=name, platform=one, mode=chosen) for one in _platforms(platforms)]
    except ImageNameError as error:
        raise typer.BadParameter(f"'{source}' {error}") from error
    except ImageError as error:
        raise typer.BadParameter(str(error)) from error


def _mode(name: str, size_gib: int | None) -> modes.Mode:
    mode = modes.MODES[name]
    if size_gib is None:
        return mode
    if not mode.is_disk:
        raise typer.BadParameter(f"--virtual-size-gb is the size of a disk, and mode {name} makes none")
    return mode.sized(size_gib)


def _mirrors(texts: list[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        registry, sign, host = text.partition("=")
        if not (registry and sign and host) or "/" in host:
            raise typer.BadParameter(f"'{text}' is no mirror; expected REGISTRY=HOST[:PORT]")
        found[registry] = (*found.get(registry, ()), host)
    return found


def _conversions(path: Path) -> tuple[ImageConversion, ...]:
    found = load_policies([path]).set.conversions
    if not found:
        raise fail(f"{path} holds no ImageConversion")
    return found


def _of_policy(policy: ImageConversion, platforms: list[str], mode: Mode | None, size_gib: int | None) -> list[_Wanted]:
    platform_names = _platforms(platforms or list(policy.platforms))
    name = mode.plain if mode else policy.mode
    wanted = size_gib or (policy.virtual_size_gib if name == policy.mode else None)
    return [_Wanted(name=policy.source, platform=one, mode=_mode(name, wanted)) for one in platform_names]


def _platforms(texts: list[str]) -> list[Platform]:
    return [parse_platform(text) for text in texts] or [machine_platform(machine.machine())]


@contextmanager
def _progress(name: str) -> Generator[Callable[[str, int, int], None]]:
    """A bar on a terminal, nothing in a pipe."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        tasks: dict[str, Any] = {}

        def on_progress(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bar.add_task(f"{name}: {phase}", total=total)
            bar.update(tasks[phase], completed=done)

        yield on_progress


COLUMNS = ("digest", "platform", "mode", "layers", "volumes", "size", "names")


def row_of(image: StoredImage) -> dict[str, object]:
    return {
        "digest": image.manifest_digest,
        "platform": image.platform,
        "mode": image.mode,
        "layers": len(image.layers),
        "volumes": len(image.volumes),
        "size": image.size_bytes,
        "names": ", ".join(image.names),
    }


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
        opened.remove(opened.find(image, mode.plain if mode else ""))
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
