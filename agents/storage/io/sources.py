"""What every place that images come from can do, and reading an image's documents from it."""

from __future__ import annotations

import hashlib
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


class Source(Protocol):
    """A registry's repository, or a layout. Raises ImageError with what the place answered."""

    def resolve(self) -> tuple[str, str, bytes]:
        """Media type, digest and bytes of what the name means; the digest is not checked yet when a name gave it."""
        ...

    def manifest(self, descriptor: Descriptor) -> bytes: ...

    def open_blob(self, descriptor: Descriptor, start: int = 0) -> BinaryIO:
        """The blob's bytes from `start` on."""
        ...

    def close(self) -> None: ...


def read_image(source: Source, platform: Platform, name: str) -> Image:
    """The image for `platform` behind the source's name, its documents verified. Indexes may nest, three deep."""
    media_type, digest, document = source.resolve()
    for _ in range(3):
        if not is_index(media_type, document):
            break
        chosen = select(parse_index(document, f"index {digest}"), platform, name)
        document = source.manifest(chosen)
        _check(document, chosen)
        media_type, digest = chosen.media_type, chosen.digest
    manifest = parse_manifest(document, f"manifest {digest}")
    config = _small_blob(source, manifest.config)
    image = make_image(digest, document, manifest, config)
    if image.platform.os and not matches(image.platform, platform):
        raise ImageError(f"{name} is for {image.platform}, not for {platform}")
    return image


def _small_blob(source: Source, descriptor: Descriptor) -> bytes:
    if descriptor.size > MAX_DOCUMENT_BYTES:
        raise ImageError(f"config {descriptor.digest} takes {descriptor.size} bytes, more than {MAX_DOCUMENT_BYTES}")
    with source.open_blob(descriptor) as stream:
        data = stream.read(descriptor.size + 1)
    _check(data, descriptor)
    return data


def _check(data: bytes, descriptor: Descriptor) -> None:
    if len(data) != descriptor.size:
        raise ImageError(f"{descriptor.digest} should have {descriptor.size} bytes and has {len(data)}")
    found = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if found != descriptor.digest:
        raise ImageError(f"{descriptor.digest} was asked for, and what came has the digest {found}")
