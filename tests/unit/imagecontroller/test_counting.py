"""How much there is of what, from objects made here."""

from __future__ import annotations

from typing import Any

import pytest

from agents.cluster.objects import Object, resource_of
from agents.imagecontroller.translate.counting import PHASES, REASONS, ROLES, Counts, count
from agents.imagecontroller.translate.deciding import World
from tests.unit.imagecontroller.test_deciding import NOW, SETTINGS, conversion, job, node


def counted(
    conversions: list[Object] | None = None, jobs: list[Object] | None = None, nodes: list[Object] | None = None
) -> Counts:
    return count(World(conversions=conversions or [], jobs=jobs or [], nodes=nodes or []), SETTINGS, NOW)


def ready(reason: str) -> list[Object]:
    return [{"type": "Ready", "status": "False", "reason": reason, "message": "secret"}]


def block(name: str, size: Any = 10, role: str = "root") -> Object:
    return {"name": name, "role": role, "sizeBytes": size}


def test_nothing_is_zeros() -> None:
    found = counted()
    assert found.conversions == dict.fromkeys(PHASES, 0)
    assert found.pending == dict.fromkeys(REASONS, 0)
    assert found.volume_bytes == dict.fromkeys(ROLES, 0)
    assert (found.running_jobs, found.nodes, found.shared_bytes) == ({}, 0, 0)


def test_phases_and_what_is_waited_for() -> None:
    found = counted(
        [
            conversion("new"),
            conversion("a", phase="Pending", conditions=ready("Waiting")),
            conversion("b", phase="Pending", conditions=ready("Retrying")),
            conversion("c", phase="Pulling", conditions=ready("InProgress")),
            conversion("d", phase="Failed", conditions=ready("ConversionFailed")),
        ]
    )
    assert {phase: number for phase, number in found.conversions.items() if number} == {
        "Pending": 3,
        "Pulling": 1,
        "Failed": 1,
    }
    assert {reason: number for reason, number in found.pending.items() if number} == {
        "New": 1,
        "Waiting": 1,
        "Retrying": 1,
    }


def test_what_others_have_written_makes_no_labels() -> None:
    strange = conversion(
        phase="Pending", conditions=ready("registry.example.com/secret"), node="one", blocks=[block("1", 5, "mine")]
    )
    found = counted([strange, conversion("b", phase="Mine", blocks=[block("2", "many")])])
    assert set(found.conversions) == {*PHASES, "other"}
    assert set(found.pending) == {*REASONS, "other"}
    assert found.volume_bytes == {**dict.fromkeys(ROLES, 0), "other": 5}


def test_jobs_by_node() -> None:
    web, more = conversion("web"), conversion("more")
    jobs = [job(web), job(more, at="two", ended="Complete"), job(more, attempt=2, at="three", ended="Failed")]
    assert counted([web, more], jobs).running_jobs == {"one": 1, "two": 0, "three": 0}


def test_nodes_that_may_convert() -> None:
    nodes = [node("a"), node("b", ready="Unknown"), node("c", unschedulable=True), node("d")]
    assert counted(nodes=nodes).nodes == 2


def test_a_volume_that_is_shared_is_on_a_node_once() -> None:
    base, changes = block("sha256:1", 100), block("sha256:2", 7, "changes")
    found = counted(
        [
            conversion("a", node="one", blocks=[base, changes]),
            conversion("b", node="one", blocks=[base]),
            conversion("c", node="two", blocks=[base]),
        ]
    )
    assert {role: size for role, size in found.volume_bytes.items() if size} == {"root": 200, "changes": 7}
    assert found.shared_bytes == 100


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/api/v1/nodes", "nodes"),
        ("/apis/turnout.dev/v1alpha1/imageconversions", "imageconversions"),
        ("/apis/turnout.dev/v1alpha1/namespaces/jobs/imageconversions/web/status", "imageconversions"),
        ("/apis/batch/v1/namespaces/nodes/jobs", "jobs"),
        ("/api/v1/namespaces/shop/events", "events"),
        ("/apis/coordination.k8s.io/v1/namespaces/ns/leases/lease", "leases"),
        ("/api/v1/namespaces/nodes", "other"),
        ("/api/v1/things", "other"),
        ("/", "other"),
    ],
)
def test_what_a_path_is_about(path: str, resource: str) -> None:
    assert resource_of(path) == resource
