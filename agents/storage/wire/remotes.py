"""Volumes on another node: where they are, and the catalog in which that node says what it has.

A catalog is trusted for what is in its volumes as the node itself is; that manifest, config and layers belong together
is checked here.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, cast

from agents.storage.wire.errors import ImageError
from agents.storage.wire.oci import Image, make_image, parse_manifest
from agents.storage.wire.traces import Trace, packed_files, parse_extents, unpacked_files

CATALOG: Final = "catalog"
"""Name of the catalog among what a server exports; volumes are exported by their digest, without `sha256:`."""
DEFAULT_PORT: Final = 10_809
_VERSION: Final = 1
_TLS_HOSTNAME: Final = "tls-hostname"
_HOSTNAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """With `tls` nothing is said to it, or taken from it, in the clear."""

    host: str
    port: int
    tls: bool = False
    tls_hostname: str = ""
    """What its certificate names, where that is not the host."""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        named = f"?{_TLS_HOSTNAME}={self.tls_hostname}" if self.tls_hostname else ""
        return f"nbd{'s' if self.tls else ''}://{host}:{self.port}{named}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteVolume:
    """What stands in the place of a volume's file."""

    server: Server
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogVolume:
    digest: str
    recipe: str
    size_bytes: int
    role: str
    layers: int
    trace: Trace | None = None
    """What a start reads, where that has been recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogImage:
    image: Image
    mode: str
    names: tuple[str, ...]
    volumes: tuple[CatalogVolume, ...]


def parse_server(text: str) -> Server:
    """HOST[:PORT], an IPv6 address in brackets, with or without nbd:// before it; nbds:// where TLS is spoken, and then
    ?tls-hostname=NAME where the certificate names something else than the host, as URIs of NBD have it."""
    tls = text.startswith("nbds://")
    place, query, named = text.partition("?")
    name = named.removeprefix(f"{_TLS_HOSTNAME}=")
    if query and not (tls and name != named and _HOSTNAME.fullmatch(name)):
        raise ImageError(f"'{text}' is no server of volumes: behind nbds://HOST[:PORT] may be ?{_TLS_HOSTNAME}=NAME")
    rest = place.removeprefix("nbds://" if tls else "nbd://").removesuffix("/")
    host, sign, port = rest.rpartition(":")
    if not sign or rest.endswith("]"):
        host, port = rest, str(DEFAULT_PORT)
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    is_host = bool(bare) and not set(bare) & set("/@[] ,") and (":" not in bare or bare != host)
    if not (is_host and port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise ImageError(f"'{text}' is no server of volumes; expected [nbd://]HOST[:PORT] or nbds://HOST[:PORT]")
    return Server(host=bare, port=int(port), tls=tls, tls_hostname=name)


def remote_to_json(remote: RemoteVolume) -> bytes:
    return json.dumps({"server": str(remote.server), "sizeBytes": remote.size_bytes}).encode() + b"\n"


def parse_remote(data: bytes, what: str) -> RemoteVolume:
    fields = _fields(data, what)
    return RemoteVolume(
        server=parse_server(_text(fields, "server", what)), size_bytes=_number(fields, "sizeBytes", what)
    )


def catalog_to_json(images: Sequence[CatalogImage]) -> bytes:
    return json.dumps({"version": _VERSION, "images": [_plain(one) for one in images]}).encode()


def _plain(one: CatalogImage) -> dict[str, Any]:
    volumes = [
        {"digest": v.digest, "recipe": v.recipe, "sizeBytes": v.size_bytes, "role": v.role, "layers": v.layers}
        | ({} if v.trace is None else {"trace": v.trace.extents, "files": packed_files(v.trace.files)})
        for v in one.volumes
    ]
    return {
        "manifest": base64.b64encode(one.image.manifest).decode(),
        "config": base64.b64encode(one.image.config).decode(),
        "mode": one.mode,
        "names": list(one.names),
        "volumes": volumes,
    }


def parse_catalog(data: bytes, what: str) -> tuple[CatalogImage, ...]:
    """`what` begins errors. Blanks and zeros may follow: a catalog is padded to whole blocks."""
    fields = _fields(data.rstrip(b"\0 \n"), what)
    if fields.get("version") != _VERSION:
        raise ImageError(f"{what} is of version {str(fields.get('version'))[:20]}; this takes {_VERSION}")
    return tuple(_image(one, what) for one in _list(fields, "images", what))


def _image(fields: dict[str, Any], what: str) -> CatalogImage:
    manifest, config = (_bytes(fields, name, what) for name in ("manifest", "config"))
    digest = f"sha256:{sha256(manifest).hexdigest()}"
    parsed = parse_manifest(manifest, f"{what}, manifest {digest}")
    if parsed.config.digest != f"sha256:{sha256(config).hexdigest()}":
        raise ImageError(f"{what} gives manifest {digest} a config that is not its own")
    names = cast("list[object]", fields.get("names") if isinstance(fields.get("names"), list) else [])
    return CatalogImage(
        image=make_image(digest, manifest, parsed, config),
        mode=_text(fields, "mode", what),
        names=tuple(name for name in names if isinstance(name, str)),
        volumes=tuple(_volume(one, what) for one in _list(fields, "volumes", what)),
    )


def _volume(fields: dict[str, Any], what: str) -> CatalogVolume:
    digest = _text(fields, "digest", what)
    hexadecimal = digest.removeprefix("sha256:")
    if digest == hexadecimal or len(hexadecimal) != 64 or set(hexadecimal) - set("0123456789abcdef"):
        raise ImageError(f"{what} names a volume {digest[:100]!r}, which is no sha256 digest")
    size_bytes = _number(fields, "sizeBytes", what)
    return CatalogVolume(
        digest=digest,
        recipe=_text(fields, "recipe", what),
        size_bytes=size_bytes,
        role=_text(fields, "role", what),
        layers=_number(fields, "layers", what),
        trace=_trace(fields, digest, size_bytes, f"{what}, the trace of volume {digest}"),
    )


def _trace(fields: dict[str, Any], digest: str, size_bytes: int, what: str) -> Trace | None:
    extents = parse_extents(fields.get("trace", []), size_bytes, what)
    files = unpacked_files(_text(fields, "files", what), extents, what) if "files" in fields else ()
    return Trace(volume=digest, size_bytes=size_bytes, extents=extents, files=files) if extents else None


def _fields(data: bytes, what: str) -> dict[str, Any]:
    try:
        found: object = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ImageError(f"{what} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise ImageError(f"{what} is no JSON object")
    return cast("dict[str, Any]", found)


def _list(fields: dict[str, Any], name: str, what: str) -> list[dict[str, Any]]:
    found: object = fields.get(name)
    items = cast("list[object]", found) if isinstance(found, list) else [None]
    if not all(isinstance(one, dict) for one in items):
        raise ImageError(f"{what} has no list of objects '{name}'")
    return cast("list[dict[str, Any]]", items)


def _text(fields: dict[str, Any], name: str, what: str) -> str:
    found: object = fields.get(name)
    if not isinstance(found, str):
        raise ImageError(f"{what} has no text '{name}'")
    return found


def _number(fields: dict[str, Any], name: str, what: str) -> int:
    found: object = fields.get(name)
    if type(found) is not int or not 0 <= found < 1 << 62:
        raise ImageError(f"{what} has no number '{name}'")
    return found


def _bytes(fields: dict[str, Any], name: str, what: str) -> bytes:
    try:
        return base64.b64decode(_text(fields, name, what), validate=True)
    except ValueError as error:
        raise ImageError(f"{what} has no base64 '{name}'") from error
