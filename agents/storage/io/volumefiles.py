"""Writing an image of a file system to a file, hashed on the way."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from agents.storage.io.files import appearing, fsync_directory
from agents.storage.io.ingest import OnBytes
from agents.storage.io.trees import LayerFiles
from agents.storage.translate.contents import FileBytes, FileSystemImage
from agents.storage.wire.errors import ImageError

SUFFIX: Final = ".erofs"
DISK_SUFFIX: Final = ".ext4"


def volume_path(folder: Path, digest: str) -> Path:
    return folder / "volumes" / f"{digest.removeprefix('sha256:')}{SUFFIX}"


def disk_path(folder: Path, digest: str) -> Path:
    """Of a disk, whose digest is that of its bytes up to the last one that is used."""
    return volume_path(folder, digest).with_suffix(DISK_SUFFIX)


def find_volume(folder: Path, digest: str) -> Path:
    """The volume, or the disk, of this digest; where there is neither, the volume's path."""
    disk = disk_path(folder, digest)
    return disk if disk.exists() else volume_path(folder, digest)


def write_volume(image: FileSystemImage, files: LayerFiles, folder: Path, recipe: str, on_bytes: OnBytes) -> str:
    """Write the volume and return its digest; it has its name once its bytes are on the disk."""
    partial = folder / "volumes" / f"{recipe}.part"
    digest = hashlib.sha256()
    with appearing(partial) as out:
        free = os.statvfs(partial.parent)
        if free.f_bavail * free.f_frsize < image.size:
            raise ImageError(
                f"{partial.parent}: the volume takes {image.size} bytes; {free.f_bavail * free.f_frsize} are free"
            )
        for piece in image.pieces():
            for data in files.read(piece) if isinstance(piece, FileBytes) else (piece,):
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
    return name
