"""`turnout agent image-controller`: the options of the controller, and running it until it is told to end."""

from __future__ import annotations

import logging
import os
import re
import secrets
import signal
import socket
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from agents.imagecontroller.controller import Controller
from agents.imagecontroller.errors import ClusterError
from agents.imagecontroller.io.apiserver import ApiServer
from agents.imagecontroller.io.connecting import connection, own_namespace
from agents.imagecontroller.metrics import Metrics
from agents.imagecontroller.translate.jobs import Settings
from agents.metrics.server import (
    METRICS,
    BeyondLoopbackError,
    Page,
    PageServer,
    ServingError,
    TcpAddress,
    metrics_page,
    parse_tcp,
    probe_page,
)
from cli.console import fail, say

_LABEL = re.compile(r"([^=,\s]+)=([^=,\s]*)")


def image_controller(
    image: Annotated[str, typer.Option("--image", help="Image of the Jobs, in which there is `turnout`.")],
    namespace: Annotated[
        str | None, typer.Option("--namespace", help="Where Jobs and the lease are. Default: that of this Pod.")
    ] = None,
    store: Annotated[
        Path, typer.Option("--store", help="Folder on the nodes that converted images are kept in.")
    ] = Path("/var/lib/turnout/images"),
    node_label: Annotated[
        list[str] | None,
        typer.Option("--node-label", help="KEY=VALUE of nodes that convert; of several, all. Default: every node."),
    ] = None,
    account: Annotated[str, typer.Option("--job-account", help="ServiceAccount of the Jobs.")] = "turnout-conversion",
    registry_secret: Annotated[
        str,
        typer.Option("--registry-secret", help="Secret (kubernetes.io/dockerconfigjson) with passwords of registries."),
    ] = "",
    convert_option: Annotated[
        list[str] | None,
        typer.Option(
            "--convert-option", help="More for `turnout image convert`, such as --mirror=docker.io=mirror.example.com."
        ),
    ] = None,
    attempts: Annotated[int, typer.Option("--attempts", min=1, max=100, help="How often one is tried.")] = 5,
    first_wait: Annotated[
        float, typer.Option("--first-wait", min=0.1, help="Seconds behind a failed attempt; then twice as many.")
    ] = 10.0,
    node_patience: Annotated[
        float, typer.Option("--node-patience", min=1, help="Seconds that a node may be not ready.")
    ] = 300.0,
    kept: Annotated[int, typer.Option("--keep-jobs", min=0, help="Seconds that ended Jobs stay.")] = 3600,
    lease: Annotated[
        int, typer.Option("--lease", min=3, max=300, help="Seconds until another controller takes over.")
    ] = 15,
    metrics: Annotated[
        str | None,
        typer.Option("--metrics", help="Where Prometheus finds metrics: ADDRESS:PORT, or :PORT for every address."),
    ] = None,
    metrics_insecure: Annotated[
        bool, typer.Option("--metrics-insecure", help="Serve them beyond loopback, without TLS or passwords.")
    ] = False,
    health: Annotated[
        str | None,
        typer.Option("--health", help="Where probes find /healthz and /readyz: ADDRESS:PORT, or :PORT."),
    ] = None,
    kubeconfig: Annotated[
        Path | None, typer.Option("--kubeconfig", help="Default: $KUBECONFIG, else as a Pod connects.")
    ] = None,
) -> None:
    """Convert what ImageConversions of a Kubernetes cluster ask for, by Jobs, one at a time a node. Several may run;
    one of them acts."""
    labels = tuple(_label(text) for text in node_label or ())
    shown_at = _metrics_address(metrics, metrics_insecure)
    asked_at = None if health is None else _address(health, "--health", beyond_loopback=True)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    figures = Metrics()
    try:
        server = ApiServer(connection(kubeconfig), figures)
        where = namespace or own_namespace()
    except ClusterError as error:
        raise fail(str(error)) from error
    if not where:
        raise typer.BadParameter("not in a Pod: expected --namespace", param_hint="--namespace")
    settings = Settings(
        namespace=where,
        image=image,
        store=str(store.absolute()),
        account=account,
        registry_secret=registry_secret,
        options=tuple(convert_option or ()),
        node_labels=labels,
        attempts=attempts,
        first_wait_s=first_wait,
        node_patience_s=node_patience,
        kept_s=kept,
    )
    identity = f"{socket.gethostname()}_{os.getpid()}_{secrets.token_hex(4)}"
    controller = Controller(server, settings, identity, lease, figures)
    figures.look_at(controller.seen)
    stop = Event()

    def end(_number: int, _frame: object) -> None:
        stop.set()
        controller.wake()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    servers = _serve(shown_at, asked_at, figures, controller)
    say(f"ImageConversions are converted by Jobs in {where}; this is {identity}")
    controller.run(stop)
    for one in servers:
        one.close()
    server.close()


def _metrics_address(text: str | None, is_insecure: bool) -> TcpAddress | None:
    if text is not None:
        return _address(text, "--metrics", beyond_loopback=is_insecure)
    if is_insecure:
        raise typer.BadParameter("it is about --metrics, which is not given", param_hint="--metrics-insecure")
    return None


def _address(text: str, option: str, *, beyond_loopback: bool) -> TcpAddress:
    try:
        return parse_tcp(text, beyond_loopback=beyond_loopback)
    except BeyondLoopbackError as error:
        hint = "give --metrics-insecure where whoever reaches it may read them"
        raise typer.BadParameter(f"{error}: {hint}", param_hint=option) from error
    except ServingError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _serve(
    shown_at: TcpAddress | None, asked_at: TcpAddress | None, figures: Metrics, controller: Controller
) -> list[PageServer]:
    """All at one place, where both are the same."""
    pages: dict[TcpAddress, dict[str, Page]] = {}
    if shown_at is not None:
        pages[shown_at] = {METRICS: metrics_page(figures.registry)}
    if asked_at is not None:
        probes = {"/healthz": probe_page(controller.stuck), "/readyz": probe_page(controller.unready)}
        pages[asked_at] = pages.get(asked_at, {}) | probes
    try:
        return [PageServer(address, found) for address, found in pages.items()]
    except ServingError as error:
        raise fail(str(error)) from error


def _label(text: str) -> tuple[str, str]:
    found = _LABEL.fullmatch(text)
    if found is None:
        raise typer.BadParameter(f"'{text}' is no label; expected KEY=VALUE", param_hint="--node-label")
    return found[1], found[2]
