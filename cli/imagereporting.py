"""`turnout image convert --report`: a conversion that a Job of a cluster runs tells that Job how far it is."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from agents.cluster.apiserver import ApiServer
from agents.cluster.connecting import connection
from agents.cluster.errors import ClusterError
from agents.imagecontroller.jobreports import reporting
from agents.storage.conversionstatus import status_of
from agents.storage.io.conversionrecords import Wanted
from agents.storage.io.store import Store
from agents.storage.wire.errors import ImageError
from cli.console import fail


@contextmanager
def reported(job: str | None, store: Path, wanted: Wanted, platforms: Sequence[str]) -> Generator[None]:
    """Around one conversion and what records it; `job` is NAMESPACE/NAME, None for nobody to tell."""
    if job is None:
        yield
        return
    namespace, sign, name = job.partition("/")
    if not (namespace and sign and name):
        raise typer.BadParameter(f"'{job}' is no Job; expected NAMESPACE/NAME", param_hint="--report")

    def status() -> dict[str, Any]:
        try:
            opened = Store(store)
            try:
                return status_of(opened, wanted, platforms).model_dump(mode="json", by_alias=True)
            finally:
                opened.close()
        except ImageError as error:
            raise ClusterError(str(error)) from error

    try:
        server = ApiServer(connection(None))
        try:
            with reporting(server, namespace, name, status):
                yield
        finally:
            server.close()
    except ClusterError as error:
        raise fail(f"Job {job} is not told: {error}") from error
