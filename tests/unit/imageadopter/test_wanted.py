"""What concerns a node, of which ImageConversions, and what is understood of them."""

from __future__ import annotations

from typing import Any

import pytest

from agents.cluster.objects import Object
from agents.imageadopter.wanted import wanted_of
from agents.storage.clusteradoption import WantedImage
from agents.storage.wire.remotes import Server

AMD, ARM = "linux/amd64", "linux/arm64"


def conversion(spec: dict[str, Any] | None = None, **status: Any) -> Object:
    there = {
        "ready": True,
        "node": "one",
        "server": "nbds://10.0.0.1?tls-hostname=volumes",
        "images": [{"digest": "sha256:a", "platform": AMD}, {"digest": "sha256:b", "platform": ARM}],
        "blocks": [
            {"name": "sha256:1", "platform": AMD},
            {"name": "sha256:2", "platform": AMD},
            {"name": "sha256:3", "platform": ARM},
        ],
    }
    metadata = {"name": "web", "namespace": "shop", "uid": "u"}
    return {
        "metadata": metadata,
        "spec": {"sourceImage": "registry.example.com/web:1", **(spec or {})},
        "status": {**there, **status},
    }


def node(name: str = "two", **labels: str) -> Object:
    return {"metadata": {"name": name, "labels": labels}}


def test_images_with_their_volumes_by_the_conversions_names() -> None:
    found, problems = wanted_of([conversion({"destImage": "registry.example.com/fast/web:1"})], node())
    assert problems == {}
    wanted = found["u"]
    assert (wanted.conversion, wanted.server) == (
        "shop/web",
        Server(host="10.0.0.1", port=10_809, tls=True, tls_hostname="volumes"),
    )
    names = ("registry.example.com/web:1", "registry.example.com/fast/web:1")
    assert wanted.images == (
        WantedImage(digest="sha256:a", mode="erofs", names=names, volumes=("sha256:1", "sha256:2")),
        WantedImage(digest="sha256:b", mode="erofs", names=names, volumes=("sha256:3",)),
    )


@pytest.mark.parametrize(
    "found",
    [
        conversion(ready=False),
        conversion(server=""),
        conversion(images=[]),
        conversion(node="two"),
        conversion({"imageMode": "block"}),
        conversion({"imageMode": "overlaybd"}),
        conversion({"nodeSelector": {"disk": "fast"}}),
        {**conversion(), "status": None},
    ],
)
def test_what_does_not_concern_the_node(found: Object) -> None:
    assert wanted_of([found], node(disk="slow")) == ({}, {})


def test_a_selector_asks_for_all_its_labels() -> None:
    found = conversion({"nodeSelector": {"disk": "fast", "zone": "a"}})
    assert wanted_of([found], node(disk="fast"))[0] == {}
    assert list(wanted_of([found], node(disk="fast", zone="a", more="x"))[0]) == ["u"]


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (conversion(server="http://x"), "'http://x' is no server of volumes; expected [nbd://]HOST[:PORT] or"),
        (conversion(images=[{}]), "'digest'"),
        (conversion(blocks=[{"platform": AMD}]), "'name'"),
    ],
)
def test_what_cannot_be_understood_is_said_and_others_are_seen_to(found: Object, why: str) -> None:
    other = conversion()
    other["metadata"] = {**other["metadata"], "uid": "other"}
    wanted, problems = wanted_of([found, other], node())
    assert list(wanted) == ["other"]
    assert problems["u"].startswith(f"the ImageConversion's status cannot be understood: {why}")
