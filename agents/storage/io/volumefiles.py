"""Files of volumes: what each is called, and writing an image of a file system to one, hashed on the way."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, assert_never

from agents.storage.io.files import appearing, fsync_directory, publish
from agents.storage.io.ingest import OnBytes
from agents.storage.io.packing import Packing, packing
from agents.storage.io.trees import LayerFiles
from agents.storage.translate.contents import FileBytes, FileSystemImage, PackedBytes, Piece
from agents.storage.wire.errors import ImageError
from agents.storage.wire.remotes import RemoteVolume, parse_remote, remote_to_json
from agents.storage.wire.traces import MOST_FILE_BYTES, Trace, parse_trace, trace_to_json

SUFFIX: Final = ".erofs"
DISK_SUFFIX: Final = ".ext4"
REMOTE_SUFFIX: Final = ".nbd"
TRACE_SUFFIX: Final = ".trace"


def hexadecimal(digest: str) -> str:
    return digest.removeprefix("sha256:")


def volume_path(folder: Path, digest: str) -> Path:
    return folder / "volumes" / f"{hexadecimal(digest)}{SUFFIX}"


def remote_path(folder: Path, digest: str) -> Path:
    """Stands for a volume that is on another node, and says where."""
    return volume_path(folder, digest).with_suffix(REMOTE_SUFFIX)


def trace_path(folder: Path, digest: str) -> Path:
    """What a start reads of the volume, beside it."""
    return volume_path(folder, digest).with_suffix(TRACE_SUFFIX)


def read_trace(folder: Path, digest: str, size_bytes: int) -> Trace | None:
    """None where nobody has recorded any. Raises ImageError where it is none of this volume."""
    path = trace_path(folder, digest)
    try:
        with path.open("rb") as stream:
            return parse_trace(stream.read(MOST_FILE_BYTES + 1), digest, size_bytes, str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror}") from error


def recorded_traces(folder: Path) -> frozenset[tuple[str, int]]:
    """Name and time (ns) of each trace of a store: other ones when one was recorded."""
    found: set[tuple[str, int]] = set()
    for path in (folder / "volumes").glob(f"*{TRACE_SUFFIX}"):
        with suppress(FileNotFoundError):
            found.add((path.name, path.stat().st_mtime_ns))
    return frozenset(found)


def write_trace(folder: Path, trace: Trace) -> None:
    """In the place of another one, if there is one."""
    final = trace_path(folder, trace.volume)
    partial = final.with_suffix(f"{TRACE_SUFFIX}.part")
    with appearing(partial) as out:
        out.write(trace_to_json(trace))
        publish(out, partial, final)


def volume_paths(folder: Path, digest: str) -> tuple[Path, ...]:
    """All that there may be of the volume, what is best first."""
    return tuple(path(folder, digest) for path in (disk_path, volume_path, remote_path))


def disk_path(folder: Path, digest: str) -> Path:
    """Of a disk, whose digest is that of its bytes up to the last one that is used."""
    return volume_path(folder, digest).with_suffix(DISK_SUFFIX)


def find_volume(folder: Path, digest: str) -> Path:
    """The volume, or the disk, of this digest, or what says where it is; where there is nothing, the volume's path."""
    found = (path for path in volume_paths(folder, digest) if path.exists())
    return next(found, volume_path(folder, digest))


def remote_volume(path: Path) -> RemoteVolume | None:
    """Where the volume is, if `path` only says so."""
    if path.suffix != REMOTE_SUFFIX:
        return None
    try:
        return parse_remote(path.read_bytes(), str(path))
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror}") from error


def write_remote(folder: Path, digest: str, remote: RemoteVolume) -> None:
    """Unless the volume itself is there, or this very thing."""
    path = find_volume(folder, digest)
    if path.exists() and (path.suffix != REMOTE_SUFFIX or remote_volume(path) == remote):
        return
    final = remote_path(folder, digest)
    partial = final.with_suffix(f"{REMOTE_SUFFIX}.part")
    with appearing(partial) as out:
        out.write(remote_to_json(remote))
        publish(out, partial, final)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenVolume:
    digest: str
    size_bytes: int


def work_bytes(image: FileSystemImage) -> int:
    """What `write_volume` counts: the files that it tries to compress, and the image as if they did not shrink."""
    return image.size + sum(node.size for node in image.compressible)


def write_volume(
    image: FileSystemImage, files: LayerFiles, folder: Path, recipe: str, on_bytes: OnBytes
) -> WrittenVolume:
    """Write the volume, files compressed where the image has it so; it has its name once its bytes are on the disk."""
    partial = folder / "volumes" / f"{recipe}.part"
    digest = hashlib.sha256()
    with appearing(partial) as out, packing(partial.parent) as packed:
        plain = image.size
        image = image.compressed(packed.pack(image.compressible, files, on_bytes))
        on_bytes(plain - image.size)
        _check_room(partial.parent, image.size)
        for piece in image.pieces():
            for data in _bytes_of(piece, files, packed):
                digest.update(data)
                out.write(data)
                on_bytes(len(data))
        name = f"sha256:{digest.hexdigest()}"
        final = volume_path(folder, name)
        if image.virtual_size > image.size:
            out.truncate(image.virtual_size)
            final = disk_path(folder, name)
        out.flush()
        os.fsync(out.fileno())
        partial.rename(final)
        fsync_directory(final.parent)
    return WrittenVolume(digest=name, size_bytes=image.size)


def _check_room(folder: Path, size: int) -> None:
    free = os.statvfs(folder)
    if free.f_bavail * free.f_frsize < size:
        raise ImageError(f"{folder}: the volume takes {size} bytes; {free.f_bavail * free.f_frsize} are free")


def _bytes_of(piece: Piece, files: LayerFiles, packed: Packing) -> Iterable[bytes]:
    match piece:
        case FileBytes():
            return files.read(piece)
        case PackedBytes():
            return (packed.read(piece),)
        case bytes():
            return (piece,)
        case _:
            assert_never(piece)
