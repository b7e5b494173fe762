"""One control plane for each process that runs tests, and Turnout's kinds in it."""

from __future__ import annotations

import time
from collections.abc import Generator
from pathlib import Path
from typing import Final

import pytest
import yaml
from typer.testing import CliRunner

from cli.main import app
from tests.kubernetes.controlplane import ControlPlane, RefusedError, control_plane

DEFINITIONS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ESTABLISH_S: Final = 30


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[ControlPlane]:
    folder: Path = tmp_path_factory.mktemp("control-plane")
    with control_plane(folder) as found:
        yield found


@pytest.fixture(scope="session")
def turnout_kinds(running: ControlPlane) -> None:
    """As `turnout crds | kubectl apply --server-side -f -` does it, and until the server serves them."""
    printed = CliRunner().invoke(app, ["crds"])
    assert (printed.exit_code, printed.stderr) == (0, "")
    names: list[str] = []
    for definition in yaml.safe_load_all(printed.stdout):
        names.append(definition["metadata"]["name"])
        running.client.apply(f"{DEFINITIONS}/{names[-1]}", definition)
    end = time.monotonic() + ESTABLISH_S
    while not all(_is_served(running, name) for name in names):
        assert time.monotonic() < end, names
        time.sleep(0.1)


def _is_served(running: ControlPlane, name: str) -> bool:
    conditions = running.client.get(f"{DEFINITIONS}/{name}").get("status", {}).get("conditions", [])
    plural, _, group = name.partition(".")
    if ("Established", "True") not in {(one["type"], one["status"]) for one in conditions}:
        return False
    try:
        return running.client.find(f"/apis/{group}/v1alpha1/{plural}") is not None
    except RefusedError as error:
        if error.code != 429:  # storage is (re)initializing
            raise
        return False
