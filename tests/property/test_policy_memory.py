"""A run with a memory of the ones before finds what a run without one finds, to every span and every diagnostic."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.diagnostic import Report
from compiler.policy.division import divided
from compiler.policy.document import Node, read_documents
from compiler.policy.loading import Loaded, load, load_texts
from compiler.policy.memory import Memory
from runtime.verification.policies.drawing import plans
from runtime.verification.policies.manifests import manifests, to_yaml
from runtime.verification.policies.plan import PolicyPlan

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
POLICIES = sorted([*(ROOT / "examples").glob("*.yaml"), *(ROOT / "tests/golden").rglob("*.yaml")])
FABRIC = """\
apiVersion: turnout.dev/v1alpha1
kind: Network
metadata: {name: default}
spec: {vni: 100, cidrs: [10.1.0.0/16, "fd00:1::/64"]}
---
apiVersion: turnout.dev/v1alpha1
kind: Node
metadata: {name: a}
---
apiVersion: turnout.dev/v1alpha1
kind: Workload
metadata: {name: w, namespace: team}
spec: {type: Pod, network: default, node: a, addresses: [10.1.0.2]}
"""
FEW = settings(deadline=None, suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large))


def shown(loaded: Loaded) -> tuple[str, str, dict[str, str]]:
    """All of it; spans, which are left out of equality, as well."""
    return repr(loaded.policies), repr(loaded.diagnostics), dict(loaded.sources)


def next_memory(memory: Memory) -> Memory:
    """As it comes back from a file."""
    plain = json.loads(json.dumps([memory.cards, memory.services]))
    return Memory(*plain)


def check(sources: Mapping[str, str], memory: Memory) -> Memory:
    found = load_texts(sources, memory)
    assert shown(found) == shown(load_texts(sources))
    return next_memory(memory)


@st.composite
def services(draw: st.DrawFn) -> dict[str, Any]:
    """One that is right, or has a thing or other to be said about."""
    number = draw(st.integers(0, 6))
    port: dict[str, Any] = {"port": draw(st.sampled_from([80, 443])), "protocol": draw(st.sampled_from(["TCP", "UDP"]))}
    spec: dict[str, Any] = {"clusterIP": f"10.96.0.{10 + number}", "ports": [port]}
    spec |= draw(
        st.sampled_from(
            [
                {},
                {"type": "NodePort", "ports": [{**port, "nodePort": 30_000 + number}]},
                {"type": "NodePort"},
                {"externalIPs": [f"198.51.100.{number}"]},
                {"type": "LoadBalancer", "loadBalancerSourceRanges": ["192.0.2.0/24"]},
                {"sessionAffinity": "ClientIP"},
                {"externalTrafficPolicy": "Local", "externalIPs": ["203.0.113.9"]},
                {"clusterIP": "None"},
                {"type": "ExternalName", "externalName": "example.com"},
                {"trafficDistribution": "PreferClose"},
                {"clusterIP": "10.1.0.2"},
                {"ports": []},
                {"wrong": 1},
            ]
        )
    )
    annotations = draw(st.sampled_from([{}, {"turnout.dev/algorithm": "RoundRobin"}, {"turnout.dev/nothing": "x"}]))
    metadata = {"name": f"s{number}", "namespace": "team", "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


@st.composite
def slices(draw: st.DrawFn) -> dict[str, Any]:
    number, service = draw(st.integers(0, 8)), draw(st.integers(0, 6))
    address = draw(st.sampled_from(["10.1.0.2", "10.1.0.3", "10.1.9.9", "10.2.0.1", "10.96.0.11", "x"]))
    endpoint: dict[str, Any] = draw(
        st.sampled_from(
            [
                {"addresses": [address]},
                {"addresses": [address], "conditions": {"ready": False}},
                {"addresses": [address], "nodeName": "a", "hints": {"forNodes": [{"name": "a"}]}},
                {"addresses": []},
            ]
        )
    )
    labels = draw(st.sampled_from([{"kubernetes.io/service-name": f"s{service}"}] * 5 + [{}]))
    ports = [{"port": draw(st.sampled_from([8080, 9090])), "protocol": draw(st.sampled_from(["TCP", "UDP"]))}]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"e{number}", "namespace": "team", "labels": labels},
        "addressType": draw(st.sampled_from(["IPv4"] * 5 + ["IPv6", "FQDN"])),
        "endpoints": [endpoint],
        "ports": draw(st.sampled_from([ports, ports, [*ports, {"name": "more"}]])),
    }


def printed(objects: list[Any]) -> str:
    """As kubectl prints several of them."""
    plain = {"apiVersion": "v1", "items": objects, "kind": "List", "metadata": {"resourceVersion": ""}}
    text = yaml.safe_dump(plain, sort_keys=False)
    assert not objects or text.endswith("kind: List\nmetadata:\n  resourceVersion: ''\n")
    return text.replace("resourceVersion: ''", 'resourceVersion: ""')


def _written(plain: Any, style: int) -> str:
    text = json.dumps(plain) + "\n" if style else yaml.safe_dump(plain)
    return ("---\n" if style < 2 else "# more\n---   # here\n") + text


documents = st.builds(_written, st.one_of(services(), slices()), st.integers(0, 2))


def _by_file(parts: list[str], at: int, fabric: str) -> dict[str, str]:
    """Two files, the first one with what is around services."""
    return {"a.yaml": fabric + "".join(parts[:at]), "b.yaml": "".join(parts[at:])}


@settings(FEW, max_examples=150)
@given(st.lists(documents, max_size=10), st.lists(documents, max_size=3), st.integers(0, 10), st.randoms())
def test_services_that_come_go_move_and_change(
    parts: list[str], others: list[str], at: int, chance: random.Random
) -> None:
    memory = check(_by_file(parts, at, FABRIC), Memory())
    memory = check(_by_file(parts, at, FABRIC), memory)
    for _ in range(3):
        match chance.randrange(5):
            case 0 if parts:
                del parts[chance.randrange(len(parts))]
            case 1 if others:
                parts.insert(chance.randrange(len(parts) + 1), chance.choice(others))
            case 2 if parts and others:
                parts[chance.randrange(len(parts))] = chance.choice(others)
            case 3:
                chance.shuffle(parts)
            case _:
                at = chance.randrange(len(parts) + 1)
        memory = check(_by_file(parts, at, FABRIC), memory)
    memory = check(_by_file(parts, at, FABRIC.replace("10.1.0.2", "10.1.0.3")), memory)
    check(dict(reversed(_by_file(parts, at, FABRIC).items())), memory)


@settings(FEW, max_examples=100)
@given(st.lists(st.one_of(services(), slices()), max_size=8), services(), st.integers(0), st.randoms())
def test_a_printed_list_whose_items_come_go_move_and_change(
    objects: list[Any], other: Any, at: int, chance: random.Random
) -> None:
    memory = check({"a": FABRIC, "l": printed(objects)}, Memory())
    objects.insert(at % (len(objects) + 1), other)
    memory = check({"a": FABRIC, "l": printed(objects)}, memory)
    chance.shuffle(objects)
    memory = check({"l": printed(objects), "a": FABRIC}, memory)
    memory = check({"a": FABRIC + "---\n" + "---\n".join(map(yaml.safe_dump, objects))}, memory)
    check({"a": FABRIC, "l": printed(objects[1:])}, memory)


@settings(FEW, max_examples=150)
@given(
    st.text(alphabet="a: -[]{}&*!|>'\"%@`,#?<\n\t~01.\r", max_size=20)
    | st.sampled_from(["\nfoo: 1\n", "\n- \n", "\n-\n", "\n---\n", "\n...\n", "\n# x\n", "\nitems:\n", "\n'\n", '"']),
    st.integers(0),
    st.integers(0, 8),
)
def test_a_printed_list_with_anything_in_it(soup: str, position: int, length: int) -> None:
    text = printed([yaml.safe_load(one) for one in many().split("---\n")[1:7]])
    memory = check({"a": FABRIC, "l": text}, Memory())
    position %= len(text)
    text = text[:position] + soup + text[position + length :]
    memory = check({"a": FABRIC, "l": text}, memory)
    check({"a": FABRIC, "l": text}, memory)


@settings(FEW, max_examples=40)
@given(plan=plans(), other=plans())
def test_generated_policies(plan: PolicyPlan, other: PolicyPlan) -> None:
    memory = Memory()
    for one in (plan, plan, other, plan):
        memory = check({"generated.yaml": to_yaml(manifests(one))}, memory)


@settings(FEW, max_examples=60)
@given(st.text(alphabet="a: -[]{}&*!|>'\"%@`,#?<\n\t~01.\r\x85", max_size=40), st.integers(0), st.integers(0, 8))
def test_texts_with_anything_between_documents(soup: str, position: int, length: int) -> None:
    """Also where a document ends in the middle of something."""
    service = _written({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "t"}}, 0)
    parts = FABRIC + service.replace("'", "") + _written({"kind": "EndpointSlice"}, 1)
    memory = check({"x": FABRIC}, Memory())
    position %= len(parts)
    text = parts[:position] + soup + parts[position + length :]
    memory = check({"x": text}, memory)
    memory = check({"x": text}, memory)
    check({"y": "\n" + text, "x": FABRIC}, memory)


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: str(path.relative_to(ROOT)))
def test_policies_of_this_project(path: Path) -> None:
    memory = Memory()
    for _ in range(2):
        assert shown(load([path], memory)) == shown(load([path]))
        memory = next_memory(memory)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="-ab: \n\t%&*|\"'[{\r", max_size=60))
def test_parts_are_the_text(text: str) -> None:
    parts = divided("p", text)
    if parts is not None and not any(part.is_item for part in parts):
        assert "".join(part.text for part in parts) == text
        assert [part.line for part in parts] == [
            "".join(part.text for part in parts[:at]).count("\n") for at in range(len(parts))
        ]


def many(port: int = 80) -> str:
    """Twenty services that nothing is to be said about; `port` is that of one."""

    def service(number: int) -> dict[str, Any]:
        spec = {"clusterIP": f"10.96.1.{number}", "ports": [{"port": port if number == 7 else 80}]}
        metadata = {"name": f"s{number}", "namespace": "team"}
        return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}

    def endpoints(number: int) -> dict[str, Any]:
        labels = {"kubernetes.io/service-name": f"s{number}"}
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": f"e{number}", "namespace": "team", "labels": labels},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [f"10.1.1.{number}"]}],
            "ports": [{"port": 8080}],
        }

    return "".join(_written(make(number), 0) for number in range(20) for make in (service, endpoints))


def test_one_change_of_many_is_all_that_is_worked_out() -> None:
    memory = Memory()
    load_texts({"a": FABRIC + many()}, memory)
    assert memory.learned == 60
    memory = next_memory(memory)
    load_texts({"a": FABRIC + many(81)}, memory)
    assert memory.learned == 2
    memory = next_memory(memory)
    load_texts({"b": FABRIC + "---\n# moved\n" + many(81)}, memory)
    assert memory.learned == 0


def test_items_of_a_printed_list_are_parts() -> None:
    objects = [yaml.safe_load(one) for one in many().split("---\n")[1:]]
    memory = Memory()
    load_texts({"a": FABRIC, "l": printed(objects)}, memory)
    assert memory.learned == 60
    memory = next_memory(memory)
    objects[3]["endpoints"][0]["addresses"] = ["10.1.1.99"]
    load_texts({"a": FABRIC, "l": printed(objects[2:] + objects[:2])}, memory)
    assert memory.learned == 2


@pytest.mark.parametrize(
    "line", ["foo: 1", "- ", "-", "-\tx", "---", "...", "# x", "items:", "'", '"', "  '", " |", "? x", "", "kind: List"]
)
@pytest.mark.parametrize("has_items", [True, False])
def test_a_line_more_anywhere(line: str, *, has_items: bool) -> None:
    objects = [yaml.safe_load(one) for one in many().split("---\n")[1:4]]
    lines = (printed(objects) if has_items else "---\n" + "---\n".join(map(yaml.safe_dump, objects))).splitlines()
    known = check({"a": FABRIC, "l": "\n".join(lines) + "\n"}, Memory())
    for at in range(len(lines) + 1):
        text = "\n".join([*lines[:at], line, *lines[at:]]) + "\n"
        check({"a": FABRIC, "l": text}, check({"a": FABRIC, "l": text}, known))


def test_an_item_is_as_deep_as_in_its_list() -> None:
    def deep(levels: int) -> str:
        status = "[" * levels + "]" * levels
        return printed([yaml.safe_load(many().split("---\n")[1])]).replace("  spec:", f"  status: {status}\n  spec:")

    for levels in range(90, 103):
        memory = check({"a": FABRIC, "l": deep(levels)}, Memory())
        check({"a": FABRIC, "l": deep(levels)}, memory)


@pytest.mark.parametrize("beside", ["", "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}\n"])
def test_what_services_are_resolved_with_may_change(beside: str) -> None:
    """Also where it is in a file of which something is to be said."""
    memory = check({"a": FABRIC + beside, "b": many()}, Memory())
    memory = check({"a": FABRIC.replace("10.1.0.2", "10.1.1.3") + beside, "b": many()}, memory)
    memory = check({"a": FABRIC.replace("10.1.0.0/16", "10.1.0.0/23, 10.1.4.0/24") + beside, "b": many()}, memory)
    check({"a": FABRIC.replace("10.1.0.0/16", "10.1.0.0/24") + beside, "b": many()}, memory)


def test_aliases_are_counted_through_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compiler.policy.document.MAX_ALIASED_NODES", 3)
    aliases = (
        "---\napiVersion: turnout.dev/v1alpha1\nkind: Node\nmetadata: {name: NAME, labels: {a: &a b, c: *a, d: *a}}\n"
    )
    around = FABRIC + aliases.replace("NAME", "b"), aliases.replace("NAME", "c")
    memory = check({"a": FABRIC + many()}, Memory())
    memory = check({"a": around[0] + many()}, memory)
    found = load_texts({"a": around[0] + many() + around[1]}, memory)
    assert [one.message for one in found.diagnostics] == ["aliases repeat more than 3 values in this file"]


def test_a_directive_is_of_the_next_document() -> None:
    tagged = many().replace('"kind": ', '"kind": !!str ')
    memory = check({"a": FABRIC + tagged}, Memory())
    memory = check({"a": FABRIC + "...\n%TAG !! tag:example.com:\n" + tagged}, memory)
    check({"a": FABRIC + tagged + "...\n%TAG !! tag:example.com:\n" + tagged.replace("s1", "t1")}, memory)


def styled(style: int, count: int = 8) -> list[str]:
    """Services and slices, each a text, as programs and as people write them."""
    plain = [one for one in yaml.safe_load_all(many()) if one][: 2 * count]
    match style:
        case 0:
            return [f"---\n{json.dumps(one)}\n" for one in plain]
        case 1:
            return ["---\n" + yaml.safe_dump(one, sort_keys=False) for one in plain]
        case 2:
            return ["---\n" + yaml.safe_dump(one, default_flow_style=None) for one in plain]
        case 3:
            return ["---\n" + json.dumps(one, indent=2) + "\n" for one in plain]
        case _:
            return ["---\r\n" + yaml.safe_dump(one, sort_keys=False).replace("\n", "\r\n") for one in plain]


@pytest.mark.parametrize("style", range(5))
def test_parts_that_are_alike_are_read_by_their_shape(style: int, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def counted(path: str, text: str, report: Report) -> list[Node]:
        documents = read_documents(path, text, report)
        read.append(len(documents))
        return documents

    monkeypatch.setattr("compiler.policy.memory.read_documents", counted)
    sources = {"a": FABRIC, "b": "".join(styled(style))}
    found = load_texts(sources, Memory())
    assert sum(read) == 3 + 2  # the fabric, and one each of services and slices
    assert len(found.policies.services) == 8
    assert shown(found) == shown(load_texts(sources))


WORDS = [
    "null",
    "true",
    "8",
    "010",
    "0x1f",
    "1e3",
    "1_0",
    "x",
    "v1",
    "Service",
    "IPv6",
    "a b",
    "",
    "~",
    "-",
    "1:2",
    "'",
]
SOUP = st.text(alphabet="a: -[]{}&*!|>'\"%@`,#?<\n\t~01.\r\\", max_size=6)


@pytest.mark.parametrize("word", ["Secret", "Pod", "EndpointSlice", "List", "Servce"])
def test_parts_that_are_alike_may_be_of_another_kind(word: str) -> None:
    for style in range(5):
        parts = styled(style)
        parts[2] = parts[2].replace("Service", word)
        check({"a": FABRIC, "b": "".join(parts)}, Memory())


def test_items_that_are_alike_are_read_by_their_shape() -> None:
    objects = [one for one in yaml.safe_load_all(many()) if one]
    objects[4]["spec"]["ports"][0]["port"] = "wrong"
    check({"a": FABRIC, "l": printed(objects)}, Memory())
    objects[4]["spec"]["ports"][0]["port"] = 81
    check({"a": FABRIC, "l": printed(objects)}, Memory())


@settings(FEW, max_examples=300)
@given(st.integers(0, 4), st.data())
def test_parts_that_are_alike_but_for_something(style: int, data: st.DataObject) -> None:
    """In one of them, or in all."""
    parts = styled(style)
    soup = data.draw(st.one_of(st.sampled_from(WORDS), SOUP))
    is_everywhere, one = data.draw(st.booleans()), data.draw(st.integers(0, len(parts) - 1))
    text = parts[one]
    words = [found.span() for found in re.finditer(r"[0-9A-Za-z./-]+", text)]
    word = st.sampled_from(words)
    place = st.integers(0, len(text)).map(lambda at: (at, at))
    start, end = data.draw(st.one_of(word, place))
    new = text[:start] + soup + text[end:]
    if is_everywhere:
        old, here = text[max(0, start - 6) : end], text[max(0, start - 6) : start] + soup
        parts = [part.replace(old, here) for part in parts] if old else parts
    else:
        parts[one] = new
    memory = check({"a": FABRIC, "b": "".join(parts)}, Memory())
    check({"a": FABRIC, "b": "".join(parts[1:])}, memory)
