"""`turnout show backends`: the connections that are open to each backend, as the device counts them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
import yaml
from typer.testing import CliRunner

from cli.main import app
from runtime.device.modeltarget import ModelInstance
from runtime.device.server import Server
from runtime.device.status import status_pb2 as told
from runtime.verification.frames import frame, tcp
from tests.unit.device.test_status import with_server

pytestmark = pytest.mark.slow
SHOP = Path(__file__).parents[3] / "examples/shop.yaml"
VIP, CLIENT = "10.96.0.10", "10.1.0.10"
CLIENT_PORT = 16


def policies(folder: Path, algorithm: str) -> Path:
    documents = list(yaml.safe_load_all(SHOP.read_text()))
    for document in documents:
        if document["kind"] == "Device":
            document["spec"]["profile"] = "model"
        if document["kind"] == "DpuService" and document["metadata"]["namespace"] == "shop":
            document["spec"]["algorithm"] = algorithm
    path = folder / "shop.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    return path


def run(*words: str) -> str:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return done.stdout


def shown(address: str) -> list[dict[str, Any]]:
    return json.loads(run("show", "backends", "--device", f"dpu-a={address}", "-o", "json"))


def with_shop(folder: Path, algorithm: str, ask: Callable[[ModelInstance, str], None]) -> None:
    """A device of the model target to which the example's policies are applied."""

    def applied(server: Server, address: str) -> None:
        run("apply", str(policies(folder, algorithm)), "--device", f"dpu-a={address}")
        assert server.service is not None
        committed = server.service.parts.configs.committed
        assert committed is not None
        ask(cast("ModelInstance", committed.instance), address)

    with_server(folder, applied)


def send(instance: ModelInstance, port: int, flags: str = "S") -> None:
    instance.process(CLIENT_PORT, bytes(frame(CLIENT, VIP, tcp(port, 80, flags))))


def test_each_backend_has_the_connections_that_are_open_to_it(tmp_path: Path) -> None:
    def ask(instance: ModelInstance, address: str) -> None:
        assert [row["open_connections"] for row in shown(address)] == [0] * 12
        for port in range(20_000, 20_007):
            send(instance, port)
        mine = [row for row in shown(address) if (row["address"], row["port"]) == (VIP, 80)]
        assert sum(row["open_connections"] for row in mine) == 7
        flows = json.loads(run("show", "flows", "--device", address, "-o", "json"))
        assert {row["backend"]: row["open_connections"] for row in mine} == {
            row["backend"]: sum(flow["backend"] == row["backend"] for flow in flows) for row in mine
        }
        assert {(row["network"], row["service"], row["protocol"], row["weight"]) for row in mine} == {
            ("shop", "DpuService shop/web:http", "TCP", 1)
        }
        for port in range(20_000, 20_007):
            send(instance, port, "R")
        assert [row["open_connections"] for row in shown(address)] == [0] * 12

    with_shop(tmp_path, "LeastConnections", ask)


def test_other_algorithms_have_none(tmp_path: Path) -> None:
    def ask(instance: ModelInstance, address: str) -> None:
        send(instance, 20_000)
        assert shown(address) == []

    with_shop(tmp_path, "Maglev", ask)


def test_without_a_pipeline_nothing_counts(tmp_path: Path) -> None:
    def ask(_server: Server, address: str) -> None:
        with grpc.insecure_channel(address) as channel:
            call: Any = channel.unary_unary(
                "/turnout.device.v1.Status/GetCounts", told.GetCountsRequest.SerializeToString, told.Counts.FromString
            )
            assert call(told.GetCountsRequest()) == told.Counts()

    with_server(tmp_path, ask)
