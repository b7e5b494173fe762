"""`turnout agent image-adopter`: the options of the adopter, and running it until it is told to end."""

from __future__ import annotations

import logging
import signal
from pathlib import Path
from threading import Event, Thread
from typing import Annotated, Final

import typer

from agents.imageadopter.adopter import Adopter, Settings
from agents.imageadopter.metrics import Metrics
from agents.imageadopter.tlsfiles import keep_copied
from cli.clusteraccess import KubeconfigOption, connected
from cli.console import say
from cli.places import STORE, StoreOption
from cli.serving import HealthOption, InsecureOption, MetricsOption, health_address, metrics_address, serve
from cli.volumetls import CaOption, CertOption, KeyOption, volume_tls

_END_S: Final = 5.0


def image_adopter(
    node: Annotated[
        str, typer.Option("--node", envvar="NODE_NAME", help="This node, as the cluster calls it.", show_default=False)
    ],
    namespace: Annotated[
        str | None, typer.Option("--namespace", help="Where it is told what is adopted. Default: that of this Pod.")
    ] = None,
    store: StoreOption = STORE,
    jitter: Annotated[
        float, typer.Option("--jitter", min=0, help="Seconds within which nodes begin, each at its own time.")
    ] = 2.0,
    keep: Annotated[
        float, typer.Option("--keep", min=0, help="Seconds that an image stays which nothing asks for any more.")
    ] = 300.0,
    report_interval: Annotated[
        float, typer.Option("--report-interval", min=0, help="Seconds between two reports of this node, at least.")
    ] = 10.0,
    tls_ca: CaOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
    tls_copies: Annotated[
        Path | None,
        typer.Option(
            "--tls-copies", help="Folder in which the three files are kept for the storage agent, which is in no Pod."
        ),
    ] = None,
    metrics: MetricsOption = None,
    metrics_insecure: InsecureOption = False,
    health: HealthOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Have this node adopt what other nodes of a Kubernetes cluster have converted, as its ImageConversions say, and
    let go of what they say no more. One a node."""
    tls = volume_tls(tls_ca, tls_cert, tls_key)
    if tls_copies is not None and tls is None:
        raise typer.BadParameter("there are no files to copy: expected --tls-ca, --tls-cert and --tls-key")
    shown_at = metrics_address(metrics, metrics_insecure)
    asked_at = health_address(health)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    figures, stop = Metrics(), Event()
    server, where = connected(kubeconfig, namespace, figures, "turnout-image-adopter")
    settings = Settings(
        node=node,
        namespace=where,
        store=store.absolute(),
        tls=tls,
        jitter_s=jitter,
        kept_s=keep,
        report_s=report_interval,
    )
    adopter = Adopter(server, settings, figures)
    figures.look_at(adopter.seen)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    servers = serve(shown_at, asked_at, figures.registry, adopter.stuck, adopter.unready)
    if tls is not None and tls_copies is not None:
        keep_copied(tls, tls_copies.absolute(), stop)
    say(f"node {node} adopts what ImageConversions say, into {store}")
    # It may be waiting for a conversion on this node, which has the store to itself.
    thread = Thread(target=adopter.run, args=(stop,), name="adopter", daemon=True)
    thread.start()
    stop.wait()
    adopter.wake()
    thread.join(_END_S)
    for one in servers:
        one.close()
    server.close()
