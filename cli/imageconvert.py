"""`turnout image convert`: images to volumes, by name or as policies ask for, and into registries."""

from __future__ import annotations

import platform as machine
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from agents.storage.conversion import Converted, OnProgress, convert
from agents.storage.io.conversionrecords import Wanted, recording
from agents.storage.io.registryoptions import RegistryOptions
from agents.storage.io.store import Store
from agents.storage.publication import publish
from agents.storage.translate import modes
from agents.storage.translate.platforms import machine_platform, parse_platform
from agents.storage.wire.errors import ImageError
from agents.storage.wire.oci import Platform
from cli.console import Output, fail, print_rows
from cli.imagereporting import reported
from cli.imagestore import COLUMNS, Compression, Mode, OutputOption, opened_store, row_of
from cli.places import STORE, StoreOption
from cli.policies import load_policies, load_policy_text
from cli.registryoptions import CaOption, CredentialsOption, MirrorOption, PlainOption, registries
from compiler.policy.imagenames import ImageName, ImageNameError, RegistryImage, parse_destination, parse_image_name
from compiler.policy.policyset import ImageConversion
from compiler.policy.signingkeys import EXPECTED as KEY_EXPECTED
from compiler.policy.signingkeys import LONGEST_PEM, SigningKey, SigningKeyError, parse_signing_key


def convert_command(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            help="Policy files with ImageConversions, or images: [registry/]repository[:tag][@digest], "
            "oci:DIRECTORY[:NAME], oci-archive:FILE[:NAME].",
            show_default=False,
        ),
    ] = None,
    policy: Annotated[
        str | None, typer.Option("--policy", help="An ImageConversion itself, as YAML or JSON, instead of sources.")
    ] = None,
    report: Annotated[
        str | None,
        typer.Option("--report", help="NAMESPACE/NAME of the Kubernetes Job that runs this, to tell it how far it is."),
    ] = None,
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
    compression: Annotated[
        Compression | None,
        typer.Option(
            "--compression",
            help="none unless a policy says otherwise; lz4 makes volumes smaller, for slow links; not in mode block.",
        ),
    ] = None,
    tls_ca: CaOption = None,
    plain_http: PlainOption = False,
    credentials: CredentialsOption = None,
    mirror: MirrorOption = None,
    dest: Annotated[
        str | None,
        typer.Option("--dest", help="Push the one image that is converted here: [registry/]repository[:tag]."),
    ] = None,
    signed_by: Annotated[
        list[Path] | None,
        typer.Option("--signed-by", help="PEM file of a public key that must have signed the image; of several, one."),
    ] = None,
    store: StoreOption = STORE,
    output: OutputOption = Output.TABLE,
) -> None:
    """Convert images to volumes, and push those that have a destination. Safe to run again: what is there is not made
    or sent twice, what was stopped goes on."""
    if (policy is None) == (not sources):
        raise typer.BadParameter("expected either SOURCES or --policy")
    chosen = _Chosen(platforms=platform or [], mode=mode, size_gib=virtual_size, compression=compression)
    if policy is not None:
        wanted = [_of_policy(one, chosen) for one in load_policy_text(policy).set.conversions]
    else:
        wanted = [one for source in sources or () for one in _wanted(source, chosen)]
    if report is not None and len(wanted) != 1:
        raise typer.BadParameter(f"--report is about one conversion, and these are {len(wanted)}")
    if signed_by:
        keys = tuple(_key(path) for path in signed_by)
        wanted = [replace(one, signed_by=keys) for one in wanted]
    if dest is not None:
        wanted = [_destined(wanted, dest)]
    rows: list[dict[str, object]] = []
    with opened_store(store) as opened:
        options = registries(credentials, tls_ca, plain_http, mirror)
        for one in wanted:
            platforms = [str(one_of_them) for one_of_them in one.platforms]
            with (
                reported(report, store, _recorded(one), platforms),
                recording(store, _recorded(one)) as record,
                _progress(str(one.name), record) as on_progress,
            ):
                rows += _made(one, opened, options, on_progress)
    signed = ["signed"] if any(one.signed_by for one in wanted) else []
    pushed = ["pushed"] if any(one.destination for one in wanted) else []
    print_rows([*COLUMNS, "made", *signed, *pushed], rows, output)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """Options that come before what policies say."""

    platforms: list[str]
    mode: Mode | None
    size_gib: int | None
    compression: Compression | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    name: ImageName
    platforms: tuple[Platform, ...]
    mode: modes.Mode
    destination: RegistryImage | None = None
    signed_by: tuple[SigningKey, ...] = ()


