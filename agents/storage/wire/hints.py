"""The index that a converted image is pushed as: its manifests as they were, each with hints about its volumes.

The hints are annotations of the index's descriptors, so manifests, configs and layers keep their digests. They tell
people and schedulers what there is; nothing here reads them: which image something is, only digests say.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from agents.storage.wire.oci import INDEX_TYPES, Platform

MODE: Final = "dev.turnout.image.mode"
BLOCKS: Final = "dev.turnout.image.blocks"
INDEX_TYPE: Final = INDEX_TYPES[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A volume: with those before it, it has `layers` of the image's layers."""

    name: str
    role: str
    layers: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hinted:
    """A manifest and what was made of its image."""

    media_type: str
    digest: str
    size: int
    platform: Platform
    mode: str
    blocks: tuple[Block, ...]


def print_index(images: Sequence[Hinted]) -> bytes:
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [_descriptor(image) for image in images]}
    return json.dumps(index, separators=(",", ":")).encode()


def _descriptor(image: Hinted) -> dict[str, Any]:
    platform = {"os": image.platform.os, "architecture": image.platform.architecture, "variant": image.platform.variant}
    blocks = [
        {"name": block.name, "role": block.role, "layers": block.layers, "sizeBytes": block.size_bytes}
        for block in image.blocks
    ]
    return {
        "mediaType": image.media_type,
        "digest": image.digest,
        "size": image.size,
        **({"platform": {key: value for key, value in platform.items() if value}} if image.platform.os else {}),
        "annotations": {MODE: image.mode, BLOCKS: json.dumps(blocks, separators=(",", ":"))},
    }
