"""What the controller decides, from objects made here: every state of a Job, a node and a conversion."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

import pytest

from agents.cluster import objects
from agents.cluster.adoptions import Adopted
from agents.cluster.objects import Object
from agents.imagecontroller import wire
from agents.imagecontroller.translate.deciding import (
    CreateJob,
    Decision,
    DeleteJob,
    Tell,
    World,
    WriteStatus,
    decide,
    wait_s,
)
from agents.imagecontroller.translate.jobs import Settings, job_name, make_job

NOW: Final = 1_800_000_000.0
SETTINGS: Final = Settings(
    namespace="turnout-system", image="turnout:1", attempts=3, node_labels=(("converts", "yes"),)
)
BLOCK: Final = {"name": "sha256:1", "role": "root", "platform": "linux/amd64", "sizeBytes": 4096}
DONE: Final = {"phase": "Succeeded", "progress": 100, "ready": True, "blocks": [BLOCK], "conditions": []}


def conversion(name: str = "web", generation: int = 1, **status: Any) -> Object:
    metadata = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "generation": generation}
    return {
        "apiVersion": "turnout.dev/v1alpha1",
        "kind": "ImageConversion",
        "metadata": {**metadata, "creationTimestamp": "2026-01-01T00:00:00Z", "resourceVersion": "7"},
        "spec": {"sourceImage": "registry.example.com/web:1"},
        **({"status": status} if status else {}),
    }


def node(name: str = "one", ready: str = "True", since_s: float = 0.0, **spec: Any) -> Object:
    since = objects.timestamp(NOW - since_s)
    conditions = [{"type": "Ready", "status": ready, "lastTransitionTime": since}]
    return {
        "metadata": {"name": name, "labels": {"converts": "yes"}},
        "spec": spec,
        "status": {"conditions": conditions},
    }


def job(
    of: Object,
    attempt: int = 1,
    at: str = "one",
    ended: str = "",
    ago_s: float = 0.0,
    report: Any = None,
    **metadata: Any,
) -> Object:
    made = make_job(of, attempt, at, SETTINGS)
    annotations = dict(made["metadata"]["annotations"])
    if report is not None:
        annotations[wire.REPORT_ANNOTATION] = report if isinstance(report, str) else json.dumps(report)
    words = {"reason": "BackoffLimitExceeded", "message": "too often"}
    end = {"type": ended, "status": "True", "lastTransitionTime": objects.timestamp(NOW - ago_s), **words}
    return {
        **made,
        "metadata": {**made["metadata"], "uid": "job", "annotations": annotations, **metadata},
        "status": {"conditions": [end] if ended else []},
    }


def decided(
    conversions: list[Object], jobs: list[Object] | None = None, nodes: list[Object] | None = None, wrong: str = ""
) -> Decision:
    world = World(conversions=conversions, jobs=jobs or [], nodes=[node()] if nodes is None else nodes)
    return decide(world, SETTINGS, lambda _: wrong, NOW)


def created(decision: Decision) -> list[tuple[str, str]]:
    """(name, node) of Jobs."""
    jobs = [action.job for action in decision.actions if isinstance(action, CreateJob)]
    return [(objects.name_of(one), objects.annotation(one, wire.NODE_ANNOTATION)) for one in jobs]


def deleted(decision: Decision) -> list[str]:
    return [objects.name_of(action.job) for action in decision.actions if isinstance(action, DeleteJob)]


def status(decision: Decision, name: str = "web") -> Object:
    (found,) = (
        action.status
        for action in decision.actions
        if isinstance(action, WriteStatus) and objects.name_of(action.conversion) == name
    )
    return found


def said(decision: Decision, name: str = "web") -> tuple[str, str, str]:
    """Phase, and reason and message of Ready."""
    found = status(decision, name)
    ready = found["conditions"][0]
    assert ready["status"] == str(found["ready"])
    return found["phase"], ready["reason"], ready["message"]


def told(decision: Decision) -> list[str]:
    return [action.reason for action in decision.actions if isinstance(action, Tell)]


def settled(of: Object, decision: Decision) -> Object:
    """The conversion with the status that was decided."""
    return {**of, "status": status(decision, objects.name_of(of))}


def test_a_new_one_gets_a_job() -> None:
    web = conversion()
    found = decided([web])
    assert created(found) == [(job_name(web, 1), "one")]
    assert said(found) == ("Pending", "InProgress", "attempt 1 on node one")
    assert told(found) == ["Started"]


def test_the_same_again_decides_nothing_more() -> None:
    web = conversion()
    first = decided([web], [job(web)])
    again = decided([settled(web, first)], [job(web)])
    assert again.actions == []


def test_names_of_jobs_are_valid_and_of_one_generation_and_attempt() -> None:
    long = conversion(f"{'a' * 35}.{'b' * 100}")
    names = {
        job_name(long, 1),
        job_name(long, 2),
        job_name({**long, "metadata": {**long["metadata"], "generation": 2}}, 1),
    }
    assert len(names) == 3
    assert all(len(name) <= 63 and "-." not in name and ".-" not in name for name in names)
    assert job_name(conversion("web"), 1) != job_name(
        {**conversion("web"), "metadata": {**conversion("web")["metadata"], "uid": "2"}}, 1
    )


@pytest.mark.parametrize(
    ("report", "phase", "progress"),
    [
        ({"phase": "Converting", "progress": 40}, "Converting", 40),
        ({"phase": "Converting", "progress": 400}, "Pending", 0),
        ({"phase": "Unheard", "progress": 40}, "Pending", 0),
        ({"phase": "Pulling", "progress": "much"}, "Pending", 0),
        ("no JSON", "Pending", 0),
        ("[]", "Pending", 0),
        (None, "Pending", 0),
    ],
)
def test_what_a_running_job_tells(report: Any, phase: str, progress: int) -> None:
    web = conversion()
    found = status(decided([web], [job(web, report=report)]))
    assert (found["phase"], found["progress"], found["node"]) == (phase, progress, "one")


def test_success() -> None:
    web = conversion()
    found = decided([web], [job(web, ended="Complete", report=DONE)])
    assert said(found) == ("Succeeded", "Converted", "")
    assert (status(found)["blocks"], status(found)["observedGeneration"]) == ([BLOCK], 1)
    assert told(found) == ["Converted"]
    done = settled(web, found)
    assert decided([done]).actions == []  # the Job is gone, its time was over


def test_a_job_that_ends_well_and_says_nothing_has_failed() -> None:
    web = conversion()
    message = said(decided([web], [job(web, ended="Complete")]))[2]
    assert message.startswith("attempt 1 of 3: the Job ended without having told what it converted; the next one at ")


PULLING: Final = {"phase": "Pulling", "progress": 5}
FAILED: Final = {
    "phase": "Failed",
    "progress": 7,
    "conditions": [{"reason": "ConversionFailed", "message": "no such image"}],
}


@pytest.mark.parametrize(
    ("report", "why"),
    [
        (FAILED, "no such image"),
        (None, "BackoffLimitExceeded: too often"),
        ({"phase": "Pulling", "progress": 7}, "stopped while Pulling, at 7 % (BackoffLimitExceeded: too often)"),
    ],
)
def test_a_failed_attempt_is_followed_by_another_one_a_little_later(report: Any, why: str) -> None:
    web = conversion()
    soon = decided([web], [job(web, ended="Failed", ago_s=9, report=report)])
    assert created(soon) == []
    assert soon.again_at_s == NOW + 1
    assert said(soon) == ("Pending", "Retrying", f"attempt 1 of 3: {why}; the next one at {objects.timestamp(NOW + 1)}")
    then = decided([web], [job(web, ended="Failed", ago_s=10, report=report)])
    assert created(then) == [(job_name(web, 2), "one")]
    assert deleted(then) == []
    both = decided([web], [job(web, ended="Failed", ago_s=10), job(web, attempt=2)])
    assert deleted(both) == [job_name(web, 1)]


def test_the_last_attempt_decides() -> None:
    web = conversion()
    found = decided([web], [job(web, attempt=3, ended="Failed", report=FAILED)])
    assert said(found) == ("Failed", "ConversionFailed", "no such image")
    assert status(found)["conditions"][1]["status"] == "True"
    assert told(found) == ["ConversionFailed"]
    assert decided([settled(web, found)]).actions == []


def test_waits_double_up_to_a_bound() -> None:
    assert [wait_s(attempt, SETTINGS) for attempt in (1, 2, 3, 7, 100)] == [10, 20, 40, 600, 600]


def test_a_changed_spec_ends_the_job_of_the_old_one_first() -> None:
    old, new = conversion(), conversion(generation=2)
    found = decided([new], [job(old)])
    assert (deleted(found), created(found)) == ([job_name(old, 1)], [])
    assert said(found)[1] == "Replacing"
    leaving = job(old, deletionTimestamp="2026-01-01T00:00:00Z")
    assert (deleted(decided([new], [leaving])), created(decided([new], [leaving]))) == ([], [])
    assert created(decided([new])) == [(job_name(new, 1), "one")]


def test_a_changed_spec_begins_anew_after_success_and_failure() -> None:
    for phase in ("Succeeded", "Failed"):
        web = conversion(generation=2, phase=phase, observedGeneration=1, node="one", ready=True)
        found = decided([web], [job(conversion(), ended="Complete", report=DONE)])
        assert (created(found), deleted(found)) == ([(job_name(web, 1), "one")], [job_name(conversion(), 1)])
        assert not status(found)["ready"]


def test_jobs_of_conversions_that_are_gone_or_going() -> None:
    web = conversion()
    assert deleted(decided([], [job(web)])) == [job_name(web, 1)]
    going = {**web, "metadata": {**web["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    assert deleted(decided([going], [job(web)])) == [job_name(web, 1)]
    assert decided([], [job(web, deletionTimestamp="2026-01-01T00:00:00Z")]).actions == []


def test_one_job_a_node() -> None:
    several = [conversion(name) for name in ("a", "b", "c")]
    found = decided(several, nodes=[node("one"), node("two")])
    assert created(found) == [(job_name(several[0], 1), "one"), (job_name(several[1], 1), "two")]
    assert said(found, "c") == ("Pending", "Waiting", "every node that may convert it has a Job")
    busy = decided(several, [job(several[0]), job(several[1], at="two")], [node("one"), node("two")])
    assert created(busy) == []
    leaving = job(conversion("gone"), deletionTimestamp="2026-01-01T00:00:00Z")
    assert created(decided([several[0]], [leaving])) == []


def test_nodes_with_fewer_conversions_come_first_and_those_that_have_layers_before_all() -> None:
    there = [conversion(name, phase="Succeeded", observedGeneration=1, node="one") for name in ("a", "b")]
    both = [node("one"), node("two")]
    new = conversion("new")
    assert created(decided([*there, new], nodes=both)) == [(job_name(new, 1), "two")]
    back = conversion("back", generation=2, phase="Succeeded", observedGeneration=1, node="one")
    assert created(decided([*there, back], nodes=both)) == [(job_name(back, 1), "one")]


@pytest.mark.parametrize(
    "unfit",
    [
        node(ready="False"),
        node(ready="Unknown"),
        node(unschedulable=True),
        {**node(), "metadata": {"name": "one", "labels": {"converts": "no"}}},
        {**node(), "metadata": {**node()["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}},
    ],
)
def test_nodes_that_may_not(unfit: Object) -> None:
    found = decided([conversion()], nodes=[unfit])
    assert created(found) == []
    assert said(found) == ("Pending", "NoNode", "no ready node with converts=yes may convert")


def test_a_node_that_is_gone() -> None:
    web = conversion()
    found = decided([web], [job(web)], [node("two")])
    assert (deleted(found), created(found)) == ([job_name(web, 1)], [(job_name(web, 2), "two")])
    assert told(found) == ["NodeGone", "Started"]
    leaving = job(web, deletionTimestamp="2026-01-01T00:00:00Z")
    assert created(decided([web], [leaving], [node("two")])) == [(job_name(web, 2), "two")]


def test_a_node_that_is_not_ready_is_gone_after_a_while() -> None:
    web = conversion()
    for_now = decided([web], [job(web)], [node(ready="Unknown", since_s=299), node("two")])
    assert (created(for_now), for_now.again_at_s) == ([], NOW + 1)
    gone = decided([web], [job(web)], [node(ready="Unknown", since_s=300), node("two")])
    assert created(gone) == [(job_name(web, 2), "two")]


def test_one_whose_job_the_server_refuses_leaves_the_node_to_others() -> None:
    a, b = conversion("a"), conversion("b")
    held = World(conversions=[a, b], jobs=[], nodes=[node()], held=frozenset(["uid-a"]))
    found = decide(held, SETTINGS, lambda _: "", NOW)
    assert created(found) == [(job_name(b, 1), "one")]
    assert [objects.name_of(action.conversion) for action in found.actions if isinstance(action, WriteStatus)] == ["b"]


def test_a_spec_that_is_refused() -> None:
    web = conversion()
    found = decided([web], wrong="it contradicts itself")
    assert said(found) == ("Failed", "InvalidSpec", "it contradicts itself")
    assert (created(found), told(found)) == ([], ["InvalidSpec"])
    assert decided([settled(web, found)], wrong="it contradicts itself").actions == []


def test_times_of_conditions_stay_while_nothing_turns() -> None:
    web = conversion()
    first = settled(web, decided([web]))
    later = decide(
        World(conversions=[first], jobs=[job(web, report=PULLING)], nodes=[node()]), SETTINGS, lambda _: "", NOW + 50
    )
    done = decide(
        World(conversions=[first], jobs=[job(web, ended="Complete", report=DONE)], nodes=[node()]),
        SETTINGS,
        lambda _: "",
        NOW + 50,
    )
    times = [[one["lastTransitionTime"] for one in status(found)["conditions"]] for found in (later, done)]
    assert times == [[objects.timestamp(NOW)] * 2, [objects.timestamp(NOW + 50), objects.timestamp(NOW)]]


SERVING: Final = replace(SETTINGS, volume_server="nbds://{address}?tls-hostname={node}.volumes")
IMAGE: Final = {"digest": "sha256:m", "platform": "linux/amd64"}


def at(address: str, name: str = "one") -> Object:
    found = node(name)
    addresses = [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": address}]
    return {**found, "status": {**found["status"], "addresses": addresses}}


def serving(of: Object, there: list[Object], adopted: Adopted | None = None, **jobs: Any) -> Decision:
    known = {} if adopted is None else {objects.uid_of(of): adopted}
    world = World(conversions=[of], jobs=[job(of, **jobs)] if jobs else [], nodes=there, adopted=known)
    return decide(world, SERVING, lambda _: "", NOW)


def ended(of: Object, address: str = "10.0.0.1") -> Object:
    report = {**DONE, "images": [IMAGE]}
    return settled(of, serving(of, [at(address)], ended="Complete", report=report))


def test_what_is_ready_says_where_its_volumes_are_and_what_they_are_of() -> None:
    found = ended(conversion())["status"]
    assert (found["server"], found["images"]) == ("nbds://10.0.0.1?tls-hostname=one.volumes", [IMAGE])
    assert "adoption" not in found
    assert ended(conversion(), "fd00::1")["status"]["server"] == "nbds://[fd00::1]?tls-hostname=one.volumes"
    web = conversion()
    running = status(serving(web, [at("10.0.0.1")], report={"phase": "Pulling", "progress": 1}))
    assert running["server"] == ""


@pytest.mark.parametrize("mode", ["block", "overlaybd"])
def test_disks_are_read_by_nobody_else(mode: str) -> None:
    web = conversion()
    web["spec"]["imageMode"] = mode
    assert ended(web)["status"]["server"] == ""


def test_a_node_that_has_another_address_is_followed_when_all_is_done() -> None:
    done = ended(conversion())
    assert serving(done, [at("10.0.0.1")]).actions == []
    assert status(serving(done, [at("10.0.0.2")]))["server"] == "nbds://10.0.0.2?tls-hostname=one.volumes"


def test_volumes_that_have_gone_with_their_node_are_made_anew() -> None:
    """Whether the Job that made them is still there or not; a node that is only not ready has them still."""
    done = ended(conversion())
    gone = serving(done, [at("10.0.0.2", "two")])
    assert (created(gone), told(gone)) == ([(job_name(done, 1), "two")], ["NodeGone", "Started"])
    assert (status(gone)["ready"], status(gone)["server"], status(gone)["blocks"]) == (False, "", [])
    report = {**DONE, "images": [IMAGE]}
    gone = serving(done, [at("10.0.0.2", "two")], ended="Complete", report=report)
    assert (created(gone), told(gone)) == ([(job_name(done, 2), "two")], ["NodeGone", "Started"])
    assert created(serving(done, [node(ready="Unknown", since_s=1e6), at("10.0.0.2", "two")])) == []
    nowhere = serving(done, [])
    assert said(nowhere) == ("Pending", "NoNode", "no ready node with converts=yes may convert")
    assert (status(nowhere)["ready"], status(nowhere)["node"]) == (False, "")
    assert serving(settled(done, nowhere), []).actions == []


def test_how_many_nodes_have_it_is_told_when_that_changes() -> None:
    done = ended(conversion())
    some = serving(done, [at("10.0.0.1")], Adopted(nodes=1000, adopted=2, problems=("node-7: refused",)))
    assert status(some)["adoption"] == {"nodes": 1000, "adopted": 2}
    *_, found = status(some)["conditions"]
    assert (found["type"], found["status"], found["reason"]) == ("Adopted", "False", "SomeNodes")
    assert found["message"] == "2 of 1000 nodes have adopted it; node-7: refused"
    there = {**done, "status": {**done["status"], **status(some)}}
    assert serving(there, [at("10.0.0.1")]).actions == []
    every = serving(there, [at("10.0.0.1")], Adopted(nodes=1000, adopted=1000))
    *_, found = status(every)["conditions"]
    assert (found["status"], found["reason"]) == ("True", "AllNodes")
    assert [one["type"] for one in status(every)["conditions"]] == ["Ready", "Failed", "Adopted"]


def test_what_was_adopted_stays_said_while_it_is_converted_anew() -> None:
    done = ended(conversion())
    there = status(serving(done, [at("10.0.0.1")], Adopted(nodes=1, adopted=1)))
    anew = {**done, "status": {**done["status"], **there}, "metadata": {**done["metadata"], "generation": 2}}
    kinds = {one["type"]: one["status"] for one in status(serving(anew, [at("10.0.0.1")]))["conditions"]}
    assert kinds == {"Ready": "False", "Failed": "False", "Adopted": "True"}
