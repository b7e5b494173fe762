"""Metrics of `turnout agent storage`. Imported only where they are asked for."""

from __future__ import annotations

from pathlib import Path

import typer

from agents.metrics.server import METRICS, PageServer, ServingError, metrics_page, parse_address
from agents.storage.io.events import Event
from agents.storage.metrics import Metrics
from agents.storage.snapshotter import Snapshotter
from agents.storage.wire.errors import ImageError


class Watching:
    """What has happened, for Prometheus to ask about at `address`. Raises BadParameter where that is none."""

    def __init__(self, address: str) -> None:
        try:
            self._address = parse_address(address)
        except ServingError as error:
            raise typer.BadParameter(str(error)) from error
        self._metrics = Metrics()
        self._server: PageServer | None = None

    def hear(self, event: Event) -> None:
        self._metrics.hear(event)

    def serve(self, snapshots: Snapshotter, root: Path, store: Path, layer_cache: Path | None) -> None:
        """Until `close`."""
        self._metrics.look_at(snapshots, root, store, layer_cache)
        try:
            self._server = PageServer(self._address, {METRICS: metrics_page(self._metrics.registry)})
        except ServingError as error:
            raise ImageError(str(error)) from error

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
