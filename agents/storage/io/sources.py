"""What every place that images come from can do, and reading an image's documents from it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import BinaryIO, Protocol

from agents.storage.translate.platforms import matches, select
from agents.storage.wire.errors import ImageError
from agents.storage.wire.oci import (
    MAX_DOCUMENT_BYTES,
    Descriptor,
    Image,
    Platform,
    is_index,
    make_image,
    parse_index,
    parse_manifest,
)
from agents.storage.wire.signatures import Referrer


class Source(Protocol):
    """A registry's repository, or a layout. Raises ImageError with what the place answered."""

    def resolve(self) -> tuple[str, str, bytes]:
        """Media type, digest and bytes of what the name means; the digest is not checked yet when a name gave it."""
        ...

    def manifest(self, descriptor: Descriptor) -> bytes: ...

    def open_blob(self, descriptor: Descriptor, start: int = 0) -> BinaryIO:
        """The blob's bytes from `start` on."""
        ...

    def tagged(self, tag: str) -> bytes | None:
        """The manifest that another tag in the same place means; None where there is no such tag."""
        ...

    def referrers(self, digest: str) -> tuple[Referrer, ...]:
        """Manifests of the same place whose subject is the digest, as far as the place knows. Each is what a list
        says, not checked."""
        ...

    def close(self) -> None: ...


def read_image(source: Source, platform: Platform, name: str) -> Image:
    """The image for `platform` behind the source's name, its documents verified. Indexes may nest, three deep."""
    media_type, digest, document = source.resolve()
    indexes: list[str] = []
    for _ in range(3):
        if not is_index(media_type, document):
            break
        indexes.append(digest)
        chosen = select(parse_index(document, f"index {digest}"), platform, name)
        document = verified_manifest(source, chosen)
        media_type, digest = chosen.media_type, chosen.digest
    manifest = parse_manifest(document, f"manifest {digest}")
    config = small_blob(source, manifest.config, "config", MAX_DOCUMENT_BYTES)
    image = replace(make_image(digest, document, manifest, config), indexes=tuple(indexes))
    if image.platform.os and not matches(image.platform, platform):
        raise ImageError(f"{name} is for {image.platform}, not for {platform}")
    return image


def small_blob(source: Source, descriptor: Descriptor, what: str, most_bytes: int) -> bytes:
    """A blob that is held in memory, its digest verified."""
    if descriptor.size > most_bytes:
        raise ImageError(f"{what} {descriptor.digest} takes {descriptor.size} bytes, more than {most_bytes}")
    with source.open_blob(descriptor) as stream:
        data = stream.read(descriptor.size + 1)
    _check(data, descriptor)
    return data


def verified_manifest(source: Source, descriptor: Descriptor) -> bytes:
    document = source.manifest(descriptor)
    _check(document, descriptor)
    return document


def _check(data: bytes, descriptor: Descriptor) -> None:
    if len(data) != descriptor.size:
        raise ImageError(f"{descriptor.digest} should have {descriptor.size} bytes and has {len(data)}")
    found = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if found != descriptor.digest:
        raise ImageError(f"{descriptor.digest} was asked for, and what came has the digest {found}")
