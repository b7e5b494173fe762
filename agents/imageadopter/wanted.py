"""What a node is to adopt: from ImageConversions of a cluster and the labels of the node. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agents.cluster import objects
from agents.cluster.adoptions import content_of
from agents.cluster.objects import Object
from agents.storage.clusteradoption import WantedAdoption, WantedImage
from agents.storage.translate.modes import BLOCK
from agents.storage.wire.errors import ImageError
from agents.storage.wire.remotes import parse_server
from compiler.policy.imagekinds import MODE_ALIASES
from compiler.policy.imagenames import ImageNameError, parse_destination, parse_image_name


def wanted_of(conversions: Iterable[Object], node: Object) -> tuple[dict[str, WantedAdoption], dict[str, str]]:
    """By uid: what concerns the node, and what is wrong with what cannot be understood."""
    wanted, problems = dict[str, WantedAdoption](), dict[str, str]()
    for conversion in conversions:
        uid = objects.uid_of(conversion)
        if not _concerns(conversion, node):
            continue
        try:
            wanted[uid] = _wanted(conversion)
        except (ImageError, ImageNameError, KeyError, TypeError) as error:
            problems[uid] = f"the ImageConversion's status cannot be understood: {error}"
    return wanted, problems


def _concerns(conversion: Object, node: Object) -> bool:
    """Volumes are there, on another node that says where. Disks (mode block) are each node's own."""
    status, spec = objects.status_of(conversion), conversion["spec"]
    is_there = status.get("ready") is True and bool(status.get("server")) and bool(status.get("images"))
    is_elsewhere = status.get("node") != objects.name_of(node)
    return is_there and is_elsewhere and _mode(spec) != BLOCK.name and _selects(spec, objects.labels_of(node))


def _selects(spec: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    selector: Mapping[str, str] = spec.get("nodeSelector") or {}
    return all(labels.get(key) == value for key, value in selector.items())


def _mode(spec: Mapping[str, Any]) -> str:
    mode = str(spec.get("imageMode") or "erofs")
    return MODE_ALIASES.get(mode, mode)


def _wanted(conversion: Object) -> WantedAdoption:
    status, spec = objects.status_of(conversion), conversion["spec"]
    names = [str(parse_image_name(spec["sourceImage"]))]
    if spec.get("destImage"):
        names.append(str(parse_destination(spec["destImage"])))
    return WantedAdoption(
        uid=objects.uid_of(conversion),
        conversion=objects.key_of(conversion),
        content=content_of(conversion),
        server=parse_server(str(status["server"])),
        images=tuple(
            WantedImage(
                digest=str(image["digest"]),
                mode=_mode(spec),
                names=tuple(names),
                volumes=tuple(
                    str(block["name"])
                    for block in status.get("blocks") or ()
                    if block.get("platform") == image.get("platform")
                ),
            )
            for image in status["images"]
        ),
    )
