"""Metrics of an agent, scraped while containers come and go; events in its log; what docs/images.md says of both."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from agents.metrics.server import ServingError, parse_address
from agents.storage.io.conversionrecords import Wanted, recording
from agents.storage.io.events import Events, Kind, log_event
from agents.storage.metrics import PREFIX, Metrics
from agents.storage.snapshotter import Snapshotter
from agents.storage.translate.modes import BLOCK
from tests.images.agent import Agent, running_agent, wait_until
from tests.images.conversions import converted
from tests.images.node import Node, busybox, file_layer, node_with_metrics
from tests.images.registry import free_port
from tests.images.test_remote import Pair, pair
from tests.images.test_show_volumes import LAYER, claim, layout
from tests.images.versions import DEBIAN

__all__ = ["pair"]
DOCS = (Path(__file__).parents[2] / "docs" / "images.md").read_text()
Found = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Found:
    return {
        (sample.name.removeprefix(f"{PREFIX}_"), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Found, name: str, **labels: str) -> float:
    return found.get((name, frozenset(labels.items())), 0)


def total(found: Found, name: str) -> float:
    return sum(number for (one, _), number in found.items() if one == name)


def scraped(port: int) -> Found:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/metrics")
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Content-Type")) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return parsed(answer.read().decode())


def at_socket(path: Path, asked: str = "/metrics") -> tuple[int, str]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(path))
        client.sendall(f"GET {asked} HTTP/1.0\r\n\r\n".encode())
        answer = http.client.HTTPResponse(client)
        answer.begin()
        return answer.status, answer.read().decode()


def events(agent: Agent) -> list[dict[str, Any]]:
    return [json.loads(found) for found in re.findall(r"^INFO event (.*)$", agent.log, re.MULTILINE)]


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.peer
def test_what_real_containers_leave_in_the_figures() -> None:
    port = free_port()
    with node_with_metrics(DEBIAN, f"127.0.0.1:{port}") as node:
        layers = (busybox(), file_layer("etc/top", "top"))
        name, disk = node.image("web", *layers), node.image("disk", *layers, file_layer("etc/disk", "disk"))
        (volume,) = converted(name, node.agent.store).image.volumes
        converted(disk, node.agent.store, mode=BLOCK.sized(1))
        node.pull(name)
        node.pull(disk)
        before = scraped(port)
        assert value(before, "calls_total", method="Prepare", code="ALREADY_EXISTS") >= 2
        assert value(before, "volume_attached", volume=volume.digest, role="root") == 0
        _run_both(node, port, name, disk, volume.digest)
        node.collect()
        wait_until(lambda: value(scraped(port), "snapshots", kind="active") == 0, "snapshots are left")
        after = scraped(port)
        assert value(after, "calls_total", method="Remove", code="OK") >= 2
        assert value(after, "volume_attached", volume=volume.digest, role="root") == 0
        assert value(after, "detached_volumes_total") == 1
        assert value(after, "scrape_failures") == 0
        told = events(node.agent)
    assert {"called", "volume-attached", "volume-detached", "disk-attached", "daemon-started"} == {
        event["event"] for event in told
    }
    assert [event["volume"] for event in told if event["event"] == "volume-attached"] == [volume.digest]
    prepared = [event for event in told if event.get("method") == "Prepare" and event["code"] == "OK"]
    assert all(event["key"] and event["seconds"] > 0 for event in prepared)


def _run_both(node: Node, port: int, name: str, disk: str, digest: str) -> None:
    script = ("/bin/busybox", "sleep", "1000000")
    for container, image in (("one", name), ("two", name), ("three", disk)):
        node.peer.ctr("-n", "k8s.io", "run", "-d", "--snapshotter", "turnout", image, f"m{port}-{container}", *script)
    found = scraped(port)
    assert value(found, "snapshots", kind="active") == 3
    assert value(found, "volume_attached", volume=digest, role="root") == 1
    assert value(found, "volume_references", volume=digest, role="root") == 2
    assert value(found, "attach_seconds_count", place="here") == 1
    assert value(found, "attached_disks_total") == 1
    assert value(found, "daemon_starts_total", purpose="mode block", reason="needed") == 1
    prepared = [number for (one, of), number in found.items() if one == "calls_total" and ("method", "Prepare") in of]
    assert value(found, "call_seconds_count", method="Prepare") == sum(prepared)
    assert found["process_resident_memory_bytes", frozenset()] > 1e6
    for container in ("one", "two", "three"):
        node.peer.ctr("-n", "k8s.io", "task", "delete", "--force", f"m{port}-{container}")
        node.peer.ctr("-n", "k8s.io", "container", "delete", f"m{port}-{container}")


@pytest.mark.root
@pytest.mark.slow
def test_what_was_fetched_and_what_the_copies_take(pair: Pair) -> None:
    metrics, pair.snapshots = _counted(pair)
    pair.snapshots.prepare("run", pair.chain, {})
    wait_until(lambda: total(_told(metrics), "copies_total") == 1, "the copy is not made whole")
    found = _told(metrics)
    (volume,) = pair.snapshots.volumes()
    assert value(found, "copies_total", result="completed") == 1
    assert value(found, "fetched_bytes_total", why="rest") == volume.size
    assert value(found, "copies_bytes") >= volume.size
    assert value(found, "attach_seconds_count", place="elsewhere") == 1
    assert value(found, "daemon_starts_total", purpose="a volume on another node", reason="needed") == 1
    assert value(found, "volume_elsewhere", volume=volume.volume, role="root") == 0


def _counted(pair: Pair) -> tuple[Metrics, Snapshotter]:
    """Another agent takes over, which counts."""
    pair.snapshots.close()
    metrics = Metrics()
    snapshots = Snapshotter(pair.root, pair.here, events=Events(metrics.hear))
    metrics.look_at(snapshots, pair.root, pair.here, None)
    return metrics, snapshots


def _told(metrics: Metrics) -> Found:
    return parsed(generate_latest(metrics.registry).decode())


@pytest.mark.root
@pytest.mark.slow
def test_a_daemon_that_died_is_told_from_one_that_is_needed(tmp_path: Path) -> None:
    source = layout(tmp_path / "layout", LAYER)
    with running_agent(tmp_path, "--metrics", tmp_path / "m.sock") as agent:
        converted(source, agent.store, mode=BLOCK.sized(1))
        chain = claim(agent, LAYER)
        agent.call("Prepare", key="one", parent=chain)
        agent.end_daemon()
        agent.call("Prepare", key="two", parent=chain)
        found = parsed(at_socket(tmp_path / "m.sock")[1])
        assert value(found, "daemon_starts_total", purpose="mode block", reason="needed") == 1
        assert value(found, "daemon_starts_total", purpose="mode block", reason="died") == 1
        for key in ("one", "two", chain):
            agent.call("Remove", key=key)


@pytest.mark.root
@pytest.mark.slow
def test_at_a_socket_for_root_alone(tmp_path: Path) -> None:
    """One that an agent has left is replaced. Conversions of other processes are told, too; a call that fails is."""
    path = tmp_path / "m.sock"
    for _ in range(2):
        with running_agent(tmp_path, "--metrics", path) as agent:
            assert path.stat().st_mode & 0o777 == 0o600
            assert at_socket(path, "/")[0] == 404
            wanted = Wanted(source="oci:/somewhere", mode="erofs")
            with recording(agent.store, wanted) as record:
                record("Pulling", 1, 4)
                found = parsed(at_socket(path)[1])
            labels = {"source": "oci:/somewhere", "mode": "erofs", "destination": ""}
            assert value(found, "conversion_progress_ratio", **labels, phase="Pulling") == 0.25
            assert value(found, "conversion_running", **labels) == 1
            with pytest.raises(Exception, match="NOT_FOUND"):
                agent.call("Stat", key="nothing")
            assert value(parsed(at_socket(path)[1]), "calls_total", method="Stat", code="NOT_FOUND") == 1
            agent.kill()
            agent.start()
    assert not path.exists()


@pytest.mark.root
@pytest.mark.slow
def test_what_cannot_be_read_is_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "m.sock"
    with running_agent(tmp_path, "--metrics", path) as agent:
        agent.store.mkdir()
        (agent.store / "store.db").write_text("no database" * 1000)
        found = parsed(at_socket(path)[1])
        assert value(found, "scrape_failures") == 1
        assert value(found, "snapshots", kind="active") == 0
        assert "WARNING metrics lack a part: " in agent.log


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("9090", "'9090' is no address; expected a socket's path, or 127.0.0.1:PORT"),
        ("127.0.0.1:0", "'127.0.0.1:0' is no address; expected a socket's path, or 127.0.0.1:PORT"),
        (":9090", "every address is more than loopback, and metrics have no passwords"),
        ("0.0.0.0:9090", "'0.0.0.0' is no address of loopback, and metrics have no passwords"),
        ("node:9090", "'node' is no address of loopback, and metrics have no passwords"),
    ],
)
def test_where_metrics_are_not_served(text: str, said: str) -> None:
    with pytest.raises(ServingError) as refused:
        parse_address(text)
    assert str(refused.value) == said


def test_where_metrics_are_served() -> None:
    assert parse_address("/run/m.sock") == Path("/run/m.sock")
    assert parse_address("localhost:9090") == ("127.0.0.1", 9090)
    assert parse_address("[::1]:9090") == ("::1", 9090)


@pytest.mark.root
@pytest.mark.slow
def test_an_address_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        agent = Agent(tmp_path, "--metrics", f"127.0.0.1:{port}")
        done = subprocess.run(agent.command(agent.socket), capture_output=True, text=True, check=False)
    said = f"turnout: error: 127.0.0.1:{port} cannot be listened on: Address already in use\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_every_metric_is_documented_and_no_other(tmp_path: Path) -> None:
    metrics = Metrics()
    snapshots = Snapshotter(tmp_path / "root", tmp_path / "store")
    try:
        metrics.look_at(snapshots, tmp_path / "root", tmp_path / "store", None)
        families = [family for family in metrics.registry.collect() if family.name.startswith(PREFIX)]
    finally:
        snapshots.close()
    names = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    assert names == set(re.findall(rf"^\| `({PREFIX}_[a-z_]+)", DOCS, re.MULTILINE))


def test_every_event_is_documented_and_no_other() -> None:
    section = DOCS.partition("| event | fields |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `([a-z-]+)`", section, re.MULTILINE)) == set(Kind) - {Kind.FETCHED}


def test_which_events_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    told = Events(log_event)
    with caplog.at_level("INFO", logger="agents.storage.events"):
        told.tell(Kind.FETCHED, why="rest", bytes=1)
        for method, code in (("Stat", "OK"), ("Stat", "NOT_FOUND"), ("Stat", "UNAVAILABLE"), ("Commit", "OK")):
            told.tell(Kind.CALLED, method=method, code=code, seconds=0.1)
    assert [record.getMessage() for record in caplog.records] == [
        'event {"event": "called", "method": "Stat", "code": "UNAVAILABLE", "seconds": 0.1}',
        'event {"event": "called", "method": "Commit", "code": "OK", "seconds": 0.1}',
    ]
