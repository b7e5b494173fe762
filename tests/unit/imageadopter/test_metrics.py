"""The adopter's figures, what its probes say, options that are refused, and what docs/images.md says of all of that."""

from __future__ import annotations

import re
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from agents.cluster.apiserver import ApiServer
from agents.cluster.objects import CONVERSIONS, NODES, Object
from agents.cluster.observing import Restart
from agents.imageadopter.adopter import Adopter, Settings
from agents.imageadopter.metrics import PREFIX, Metrics
from agents.imageadopter.observing import Result, Seen
from agents.imageadopter.tlsfiles import copy
from agents.storage.io.nbdtls import NbdTls
from cli.main import app

DOCS: Final = (Path(__file__).parents[3] / "docs" / "images.md").read_text()


def filled() -> Metrics:
    metrics = Metrics()
    metrics.answered("GET", "nodes", "200", 0.1)
    metrics.watch_restarted("nodes", Restart.EXPIRED)
    metrics.tried(Result.FAILED)
    metrics.adopted(1.5)
    metrics.look_at(lambda: Seen(wanted=3, adopted=2, heard_at_s={"nodes": 5.0}))
    return metrics


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name.removeprefix(f"{PREFIX}_"), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(generate_latest(metrics.registry).decode())
        for sample in family.samples
    }


def test_what_is_told_is_counted() -> None:
    found = samples(filled())
    assert found["adoptions_total", frozenset({("result", "failed")})] == 1
    assert found["adoptions_total", frozenset({("result", "adopted")})] == 0
    assert found["adoption_seconds_sum", frozenset()] == 1.5
    assert found["wanted_conversions", frozenset()] == 3
    assert found["adopted_conversions", frozenset()] == 2
    assert found["watch_heard_timestamp_seconds", frozenset({("resource", "nodes")})] == 5
    assert found["watch_restarts_total", frozenset({("resource", "nodes"), ("reason", "expired")})] == 1


def test_every_metric_is_documented_and_no_other() -> None:
    documented = set(re.findall(rf"^\| `({PREFIX}_[a-z_]+)` ", DOCS, re.MULTILINE))
    text = generate_latest(filled().registry).decode()
    named = set(re.findall(rf"^# TYPE ({PREFIX}_[a-z_]+) ", text, re.MULTILINE))
    assert documented == named


def test_every_option_is_documented() -> None:
    shown = CliRunner().invoke(app, ["agent", "image-adopter", "--help"], env={"COLUMNS": "200"})
    options = set(re.findall(r"^  (--[a-z-]+)", shown.stdout, re.MULTILINE))
    section = DOCS.partition("## Nodes that adopt by themselves")[2].partition("\n## ")[0]
    assert {option for option in options if option not in section} == set()
    assert len(options) >= 13


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tls-ca", "x"], "--tls-ca, --tls-cert and --tls-key go together: both sides show a certificate"),
        (["--tls-copies", "x"], "there are no files to copy: expected --tls-ca, --tls-cert and --tls-key"),
        (["--metrics", ":1"], "every address is more than loopback, and metrics have no passwords"),
        (["--metrics-insecure"], "it is about --metrics, which is not given"),
    ],
)
def test_options_that_contradict_each_other(options: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["agent", "image-adopter", "--node", "two", *options], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nbds://volumes", "expected {address} or {node}"),
        ("http://{address}", "'http://10.0.0.1' is no server of volumes"),
        ("nbds://{address}?x=y", "behind nbds://HOST[:PORT] may be ?tls-hostname=NAME"),
    ],
)
def test_servers_that_the_controller_refuses(text: str, said: str) -> None:
    options = ["--image", "i", "--namespace", "n", "--volume-server", text]
    done = CliRunner().invoke(app, ["agent", "image-controller", *options], env={"COLUMNS": "250"})
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())


