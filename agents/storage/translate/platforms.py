"""Which of an index's manifests is meant by a platform."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from agents.storage.wire.errors import ImageError
from agents.storage.wire.oci import Descriptor, Platform

_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
_DEFAULT_VARIANTS: Final = {"arm64": "v8", "arm": "v7", "amd64": "v1"}


def machine_platform(machine: str) -> Platform:
    """Of `uname -m`'s word."""
    return Platform(os="linux", architecture=_ARCHITECTURES.get(machine, machine))


def parse_platform(text: str) -> Platform:
    parts = text.split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise ImageError(f"'{text}' is no platform; expected os/architecture[/variant]")
    architecture = _ARCHITECTURES.get(parts[1], parts[1])
    return Platform(os=parts[0], architecture=architecture, variant=parts[2] if len(parts) == 3 else "")


def select(manifests: Sequence[Descriptor], wanted: Platform, what: str) -> Descriptor:
    """The manifest for `wanted`; one without a platform only when it is alone. Raises with what there is."""
    found = [item for item in manifests if item.platform is not None and matches(item.platform, wanted)]
    exact = [item for item in found if item.platform is not None and item.platform.variant == wanted.variant]
    for item in (*exact, *found):
        return item
    if len(manifests) == 1 and manifests[0].platform is None:
        return manifests[0]
    there = ", ".join(sorted({str(item.platform) for item in manifests if item.platform is not None})) or "none"
    raise ImageError(f"{what} has no image for {wanted}; it has {there}")


def matches(offered: Platform, wanted: Platform) -> bool:
    if (offered.os, offered.architecture) != (wanted.os, wanted.architecture):
        return False
    return not wanted.variant or _variant(offered) == _variant(wanted)


def _variant(platform: Platform) -> str:
    return platform.variant or _DEFAULT_VARIANTS.get(platform.architecture, "")
