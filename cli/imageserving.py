"""`turnout image serve` and `adopt`: volumes read from another node. The other commands of `image` are cli.image's."""

from __future__ import annotations

import signal
from ipaddress import ip_address
from pathlib import Path
from threading import Event
from typing import Annotated, Final

import typer

from agents.storage.adoption import adopt
from agents.storage.io.chains import converted_names, volumes_of_images
from agents.storage.io.volumefiles import recorded_traces
from agents.storage.io.volumeserver import VolumeServer
from agents.storage.wire.errors import ImageError
from agents.storage.wire.remotes import Server, parse_server
from cli.console import Output, fail, print_rows, say
from cli.image import app
from cli.imagestore import COLUMNS, OutputOption, opened_store, row_of
from cli.places import STORE, StoreOption
from cli.volumetls import CaOption, CertOption, KeyOption, volume_tls

__all__ = ["app"]

_LOOK_S: Final = 1.0


@app.command()
def serve(
    listen: Annotated[
        str, typer.Option("--listen", help="HOST[:PORT] to be reached at, without passwords; port 10809 by default.")
    ],
    store: StoreOption = STORE,
    tls_ca: CaOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
) -> None:
    """Let other nodes read the volumes of this store over NBD, those of modes erofs and overlayfs; with TLS those nodes
    that have a certificate. Runs until it is told to end, or the storage daemon that serves them has died."""
    tls = volume_tls(tls_ca, tls_cert, tls_key)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    try:
        server = VolumeServer(store.absolute(), _server(f"[{listen}]" if _is_ipv6(listen) else listen), tls)
    except (ImageError, OSError) as error:
        raise fail(str(error)) from error
    try:
        _keep_published(server, store.absolute(), stop)
        if not stop.is_set():
            raise fail(f"{server.listen}: the storage daemon that served it is gone")
    finally:
        server.close()


def _is_ipv6(text: str) -> bool:
    """Bare, as a Pod is told its node's address."""
    try:
        return ip_address(text).version == 6
    except ValueError:
        return False


def _keep_published(server: VolumeServer, store: Path, stop: Event) -> None:
    """As long as it can be. What could not be exported is tried again at the next look; the first time it ends the
    command."""
    seen: object = None
    while not stop.is_set() and server.is_running:
        try:
            found = (converted_names(store), volumes_of_images(store), recorded_traces(store))
            if found != seen:
                say(f"{server.publish()} volumes of {store} at {server.listen}")
                seen = found
        except (ImageError, OSError) as error:
            if seen is None:
                raise fail(str(error)) from error
            say(f"turnout: warning: {error}")
        stop.wait(_LOOK_S)


@app.command("adopt")
def adopt_command(
    server: Annotated[
        str,
        typer.Argument(
            help="[nbd://]HOST[:PORT] of `turnout image serve`; nbds://HOST[:PORT] for TLS, with ?tls-hostname=NAME "
            "where its certificate names something else.",
            show_default=False,
        ),
    ],
    images: Annotated[
        list[str] | None, typer.Argument(help="Names they were converted by there; all by default.", show_default=False)
    ] = None,
    store: StoreOption = STORE,
    output: OutputOption = Output.TABLE,
    tls_ca: CaOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
) -> None:
    """Record images of another node: containers here read their volumes from there. Safe to run again. In a Kubernetes
    cluster `turnout agent image-adopter` does it by itself."""
    wanted, tls = _server(server), volume_tls(tls_ca, tls_cert, tls_key)
    with opened_store(store) as opened:
        found = adopt(wanted, images or [], opened, tls)
    print_rows(COLUMNS, [row_of(image) for image in found], output)


def _server(text: str) -> Server:
    try:
        return parse_server(text)
    except ImageError as error:
        raise typer.BadParameter(str(error)) from error
