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
from agents.imagecontroller.metrics import Metrics
from agents.imagecontroller.translate.jobs import Settings
from agents.storage.wire.errors import ImageError
from agents.storage.wire.remotes import parse_server
from cli.clusteraccess import KubeconfigOption, connected
from cli.console import say
from cli.serving import HealthOption, InsecureOption, MetricsOption, health_address, metrics_address, serve

_SERVER = "--volume-server"
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
    volume_server: Annotated[
        str,
        typer.Option(
            "--volume-server",
            help="Where nodes read each other's volumes, such as nbds://{address}?tls-hostname=NAME; {address} is the "
            "node's InternalIP, {node} its name. Default: they do not.",
        ),
    ] = "",
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
    metrics: MetricsOption = None,
    metrics_insecure: InsecureOption = False,
    health: HealthOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Convert what ImageConversions of a Kubernetes cluster ask for, by Jobs, one at a time a node. Several may run;
    one of them acts."""
    labels = tuple(_label(text) for text in node_label or ())
    shown_at = metrics_address(metrics, metrics_insecure)
    asked_at = health_address(health)
    _check_server(volume_server)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    figures = Metrics()
    server, where = connected(kubeconfig, namespace, figures, "turnout-image-controller")
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
        volume_server=volume_server,
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
    servers = serve(shown_at, asked_at, figures.registry, controller.stuck, controller.unready)
    say(f"ImageConversions are converted by Jobs in {where}; this is {identity}")
    controller.run(stop)
    for one in servers:
        one.close()
    server.close()


def _check_server(template: str) -> None:
    """As it will be for a node."""
    if not template:
        return
    if "{address}" not in template and "{node}" not in template:
        raise typer.BadParameter(
            "every node would be the same server: expected {address} or {node}", param_hint=_SERVER
        )
    try:
        parse_server(template.replace("{address}", "10.0.0.1").replace("{node}", "node"))
    except ImageError as error:
        raise typer.BadParameter(str(error), param_hint=_SERVER) from error


def _label(text: str) -> tuple[str, str]:
    found = _LABEL.fullmatch(text)
    if found is None:
        raise typer.BadParameter(f"'{text}' is no label; expected KEY=VALUE", param_hint="--node-label")
    return found[1], found[2]
