"""Metrics and probes of agents that run in a cluster: options that say where, and serving them there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry

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
from cli.console import fail

Problems = Callable[[], Sequence[str]]
MetricsOption = Annotated[
    str | None,
    typer.Option("--metrics", help="Where Prometheus finds metrics: ADDRESS:PORT, or :PORT for every address."),
]
InsecureOption = Annotated[
    bool, typer.Option("--metrics-insecure", help="Serve them beyond loopback, without TLS or passwords.")
]
HealthOption = Annotated[
    str | None,
    typer.Option("--health", help="Where probes find /healthz and /readyz: ADDRESS:PORT, or :PORT."),
]


def health_address(text: str | None) -> TcpAddress | None:
    """Of --health; kubelets ask from the node's address."""
    return None if text is None else address_of(text, "--health", beyond_loopback=True)


def metrics_address(text: str | None, is_insecure: bool) -> TcpAddress | None:
    """Of --metrics and --metrics-insecure."""
    if text is not None:
        return address_of(text, "--metrics", beyond_loopback=is_insecure)
    if is_insecure:
        raise typer.BadParameter("it is about --metrics, which is not given", param_hint="--metrics-insecure")
    return None


def address_of(text: str, option: str, *, beyond_loopback: bool) -> TcpAddress:
    try:
        return parse_tcp(text, beyond_loopback=beyond_loopback)
    except BeyondLoopbackError as error:
        hint = "give --metrics-insecure where whoever reaches it may read them"
        raise typer.BadParameter(f"{error}: {hint}", param_hint=option) from error
    except ServingError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def serve(
    shown_at: TcpAddress | None,
    asked_at: TcpAddress | None,
    registry: CollectorRegistry,
    stuck: Problems,
    unready: Problems,
) -> list[PageServer]:
    """Metrics at the one, probes at the other; all at one place, where both are the same."""
    pages: dict[TcpAddress, dict[str, Page]] = {}
    if shown_at is not None:
        pages[shown_at] = {METRICS: metrics_page(registry)}
    if asked_at is not None:
        pages[asked_at] = pages.get(asked_at, {}) | {"/healthz": probe_page(stuck), "/readyz": probe_page(unready)}
    try:
        return [PageServer(address, found) for address, found in pages.items()]
    except ServingError as error:
        raise fail(str(error)) from error
