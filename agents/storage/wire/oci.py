"""OCI image documents, and Docker's that mean the same: descriptors, indexes, manifests, configs.

Read with what is needed and checked for what could hurt later: digests that are no digests, negative or absurd sizes,
lists that do not match. image-spec 1.1: descriptor.md, image-index.md, manifest.md, config.md.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final, cast

from agents.storage.wire.errors import ImageError

MAX_DOCUMENT_BYTES: Final = 4 << 20
"""Longest manifest or config that is read; registries take as much."""
MAX_LAYERS: Final = 1_000
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
REF_NAME: Final = "org.opencontainers.image.ref.name"

INDEX_TYPES: Final = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFEST_TYPES: Final = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_LAYER_COMPRESSIONS: Final = {
    "application/vnd.oci.image.layer.v1.tar": "",
    "application/vnd.oci.image.layer.v1.tar+gzip": "gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd": "zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar": "",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": "gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": "zstd",
    "application/vnd.docker.image.rootfs.diff.tar": "",
    "application/vnd.docker.image.rootfs.diff.tar.gzip": "gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd": "zstd",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": "gzip",
}
_STAYING: Final = (".nondistributable.", ".foreign.")
"""In types of layers that stay where they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    os: str = ""
    architecture: str = ""
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """`digest` is `sha256:` and 64 hexadecimal digits, `size` in bytes."""

    media_type: str
    digest: str
    size: int
    platform: Platform | None = None
    name: str = ""
    """The annotation org.opencontainers.image.ref.name."""

    @property
    def hexadecimal(self) -> str:
        return self.digest.removeprefix("sha256:")

    @property
    def may_be_pushed(self) -> bool:
        return not any(part in self.media_type for part in _STAYING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """`compression` is gzip, zstd or empty; `diff_id` the digest of the bytes without it."""

    blob: Descriptor
    compression: str
    diff_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One platform's image; the documents byte for byte."""

    digest: str
    manifest: bytes
    config: bytes
    config_digest: str
    platform: Platform
    layers: tuple[Layer, ...]
    indexes: tuple[str, ...] = ()
    """Digests of the indexes by which the manifest was found, from the name on: who signs them signs the manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    config: Descriptor
    layers: tuple[Descriptor, ...]


def is_index(media_type: str, document: bytes) -> bool:
    """Whether a document lists manifests; by what it holds when nothing says what it is."""
    if media_type in (*INDEX_TYPES, *MANIFEST_TYPES):
        return media_type in INDEX_TYPES
    return "manifests" in json_object(document, "the document")


def manifest_type(document: bytes) -> str:
    """What a manifest says that it is; one that says nothing is OCI's."""
    found = json_object(document, "the manifest").get("mediaType")
    return found if found in MANIFEST_TYPES else MANIFEST_TYPES[0]


def parse_index(document: bytes, what: str) -> tuple[Descriptor, ...]:
    return tuple(parse_descriptor(item, what) for item in _list(json_object(document, what), "manifests", what))


def parse_manifest(document: bytes, what: str) -> Manifest:
    fields = json_object(document, what)
    if fields.get("schemaVersion") != 2 or "config" not in fields:
        raise ImageError(f"{what} is no manifest of an image (schema version 2)")
    layers = tuple(parse_descriptor(item, what) for item in _list(fields, "layers", what))
    if len(layers) > MAX_LAYERS:
        raise ImageError(f"{what} has {len(layers)} layers; at most {MAX_LAYERS} are taken")
    return Manifest(config=parse_descriptor(fields["config"], what), layers=layers)


def make_image(digest: str, manifest_bytes: bytes, manifest: Manifest, config: bytes) -> Image:
    """Put manifest and config together; refuses those that do not belong to each other."""
    what = f"config {manifest.config.digest}"
    fields = json_object(config, what)
    rootfs = fields.get("rootfs")
    diff_ids = cast("dict[str, Any]", rootfs).get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(diff_ids, list) or not all(_is_digest(d) for d in cast("list[object]", diff_ids)):
        raise ImageError(f"{what} has no list of diff_ids: this is no container image")
    ids = cast("list[str]", diff_ids)
    if len(ids) != len(manifest.layers):
        raise ImageError(f"manifest {digest} has {len(manifest.layers)} layers, its config {len(ids)} diff_ids")
    return Image(
        digest=digest,
        manifest=manifest_bytes,
        config=config,
        config_digest=manifest.config.digest,
        platform=_platform(fields),
        layers=tuple(_layer(blob, diff_id) for blob, diff_id in zip(manifest.layers, ids, strict=True)),
    )


def _layer(blob: Descriptor, diff_id: str) -> Layer:
    compression = _LAYER_COMPRESSIONS.get(blob.media_type)
    if compression is None:
        raise ImageError(f"layer {blob.digest} is of type '{blob.media_type[:100]}', which is no layer of files")
    return Layer(blob=blob, compression=compression, diff_id=diff_id)


def json_object(document: bytes, what: str) -> dict[str, Any]:
    """What the document `what` holds. Raises ImageError."""
    try:
        value: object = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise ImageError(f"{what} is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise ImageError(f"{what} is no JSON object")
    return cast("dict[str, Any]", value)


def _list(fields: dict[str, Any], name: str, what: str) -> list[object]:
    value: object = fields.get(name)
    if not isinstance(value, list):
        raise ImageError(f"{what} has no list '{name}'")
    return cast("list[object]", value)


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def parse_descriptor(value: object, what: str) -> Descriptor:
    """One of the references in the document `what`."""
    fields = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    digest, size, media_type = fields.get("digest"), fields.get("size"), fields.get("mediaType", "")
    if not _is_digest(digest):
        raise ImageError(f"{what} refers to {str(digest)[:100]!r}, which is no sha256 digest")
    if type(size) is not int or not 0 <= size < 1 << 62:
        raise ImageError(f"{what} gives {digest} the size {str(size)[:30]!r}")
    annotations = fields.get("annotations")
    name = cast("dict[str, Any]", annotations).get(REF_NAME, "") if isinstance(annotations, dict) else ""
    platform = fields.get("platform")
    return Descriptor(
        media_type=str(media_type),
        digest=cast("str", digest),
        size=size,
        platform=_platform(cast("dict[str, Any]", platform)) if isinstance(platform, dict) else None,
        name=str(name),
    )


def _platform(fields: dict[str, Any]) -> Platform:
    texts = (fields.get(name, "") for name in ("os", "architecture", "variant"))
    os_name, architecture, variant = (text if isinstance(text, str) else "" for text in texts)
    return Platform(os=os_name, architecture=architecture, variant=variant)
