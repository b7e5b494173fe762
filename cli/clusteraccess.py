"""The API server of a cluster, as agents are told of it: where it is, and the namespace that they write in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agents.cluster.apiserver import ApiServer
from agents.cluster.connecting import connection, own_namespace
from agents.cluster.errors import ClusterError
from agents.cluster.observing import RequestObserver
from cli.console import fail

KubeconfigOption = Annotated[
    Path | None, typer.Option("--kubeconfig", help="Default: $KUBECONFIG, else as a Pod connects.")
]


def connected(
    kubeconfig: Path | None, namespace: str | None, observer: RequestObserver, agent: str
) -> tuple[ApiServer, str]:
    """The server, asked as `agent`, and the namespace, by default that of this Pod. Fails as a command does."""
    try:
        server = ApiServer(connection(kubeconfig), observer, agent)
        where = namespace or own_namespace()
    except ClusterError as error:
        raise fail(str(error)) from error
    if not where:
        raise typer.BadParameter("not in a Pod: expected --namespace", param_hint="--namespace")
    return server, where
