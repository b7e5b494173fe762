"""OCI image layouts (image-spec image-layout.md): a directory, or a tar file that is read in place."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path
from typing import BinaryIO, Final

from agents.storage.wire.errors import ImageError
from agents.storage.wire.oci import MAX_DOCUMENT_BYTES, Descriptor, parse_index
from agents.storage.wire.signatures import Referrer, parse_referrers, subject_of
from agents.storage.wire.tar import REGULAR, entries
from compiler.policy.imagenames import LayoutImage

_INDEX: Final = "index.json"
_MARKER: Final = "oci-layout"


class Layout:
    """A `Source`. Blobs are opened by their digest alone, so no name in a layout leads out of it."""

    def __init__(self, image: LayoutImage) -> None:
        self._image = image
        path = Path(image.path)
        self._files = _ArchiveFiles(path) if image.is_archive else _DirectoryFiles(path)

    def resolve(self) -> tuple[str, str, bytes]:
        with self._files.open(_MARKER):
            pass
        document = self._index()
        listed = parse_referrers(document, f"{self._image.path}/{_INDEX}")
        found = [one.descriptor for one in listed if not one.is_signature]
        if not self._image.name:
            if len(found) == 1:
                return found[0].media_type, found[0].digest, self.manifest(found[0])
            if found and all(item.platform is not None and not item.name for item in found):
                return "", f"sha256:{hashlib.sha256(document).hexdigest()}", document
        named = [item for item in found if item.name == self._image.name]
        if len(named) != 1:
            names = ", ".join(sorted(item.name for item in found if item.name)) or "none with a name"
            raise ImageError(f"{self._image}: which image is meant? The layout holds {len(found)}: {names}")
        return named[0].media_type, named[0].digest, self.manifest(named[0])

    def manifest(self, descriptor: Descriptor) -> bytes:
        with self.open_blob(descriptor) as stream:
            data = _bounded(stream, f"manifest {descriptor.digest}")
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != descriptor.digest:
            raise ImageError(f"{self._image.path}: the bytes of {descriptor.digest} have another digest")
        return data

    def open_blob(self, descriptor: Descriptor, start: int = 0) -> BinaryIO:
        stream = self._files.open(f"blobs/sha256/{descriptor.hexadecimal}")
        stream.seek(start)
        return stream

    def tagged(self, tag: str) -> bytes | None:
        named = [item for item in parse_index(self._index(), f"{self._image.path}/{_INDEX}") if item.name == tag]
        return self.manifest(named[0]) if named else None

    def referrers(self, digest: str) -> tuple[Referrer, ...]:
        """Of what the layout lists; what `cosign save` has put beside an image says of itself that it is one."""
        listed = parse_referrers(self._index(), f"{self._image.path}/{_INDEX}")
        return tuple(one for one in listed if one.is_signature and self._is_about(one.descriptor, digest))

    def close(self) -> None:
        self._files.close()

    def _is_about(self, descriptor: Descriptor, digest: str) -> bool:
        return subject_of(self.manifest(descriptor)) in ("", digest)

    def _index(self) -> bytes:
        with self._files.open(_INDEX) as stream:
            return _bounded(stream, f"{self._image.path}/{_INDEX}")


def _bounded(stream: BinaryIO, what: str) -> bytes:
    data = stream.read(MAX_DOCUMENT_BYTES + 1)
    if len(data) > MAX_DOCUMENT_BYTES:
        raise ImageError(f"{what} takes more than {MAX_DOCUMENT_BYTES} bytes")
    return data


class _DirectoryFiles:
    def __init__(self, root: Path) -> None:
        self._root = root

    def open(self, name: str) -> BinaryIO:
        path = self._root / name
        try:
            return path.open("rb")
        except OSError as error:
            raise ImageError(f"{path}: {error.strerror}") from error

    def close(self) -> None:
        pass


class _ArchiveFiles:
    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise ImageError(f"{path}: {error.strerror}") from error
        self._members = {
            os.path.normpath(entry.name).decode("utf-8", "replace"): (entry.extents[0].offset, entry.size)
            for entry in entries(lambda offset, length: os.pread(self._fd, length, offset))
            if entry.kind == REGULAR and len(entry.extents) == 1
        }

    def open(self, name: str) -> BinaryIO:
        member = self._members.get(name)
        if member is None:
            raise ImageError(f"{self._path}: the archive holds no file {name}")
        return io.BufferedReader(_Window(self._fd, *member))

    def close(self) -> None:
        os.close(self._fd)


class _Window(io.RawIOBase):
    """Bytes of a file that is shared with others: nothing is sought, each read says where."""

    def __init__(self, fd: int, offset: int, length: int) -> None:
        self._fd, self._offset, self._length, self._position = fd, offset, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._length}[whence]
        self._position = start + offset
        return self._position

    def readinto(self, buffer: memoryview, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        wanted = min(len(buffer), max(self._length - self._position, 0))
        data = os.pread(self._fd, wanted, self._offset + self._position)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