def _recorded(one: _Wanted) -> Wanted:
    destination = "" if one.destination is None else str(one.destination)
    return Wanted(source=str(one.name), mode=one.mode.name, destination=destination)


def _made(one: _Wanted, store: Store, options: RegistryOptions, on_progress: OnProgress) -> list[dict[str, object]]:
    results = [
        convert(one.name, platform, store, on_progress, options, one.mode, one.signed_by) for platform in one.platforms
    ]
    rows = [_told(result) for result in results]
    if one.destination is not None:
        published = publish(one.name, results, one.destination, store, options, on_progress)
        rows = [{**row, "pushed": f"{published.name}@{published.digest}"} for row in rows]
    images = [store.find(result.image.manifest_digest, result.image.mode) for result in results]
    return [{**row_of(image), **row} for image, row in zip(images, rows, strict=True)]


def _told(result: Converted) -> dict[str, object]:
    key = result.signed_by
    return {"made": "before" if result.was_there else "now", "signed": None if key is None else key.fingerprint}


def _key(path: Path) -> SigningKey:
    try:
        with path.open("rb") as file:
            return parse_signing_key(file.read(LONGEST_PEM + 1).decode("utf-8", "replace"))
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}") from error
    except SigningKeyError as error:
        raise typer.BadParameter(f"{path} {error}; expected {KEY_EXPECTED}") from error


def _destined(wanted: list[_Wanted], dest: str) -> _Wanted:
    if len(wanted) != 1:
        raise typer.BadParameter(f"--dest is where one image goes, and {len(wanted)} are converted")
    try:
        return replace(wanted[0], destination=parse_destination(dest))
    except ImageNameError as error:
        raise typer.BadParameter(f"'{dest}' {error}") from error


def _wanted(source: str, chosen: _Chosen) -> list[_Wanted]:
    """What an argument stands for: a policy file when there is one of that name."""
    try:
        if Path(source).exists():
            return [_of_policy(policy, chosen) for policy in _conversions(Path(source))]
        name = chosen.mode.plain if chosen.mode else modes.EROFS.name
        mode = _mode(name, chosen.size_gib, chosen.compression or Compression.NONE)
        return [_Wanted(name=parse_image_name(source), platforms=_platforms(chosen.platforms), mode=mode)]
    except ImageNameError as error:
        raise typer.BadParameter(f"'{source}' {error}") from error
    except ImageError as error:
        raise typer.BadParameter(str(error)) from error


def _mode(name: str, size_gib: int | None, compression: Compression) -> modes.Mode:
    mode = modes.MODES[name]
    if compression is Compression.LZ4:
        if mode.is_disk:
            raise typer.BadParameter(
                f"--compression lz4 is of modes erofs and overlayfs, and mode {name} writes a disk"
            )
        mode = mode.compressed()
    if size_gib is None:
        return mode
    if not mode.is_disk:
        raise typer.BadParameter(f"--virtual-size-gb is the size of a disk, and mode {name} makes none")
    return mode.sized(size_gib)


def _conversions(path: Path) -> tuple[ImageConversion, ...]:
    found = load_policies([path]).set.conversions
    if not found:
        raise fail(f"{path} holds no ImageConversion")
    return found


def _of_policy(policy: ImageConversion, chosen: _Chosen) -> _Wanted:
    """What it says about volumes of one kind is left out where an option chooses the other."""
    name = chosen.mode.plain if chosen.mode else policy.mode
    size = chosen.size_gib or (policy.virtual_size_gib if name == policy.mode else None)
    compression = chosen.compression or (
        Compression.NONE if modes.MODES[name].is_disk else Compression(policy.compression)
    )
    return _Wanted(
        name=policy.source,
        platforms=_platforms(chosen.platforms or list(policy.platforms)),
        mode=_mode(name, size, compression),
        destination=policy.destination,
        signed_by=policy.signed_by,
    )


def _platforms(texts: list[str]) -> tuple[Platform, ...]:
    found = tuple(parse_platform(text) for text in dict.fromkeys(texts))
    return found or (machine_platform(machine.machine()),)


@contextmanager
def _progress(name: str, record: OnProgress) -> Generator[Callable[[str, int, int], None]]:
    """A bar on a terminal, nothing in a pipe; and the record."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        tasks: dict[str, Any] = {}

        def on_progress(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bar.add_task(f"{name}: {phase}", total=total)
            bar.update(tasks[phase], completed=done)
            record(phase, done, total)

        yield on_progress
