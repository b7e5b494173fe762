"""`turnout agent storage`: containerd's snapshotter. It stays in memory on every node, so what is not always needed is
imported when it is."""

from __future__ import annotations

import logging
import os
import re
import signal
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Annotated

import typer

from agents.storage.io.events import Events, log_event
from agents.storage.io.registryoptions import RegistryOptions
from agents.storage.io.remotevolumes import Ahead
from agents.storage.snapshotservice import make_server
from agents.storage.snapshotter import Snapshotter
from agents.storage.translate.limits import parse_size
from agents.storage.wire.errors import ImageError
from cli.console import fail, say
from cli.places import ROOT, SOCKET, STORE, StoreOption
from cli.registryoptions import (
    RegistryCaOption,
    RegistryCredentialsOption,
    RegistryMirrorOption,
    RegistryPlainOption,
    registries,
)
from cli.volumetls import CaOption, CertOption, KeyOption, volume_tls

if TYPE_CHECKING:
    from agents.storage.layercache import LayerCache
    from cli.storagewatching import Watching


def storage(
    root: Annotated[
        Path, typer.Option("--root", help="Folder of the snapshots, on the same file system as the store.")
    ] = ROOT,
    listen: Annotated[Path, typer.Option("--listen", help="Unix socket for containerd's proxy plugin.")] = SOCKET,
    store: StoreOption = STORE,
    writable_size: Annotated[
        str | None,
        typer.Option(
            "--writable-size", help="How much a container may write, such as 10G, where no label of it says otherwise."
        ),
    ] = None,
    read_ahead: Annotated[
        str,
        typer.Option(
            "--read-ahead",
            help="How much of a volume is read before containers ask, by its trace, at most; 0 for none.",
        ),
    ] = "1G",
    local_copies: Annotated[
        bool, typer.Option(help="Fetch the rest of a volume on another node, too, and keep it here.")
    ] = True,
    layer_cache: Annotated[
        Path | None,
        typer.Option("--layer-cache", help="Folder to keep filled for containerd's own EROFS snapshotter."),
    ] = None,
    containerd: Annotated[
        Path | None,
        typer.Option(
            "--containerd", help="containerd's socket: what it has no more, and no image, leaves the layer cache."
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option("--metrics", help="Where Prometheus finds metrics: a unix socket's path, or 127.0.0.1:PORT."),
    ] = None,
    tls_ca: CaOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
    registry_credentials: RegistryCredentialsOption = None,
    registry_ca: RegistryCaOption = None,
    registry_plain_http: RegistryPlainOption = False,
    registry_mirror: RegistryMirrorOption = None,
) -> None:
    """Serve containerd's snapshots API: converted images start without being pulled. Needs root."""
    if containerd is not None and layer_cache is None:
        raise typer.BadParameter("--containerd says what may leave the folder of --layer-cache; there is none")
    writable_bytes = _size(writable_size)
    ahead = Ahead(most_bytes=_ahead_bytes(read_ahead), whole=local_copies)
    if os.geteuid():
        raise fail("only root can mount")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    tls = volume_tls(tls_ca, tls_cert, tls_key)
    watching = None if metrics is None else _watching(metrics)
    events = Events(log_event, *(() if watching is None else (watching.hear,)))
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    try:
        sources = registries(registry_credentials, registry_ca, registry_plain_http, registry_mirror)
        snapshots = Snapshotter(
            root.absolute(),
            store.absolute(),
            writable_bytes=writable_bytes,
            registries=sources,
            ahead=ahead,
            events=events,
            tls=tls,
        )
        cache = None if layer_cache is None else _layer_cache(layer_cache, store, containerd, events, sources)
        server = make_server(snapshots, listen.absolute(), events)
        if watching is not None:
            watching.serve(snapshots, root.absolute(), store.absolute(), layer_cache)
    except (ImageError, OSError) as error:
        raise fail(str(error)) from error
    server.start()
    if cache is not None:
        Thread(target=cache.watch, args=(stop,), name="layer-cache", daemon=True).start()
    say(f"snapshots in {root}, for containerd at {listen}")
    stop.wait()
    server.stop(grace=5).wait()
    if watching is not None:
        watching.close()
    snapshots.close()


def _watching(address: str) -> Watching:
    from cli.storagewatching import Watching

    return Watching(address)


def _layer_cache(
    folder: Path, store: Path, containerd: Path | None, events: Events, sources: RegistryOptions
) -> LayerCache:
    from agents.storage.layercache import LayerCache

    socket = None if containerd is None else containerd.absolute()
    return LayerCache(folder.absolute(), store.absolute(), registries=sources, containerd=socket, events=events)


def _size(text: str | None) -> int | None:
    try:
        return None if text is None else parse_size(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _ahead_bytes(text: str) -> int:
    found = re.fullmatch(r"(\d{1,6})([KMGT]?)", text, re.ASCII)
    if found is None:
        raise typer.BadParameter(f"'{text}' is no size; expected 0, or a number and K, M, G or T, such as 1G")
    return int(found[1]) << 10 * " KMGT".index(found[2] or " ")
