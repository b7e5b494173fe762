"""What the controller's work leaves in its figures, what its probes say, and what docs/images.md says of them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Final, cast

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from agents.cluster.apiserver import ApiServer
from agents.cluster.connecting import Connection
from agents.cluster.errors import ClusterError, RefusedError
from agents.cluster.objects import Object
from agents.cluster.observing import Restart
from agents.cluster.watching import Watched
from agents.imagecontroller.controller import Controller
from agents.imagecontroller.io.acting import Acting
from agents.imagecontroller.io.observing import Seen
from agents.imagecontroller.metrics import PREFIX, Metrics
from agents.imagecontroller.translate.counting import count
from agents.imagecontroller.translate.deciding import OCCASIONS, Tell, World
from agents.imagecontroller.translate.jobs import Settings
from cli.main import app
from tests.unit.cluster.test_watching import GONE, Script, event, listed, served, thing
from tests.unit.imagecontroller.test_deciding import NOW, SETTINGS, conversion, decided, job

DOCS: Final = (Path(__file__).parents[3] / "docs" / "images.md").read_text()
Found = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def told(metrics: Metrics) -> Found:
    return {
        (sample.name.removeprefix(f"{PREFIX}_"), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(generate_latest(metrics.registry).decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float:
    """-1 where there is no such figure."""
    return told(metrics).get((name, frozenset(labels.items())), -1)


def leading() -> Seen:
    counts = count(World(conversions=[], jobs=[job(conversion())], nodes=[]), SETTINGS, NOW)
    return Seen(is_leading=True, heard_at_s={"jobs": 5.0}, counts=counts)


def documented(column: int) -> dict[str, str]:
    """A column of the table of metrics, by name without prefix."""
    rows = re.findall(rf"^\| `{PREFIX}_([a-z_]+)` (.*)\|$", DOCS, re.MULTILINE)
    return {name: row.split(" | ")[column].strip(" |") for name, row in rows}


def test_every_metric_is_documented_with_its_labels_and_no_other() -> None:
    metrics = Metrics()
    metrics.look_at(leading)
    metrics.answered("GET", "jobs", "200", 0.1)
    metrics.watch_restarted("jobs", Restart.ENDED)
    found: dict[str, set[str]] = {}
    for family in metrics.registry.collect():
        if family.name.startswith(PREFIX):
            name = family.name.removeprefix(f"{PREFIX}_") + ("_total" if family.type == "counter" else "")
            found[name] = {label for sample in family.samples for label in sample.labels} - {"le"}
    labels = {name: set(re.findall(r"`([a-z]+)`", text)) for name, text in documented(1).items()}
    assert found == labels


def test_units_are_base_units_and_in_the_names() -> None:
    for name, unit in documented(0).items():
        stem = name.removesuffix("_total")
        assert ("seconds" in unit) == stem.endswith("_seconds"), name
        assert (unit == "bytes") == stem.endswith("_bytes"), name


def test_what_has_not_happened_yet_is_told_as_zero() -> None:
    metrics = Metrics()
    assert {reason: value(metrics, "conversion_events_total", reason=reason) for reason in OCCASIONS} == dict.fromkeys(
        OCCASIONS, 0
    )
    for result in ("succeeded", "failed"):
        assert value(metrics, "attempt_seconds_count", result=result) == 0
    for action in ("create_job", "delete_job", "write_status", "tell"):
        assert value(metrics, "reconcile_errors_total", action=action) == 0


def test_one_that_does_not_lead_tells_nothing_of_the_cluster() -> None:
    metrics = Metrics()
    metrics.look_at(lambda: Seen(is_leading=False, heard_at_s={"jobs": 0.0}, counts=None))
    assert value(metrics, "leading") == 0
    assert value(metrics, "watch_heard_timestamp_seconds", resource="jobs") == 0
    assert not [name for name, _ in told(metrics) if name == "conversions"]


class Events:
    """The API server, as far as events go; `refuses` are its answers in turn."""

    def __init__(self, *refuses: Exception | None) -> None:
        self.refuses = list(refuses)

    def create(self, path: str, body: Object) -> Object:
        error = self.refuses.pop(0)
        if error is not None:
            raise error
        return body


def acting(metrics: Metrics, *refuses: Exception | None) -> Acting:
    server = cast(ApiServer, Events(*refuses))
    nothing = Watched(server, "/api/v1/nodes", lambda: None)
    return Acting(server, nothing, nothing, metrics)


def test_what_is_told_twice_counts_once() -> None:
    metrics = Metrics()
    acts = acting(metrics, None)
    for _ in range(2):
        acts.carry_out(Tell(conversion(), "Converted", "on node one", "", 12.0))
    assert value(metrics, "conversion_events_total", reason="Converted") == 1
    assert value(metrics, "attempt_seconds_sum", result="succeeded") == 12


def test_what_a_controller_before_has_told_is_not_counted_again() -> None:
    metrics = Metrics()
    acting(metrics, RefusedError(409, "AlreadyExists", "there")).carry_out(
        Tell(conversion(), "Converted", "on node one", "", 12.0)
    )
    assert value(metrics, "conversion_events_total", reason="Converted") == 0
    assert value(metrics, "attempt_seconds_count", result="succeeded") == 0


@pytest.mark.parametrize("error", [RefusedError(403, "Forbidden", "ending"), ClusterError("it does not answer")])
def test_what_happened_counts_although_there_is_no_event(error: ClusterError) -> None:
    metrics = Metrics()
    acts = acting(metrics, error)
    with suppress(ClusterError):
        acts.carry_out(Tell(conversion(), "NodeGone", "node one is gone", "1"))
    assert value(metrics, "conversion_events_total", reason="NodeGone") == 1


@pytest.mark.parametrize(("ended", "reason"), [("Complete", "Converted"), ("Failed", "Retrying")])
def test_how_long_an_attempt_took(ended: str, reason: str) -> None:
    web, report = conversion(), {"phase": "Succeeded", "ready": True}
    found = job(web, ended=ended, ago_s=0, report=report if ended == "Complete" else None)
    found["status"]["startTime"] = "2027-01-15T07:59:20Z"  # NOW is 08:00:00
    (event_told,) = [one for one in decided([web], [found]).actions if isinstance(one, Tell)]
    assert (event_told.reason, event_told.took_s) == (reason, 40)
    del found["status"]["startTime"]
    (event_told,) = [one for one in decided([web], [found]).actions if isinstance(one, Tell)]
    assert event_told.took_s is None


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((410, json.dumps(GONE).encode()), "expired"),
        ((200, event("ERROR", GONE)), "expired"),
        ((500, b"no JSON"), "refused"),
        ((200, b"[]\n"), "broken"),
        ((200, event("ADDED", thing("b", 6))), "ended"),
    ],
)
def test_watches_that_begin_again_and_requests(
    answer: tuple[int, bytes], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.cluster.watching._FIRST_WAIT_S", 0.01)
    metrics, stop, before_s = Metrics(), Event(), time.time()
    script = Script(listed(5, thing("a", 1)), answer)
    with served(script) as server:
        server = ApiServer(server._connection, metrics)  # pyright: ignore[reportPrivateUsage]
        watched = Watched(server, "/api/v1/nodes", lambda: None, observer=metrics)
        thread = Thread(target=watched.run, args=(stop,))
        thread.start()
        end = time.monotonic() + 10
        while value(metrics, "watch_restarts_total", resource="nodes", reason=why) != 1:
            assert time.monotonic() < end, told(metrics)
            stop.wait(0.01)
        stop.set()
        script.ended.set()
        thread.join(20)
    assert before_s <= watched.heard_at_s <= time.time()
    assert value(metrics, "requests_total", method="WATCH", resource="nodes", code=str(answer[0])) >= 1
    assert value(metrics, "requests_total", method="GET", resource="nodes", code="200") >= 1
    assert value(metrics, "request_seconds_count", method="WATCH") >= 1


def test_a_server_that_does_not_answer() -> None:
    metrics = Metrics()
    with served(Script()) as server:
        found = server._connection  # pyright: ignore[reportPrivateUsage]
        away = ApiServer(Connection("http://127.0.0.1:1", found.context), metrics)
        with pytest.raises(ClusterError):
            away.get("/apis/batch/v1/namespaces/shop/jobs")
        with pytest.raises(ClusterError), away.watch("/api/v1/nodes", {}, 1):
            pass
    assert value(metrics, "requests_total", method="GET", resource="jobs", code="none") == 1
    assert value(metrics, "requests_total", method="WATCH", resource="nodes", code="none") == 1


def controller(server: ApiServer) -> Controller:
    return Controller(server, Settings(namespace="ns", image="turnout:1"), "us", 3)


def test_alive_and_not_ready_before_the_first_lists() -> None:
    with served(Script()) as server:
        found = controller(server)
        assert found.stuck() == []
        assert found.unready() == [
            "imageconversions: not listed yet",
            "jobs: not listed yet",
            "nodes: not listed yet",
        ]
        assert found.seen() == Seen(
            is_leading=False, heard_at_s=dict.fromkeys(("imageconversions", "jobs", "nodes"), 0.0), counts=None
        )


def test_a_controller_that_no_longer_looks_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    with served(Script()) as server:
        found = controller(server)
        monkeypatch.setattr("agents.imagecontroller.controller.STUCK_S", -1.0)
        assert found.stuck() == ["nothing has been looked at for 0 s"]


def test_a_controller_that_has_lost_a_thread_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: object) -> None:
        return

    monkeypatch.setattr(Watched, "run", dies)
    stop = Event()
    script = Script()
    with served(script) as server:
        found = controller(server)
        thread = Thread(target=found.run, args=(stop,))
        thread.start()
        end = time.monotonic() + 10
        while len(found.stuck()) < 3:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert found.stuck() == [
            f"watch of {one}: its thread has ended" for one in ("imageconversions", "jobs", "nodes")
        ]
        stop.set()
        found.wake()
        script.ended.set()
        thread.join(20)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["--metrics", ":9464"],
            "every address is more than loopback, and metrics have no passwords: give --metrics-insecure",
        ),
        (["--metrics", "0.0.0.0:9464"], "'0.0.0.0' is no address of loopback"),
        (["--metrics-insecure"], "it is about --metrics, which is not given"),
        (["--health", "9465"], "'9465' is no address"),
        (["--metrics", "/run/m.sock", "--metrics-insecure"], "'/run/m.sock' is no address"),
    ],
)
def test_options_that_are_refused(options: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["agent", "image-controller", "--image", "turnout:1", *options])
    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", " ").split())
