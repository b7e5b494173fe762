"""Tar archives made by hand, so that they may hold what no tar program writes; OCI layouts of them."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard

Pax = Mapping[str | bytes, str | bytes]


def pax_record(key: bytes, value: bytes) -> bytes:
    """Length, blank, key, equals sign, value, newline; the length counts its own digits."""
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest)
    while len(b"%d" % length) + len(rest) != length:
        length = len(b"%d" % length) + len(rest)
    return b"%d" % length + rest


def _octal(value: int, width: int) -> bytes:
    if 0 <= value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    return bytes([0x80 if value >= 0 else 0xFF]) + value.to_bytes(width - 1, "big", signed=value < 0)


def header(
    name: bytes,
    kind: bytes = b"0",
    *,
    mode: int = 0o644,
    uid: int = 0,
    gid: int = 0,
    size: int = 0,
    mtime: int = 1_600_000_000,
    link: bytes = b"",
    device: tuple[int, int] = (0, 0),
    magic: bytes = b"ustar\x0000",
    tail: bytes = b"",
) -> bytes:
    """One header of 512 bytes. `tail` is what lies behind the device numbers."""
    block = bytearray(512)
    block[0:100] = name[:100].ljust(100, b"\0")
    block[100:108] = _octal(mode, 8)
    block[108:116] = _octal(uid, 8)
    block[116:124] = _octal(gid, 8)
    block[124:136] = _octal(size, 12)
    block[136:148] = _octal(mtime, 12)
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[157:257] = link[:100].ljust(100, b"\0")
    block[257:265] = magic
    block[329:337], block[337:345] = _octal(device[0], 8), _octal(device[1], 8)
    block[345 : 345 + len(tail)] = tail
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


@dataclass
class Tar:
    """An archive that grows by `add`; `raw` appends any bytes."""

    data: bytearray = field(default_factory=bytearray)

    def raw(self, data: bytes) -> Tar:
        self.data += data
        return self

    def add(
        self, name: str | bytes, kind: bytes = b"0", data: bytes = b"", *, pax: Pax | None = None, **fields: Any
    ) -> Tar:
        """A member; a name or link that is too long goes into an extended header."""
        encoded, link = _bytes(name), _bytes(fields.pop("link", b""))
        records = {_bytes(key): _bytes(value) for key, value in (pax or {}).items()}
        if len(encoded) > 100:
            records.setdefault(b"path", encoded)
        if len(link) > 100:
            records.setdefault(b"linkpath", link)
        if records:
            body = b"".join(pax_record(key, value) for key, value in records.items())
            self.raw(header(b"pax", b"x", size=len(body)) + padded(body))
        size = fields.pop("size", len(data))
        return self.raw(header(encoded, kind, size=size, link=link, **fields) + padded(data))

    def directory(self, name: str | bytes, mode: int = 0o755, **fields: Any) -> Tar:
        return self.add(name, b"5", mode=mode, **fields)

    def finished(self) -> bytes:
        return bytes(self.data) + bytes(1024)


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def compressed(data: bytes, compression: str) -> bytes:
    match compression:
        case "gzip":
            return gzip.compress(data, 1, mtime=0)
        case "zstd":
            return zstandard.compress(data, 1)
        case _:
            return data


@dataclass
class LayoutWriter:
    """Writes OCI image layouts: `image` for each, then `write`."""

    folder: Path
    manifests: list[dict[str, Any]] = field(default_factory=lambda: [])

    def blob(self, data: bytes) -> tuple[str, int]:
        path = self.folder / "blobs" / "sha256" / digest(data).removeprefix("sha256:")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return digest(data), len(data)

    def image(
        self,
        layers: Sequence[bytes],
        name: str = "example.com/test:1",
        *,
        compression: str = "gzip",
        platform: Mapping[str, str] | None = None,
        changes: Mapping[str, Any] | None = None,
        history: Sequence[Mapping[str, Any]] = (),
    ) -> str:
        """Add an image of plain tars; returns the manifest's digest. `changes` replaces fields of the manifest."""
        platform = platform or {"os": "linux", "architecture": "amd64"}
        config = self.blob(
            json.dumps({**_config(layers, platform), **({"history": history} if history else {})}).encode()
        )
        suffix = f"+{compression}" if compression else ""
        blobs = [self.blob(compressed(layer, compression)) for layer in layers]
        manifest: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": [_descriptor(f"application/vnd.oci.image.layer.v1.tar{suffix}", blob) for blob in blobs],
        }
        written = self.blob(json.dumps({**manifest, **(changes or {})}).encode())
        annotations = {"org.opencontainers.image.ref.name": name, "io.containerd.image.name": name}
        entry = {**_descriptor(manifest["mediaType"], written), "platform": dict(platform), "annotations": annotations}
        self.manifests.append(entry)
        return written[0]

    def write(self) -> Path:
        (self.folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        (self.folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": self.manifests}))
        return self.folder

    def write_archive(self, path: Path) -> Path:
        self.write()
        with tarfile.open(path, "w") as archive:
            for member in sorted(self.folder.rglob("*")):
                archive.add(member, member.relative_to(self.folder), recursive=False)
        return path


def _descriptor(media_type: str, blob: tuple[str, int]) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": blob[0], "size": blob[1]}


def _config(layers: Sequence[bytes], platform: Mapping[str, str]) -> dict[str, Any]:
    return {
        **platform,
        "config": {"Cmd": ["/bin/true"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
    }