class Cluster(ApiServer):
    """With one node, which is not this one, and nothing else; nothing changes."""

    def __init__(self) -> None:
        self.ended = Event()

    def list_all(self, path: str, query: Mapping[str, str]) -> tuple[list[Object], str]:
        assert query == {"fieldSelector": "metadata.name=two" if path == NODES else "status.ready=true"}
        return ([{"metadata": {"name": "other", "resourceVersion": "1"}}] if path == NODES else []), "5"

    @contextmanager
    def watch(self, path: str, query: Mapping[str, str], lasts_s: int) -> Generator[Generator[Object]]:
        assert (path in (NODES, CONVERSIONS), query["resourceVersion"], lasts_s > 0) == (True, "5", True)

        def events() -> Generator[Object]:
            self.ended.wait(20)
            yield from ()

        yield events()


def test_a_node_that_the_cluster_does_not_have_is_not_ready(tmp_path: Path) -> None:
    """And nothing is let go meanwhile."""
    stop, cluster = Event(), Cluster()
    found = Adopter(cluster, Settings(node="two", namespace="n", store=tmp_path / "store"), Metrics())
    assert found.unready() == ["imageconversions: not listed yet", "nodes: not listed yet"]
    thread = Thread(target=found.run, args=(stop,))
    thread.start()
    end = time.monotonic() + 20
    while found.unready() != ["the cluster has no node two"]:
        assert time.monotonic() < end
        stop.wait(0.01)
    assert found.stuck() == []
    stop.set()
    cluster.ended.set()
    found.wake()
    thread.join(20)
    assert not thread.is_alive()
    assert not (tmp_path / "store").exists()


def test_files_for_the_storage_agent_follow_ours(tmp_path: Path) -> None:
    names = {"ca.crt": "authority", "tls.crt": "certificate", "tls.key": "key"}
    for name, text in names.items():
        (tmp_path / name).write_text(text)
    tls = NbdTls(ca=tmp_path / "ca.crt", certificate=tmp_path / "tls.crt", key=tmp_path / "tls.key")
    copies = tmp_path / "copies"
    copy(tls, copies)
    before = {path.name: path.stat().st_ino for path in copies.iterdir()}
    assert {path.name: path.read_text() for path in copies.iterdir()} == names
    assert {path.stat().st_mode & 0o777 for path in copies.iterdir()} == {0o600}
    (tmp_path / "tls.key").write_text("another")
    copy(tls, copies)
    assert (copies / "tls.key").read_text() == "another"
    after = {path.name: path.stat().st_ino for path in copies.iterdir()}
    assert {name for name in names if before[name] != after[name]} == {"tls.key"}


DEPLOY = Path(__file__).parents[3] / "deploy"


def daemon_sets() -> dict[str, Any]:
    """Those of deploy/image-nodes.yaml by name."""
    documents = yaml.safe_load_all((DEPLOY / "image-nodes.yaml").read_text())
    return {one["metadata"]["name"]: one for one in documents if one["kind"] == "DaemonSet"}


def test_the_examples_name_what_the_daemon_set_has() -> None:
    template = daemon_sets()["turnout-image-adopter"]["spec"]["template"]
    (container,) = template["spec"]["containers"]
    monitor, policy = (
        yaml.safe_load((DEPLOY / f"image-nodes-{name}.yaml").read_text()) for name in ("podmonitor", "networkpolicy")
    )
    for selector in (monitor["spec"]["selector"], policy["spec"]["podSelector"]):
        assert selector["matchLabels"].items() <= template["metadata"]["labels"].items()
    asked = {one["port"] for one in (*monitor["spec"]["podMetricsEndpoints"], *policy["spec"]["ingress"][0]["ports"])}
    assert asked == {"metrics"}
    assert "metrics" in {port["name"] for port in container["ports"]}


def test_what_deploy_gives_them_are_options_that_there_are() -> None:
    sets = daemon_sets()
    assert len(sets) == 2
    for one in sets.values():
        (container,) = one["spec"]["template"]["spec"]["containers"]
        words = container["command"][1:]
        shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200"})
        there = set(re.findall(r"^  (--[a-z-]+)", shown.stdout, re.MULTILINE))
        assert {text.partition("=")[0] for text in container["args"]} <= there
