"""Names of container images: `[registry/]repository[:tag][@digest]`, or an OCI image layout on this machine.

The grammar is that of the distribution project's reference package, defaults included: no registry is docker.io, one
word there is in `library/`, neither tag nor digest is `latest`. Layouts are written `oci:DIRECTORY[:NAME]` or
`oci-archive:FILE.tar[:NAME]`, where NAME is the annotation org.opencontainers.image.ref.name in the layout's index.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

DEFAULT_REGISTRY: Final = "docker.io"
DEFAULT_TAG: Final = "latest"

_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY: Final = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_HOST: Final = re.compile(
    r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[-A-Za-z0-9]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[-A-Za-z0-9]*[A-Za-z0-9])?)*)"
    r"(?::[0-9]{1,5})?"
)
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_SCHEMES: Final = ("oci:", "oci-archive:")
DESTINATION_EXPECTED: Final = "[registry/]repository[:tag]"
EXPECTED: Final = "[registry/]repository[:tag][@sha256:...], oci:DIRECTORY[:NAME] or oci-archive:FILE[:NAME]"


class ImageNameError(ValueError):
    """Why a text names no image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryImage:
    """`tag` is empty when there is a digest alone; `digest` is `sha256:...` or empty."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @property
    def reference(self) -> str:
        """What the registry is asked for: the digest where there is one."""
        return self.digest or self.tag

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.registry}/{self.repository}{tag}" + (f"@{self.digest}" if self.digest else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutImage:
    """An OCI image layout: a directory, or a tar file of one. `name` is empty when the layout holds one image."""

    path: str
    is_archive: bool
    name: str = ""

    def __str__(self) -> str:
        scheme = "oci-archive" if self.is_archive else "oci"
        return f"{scheme}:{self.path}" + (f":{self.name}" if self.name else "")


ImageName = RegistryImage | LayoutImage


def parse_image_name(text: str) -> ImageName:
    """Raises ImageNameError in words that can stand behind the text itself."""
    for scheme in _SCHEMES:
        if text.startswith(scheme):
            return _layout(text.removeprefix(scheme), is_archive=scheme == "oci-archive:")
    return _registry(text)


def parse_destination(text: str) -> RegistryImage:
    """A name that an image can be pushed to. Raises ImageNameError."""
    name = parse_image_name(text)
    if isinstance(name, LayoutImage):
        raise ImageNameError("is a layout, and images go to registries")
    if name.digest:
        raise ImageNameError("has a digest, which what is pushed there has by itself")
    return name


def _layout(rest: str, *, is_archive: bool) -> LayoutImage:
    path, colon, name = rest.rpartition(":")
    if not colon or "/" in name:
        path, name = rest, ""
    if not path:
        raise ImageNameError("names no file")
    return LayoutImage(path=path, is_archive=is_archive, name=name)


def _registry(text: str) -> RegistryImage:
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise ImageNameError("has a digest that is not 'sha256:' and 64 hexadecimal digits")
    rest, tag = _without_tag(rest)
    if tag is not None and not _TAG.fullmatch(tag):
        raise ImageNameError("has a tag with characters that tags do not have, or more than 128 of them")
    registry, repository = _split_registry(rest)
    if not _HOST.fullmatch(registry):
        raise ImageNameError("has no host name in front of the first '/'")
    if repository != repository.lower():
        raise ImageNameError("has capitals in the repository")
    if not _REPOSITORY.fullmatch(repository) or len(repository) > 255:
        raise ImageNameError("is no image name")
    default = "" if digest else DEFAULT_TAG
    return RegistryImage(registry=registry, repository=repository, tag=tag or default, digest=digest)


def _without_tag(text: str) -> tuple[str, str | None]:
    head, colon, tag = text.rpartition(":")
    return (head, tag) if colon and "/" not in tag and "]" not in tag else (text, None)


def _split_registry(text: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    if slash and (first == "localhost" or any(c in first for c in ".:[") or first != first.lower()):
        registry, repository = first, rest
    else:
        registry, repository = DEFAULT_REGISTRY, text
    if registry == "index.docker.io":
        registry = DEFAULT_REGISTRY
    if registry == DEFAULT_REGISTRY and "/" not in repository:
        repository = f"library/{repository}"
    return registry, repository
