"""What nodes tell of images that they have adopted, added up: who counts, and for what."""

from __future__ import annotations

from typing import Any, Final

from agents.cluster.adoptions import Adopted, Told, add_up, content_of, report
from agents.cluster.objects import Object

IMAGES: Final = [{"digest": "sha256:1", "platform": "linux/amd64"}]
BLOCKS: Final = [{"name": "sha256:2", "platform": "linux/amd64"}]


def conversion(name: str = "web", **status: Any) -> Object:
    return {"metadata": {"name": name, "uid": f"uid-{name}"}, "status": {"images": IMAGES, "blocks": BLOCKS, **status}}


def node(name: str) -> Object:
    return {"metadata": {"name": name, "uid": f"uid-{name}"}}


def told(name: str, **of: Told) -> Object:
    return report("turnout-system", node(name), {f"uid-{key}": one for key, one in of.items()})


CONTENT: Final = content_of(conversion())
HAS: Final = Told(content=CONTENT)


def test_content_is_by_digests_alone() -> None:
    assert content_of(conversion(node="x", server="y", phase="Succeeded")) == CONTENT
    assert content_of(conversion(blocks=[{"name": "sha256:3"}])) != CONTENT
    assert content_of(conversion(images=[])) != CONTENT


def test_a_report_goes_with_its_node() -> None:
    found = told("one", web=HAS)
    assert found["metadata"]["name"] == "adoptions-one"
    owner = {"apiVersion": "v1", "kind": "Node", "name": "one", "uid": "uid-one"}
    assert found["metadata"]["ownerReferences"] == [owner]


def test_nodes_are_counted_that_it_concerns() -> None:
    reports = [
        told("a", web=HAS),
        told("b", web=Told(content="", problem="refused")),
        told("c", web=Told(content="of before")),
        told("d"),
        told("gone", web=HAS),
        told("e", other=HAS),
    ]
    found = add_up([conversion()], reports, ["a", "b", "c", "d", "e"])
    assert found == {"uid-web": Adopted(nodes=3, adopted=1, problems=("b: refused",))}
    assert found["uid-web"].message == "1 of 3 nodes have adopted it; b: refused"


def test_three_problems_are_named() -> None:
    reports = [told(f"n{number}", web=Told(content="", problem="x" * 300)) for number in range(5)]
    (found,) = add_up([conversion()], reports, [f"n{number}" for number in range(5)]).values()
    assert [problem[:4] for problem in found.problems] == ["n0: ", "n1: ", "n2: "]
    assert {len(problem) for problem in found.problems} == {204}


def test_what_is_no_report_counts_for_nothing() -> None:
    for data in (None, {}, {"node": "a", "adoptions": "{"}, {"node": "a", "adoptions": "[1]"}):
        assert add_up([conversion()], [{"metadata": {"name": "x"}, "data": data}], ["a"]) == {}
    half = {"node": "a", "adoptions": '{"uid-web": {}}'}
    assert add_up([conversion()], [{"metadata": {"name": "x"}, "data": half}], ["a"]) == {}
