"""A blob on its way into a repository (distribution-spec 1.1, "Pushing a blob in chunks").

What was sent is hashed, and committed only when it is the blob. Where a connection breaks, the registry is asked how
much it has, and the rest follows; a registry that has lost the upload gets it from the beginning.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from typing import BinaryIO, Final

import urllib3

from agents.storage.io.httprequests import PASSING, UnreachableError, refusal, waiting_s, wanted_wait_s
from agents.storage.io.registryhttp import RegistryHttp
from agents.storage.wire.errors import ImageError
from agents.storage.wire.oci import Descriptor

OnBytes = Callable[[int], None]
CHUNK_BYTES: Final = 16 << 20
_SMALL_BYTES: Final = 1 << 20
"""What proxies in front of registries take without being told otherwise."""
_LARGEST_BYTES: Final = 128 << 20
_BREAKS: Final = 8
"""How often an upload may be disturbed in all."""
_STARTS: Final = 3
_LONGEST_WAIT_S: Final = 20.0
_RANGE: Final = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")


class LostUploadError(ImageError):
    """The registry knows the upload no more."""


class Upload:
    """`started` is the registry's answer to the beginning of an upload. One thread."""

    def __init__(self, http: RegistryHttp, started: urllib3.BaseHTTPResponse, url: str) -> None:
        self._http = http
        self._place = self._next(started, url)
        least = started.headers.get("OCI-Chunk-Min-Length", "")
        wanted = int(least) if least.isdigit() and len(least) < 12 else 0
        self.chunk_bytes = min(max(CHUNK_BYTES, wanted), _LARGEST_BYTES)
        self._piece_bytes, self._taken, self._breaks = self.chunk_bytes, 0, 0
        started.drain_conn()

    def append(self, chunk: bytes) -> None:
        """Send what comes next, until the registry says that it has it."""
        start, end = self._taken, self._taken + len(chunk)
        while self._taken < end:
            piece = chunk[self._taken - start :][: self._piece_bytes]
            try:
                answer = self._send(piece)
            except UnreachableError as error:
                self._pause(str(error), 0)
            else:
                if answer.status == 202:
                    self._accept(answer, self._taken + len(piece))
                    continue
                self._refused(answer, len(piece))
            self._ask(start, end)

    def finish(self, digest: str) -> None:
        """Have the registry compare the digest and keep the blob. Raises LostUploadError also where that is unknown."""
        url = f"{self._place}{'&' if '?' in self._place else '?'}digest={digest}"
        try:
            answer = self._http.send("PUT", url, {"Content-Length": "0"})
        except UnreachableError as error:
            raise LostUploadError(str(error)) from error
        if answer.status in (404, 416):
            raise LostUploadError(str(refusal(answer, url)))
        if answer.status != 201:
            raise refusal(answer, url)
        answer.drain_conn()

    def cancel(self) -> None:
        """The registry forgets what it has. One that does not will in its own time."""
        try:
            self._http.send("DELETE", self._place, {}, tries=1).drain_conn()
        except ImageError:
            return

    def _send(self, piece: bytes) -> urllib3.BaseHTTPResponse:
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Range": f"{self._taken}-{self._taken + len(piece) - 1}",
            "Content-Length": str(len(piece)),
        }
        return self._http.send("PATCH", self._place, headers, piece, tries=1)

    def _accept(self, answer: urllib3.BaseHTTPResponse, sent: int) -> None:
        found = _RANGE.fullmatch(answer.headers.get("Range", ""))
        taken = sent if found is None else int(found[1]) + 1
        if not self._taken < taken <= sent:
            raise ImageError(f"{self._http.host} has {taken} bytes of an upload, of which {sent} were sent")
        self._place, self._taken = self._next(answer, self._place), taken
        answer.drain_conn()

    def _refused(self, answer: urllib3.BaseHTTPResponse, length: int) -> None:
        """What may pass, and what asking how far it is may mend; anything else is raised."""
        if answer.status == 404:
            raise LostUploadError(str(refusal(answer, self._place)))
        wait_s = wanted_wait_s(answer, waiting_s(self._breaks + 1))
        error = refusal(answer, self._place)
        if answer.status == 413 and length > _SMALL_BYTES:
            self._piece_bytes = _SMALL_BYTES
        elif answer.status in PASSING and wait_s <= _LONGEST_WAIT_S:
            self._pause(str(error), wait_s)
        elif answer.status != 416:
            raise error
        else:
            self._pause(str(error), 0)

    def _pause(self, why: str, wait_s: float) -> None:
        self._breaks += 1
        if self._breaks > _BREAKS:
            raise ImageError(f"the upload was disturbed {self._breaks} times, after {self._taken} bytes last: {why}")
        time.sleep(wait_s)

    def _ask(self, start: int, end: int) -> None:
        """Learn how much the registry has. What it had said before must still be there."""
        answer = self._http.send("GET", self._place, {})
        found = _RANGE.fullmatch(answer.headers.get("Range", ""))
        if answer.status not in (200, 202, 204) or found is None:
            raise LostUploadError(str(refusal(answer, self._place)))
        # Nothing and one byte are both written 0-0.
        taken = 0 if found[1] == "0" else int(found[1]) + 1
        if not start <= taken <= end:
            raise LostUploadError(f"{self._http.host} has {taken} bytes of an upload, not {start} to {end}")
        self._place, self._taken = self._next(answer, self._place), taken
        answer.drain_conn()

    def _next(self, answer: urllib3.BaseHTTPResponse, url: str) -> str:
        return self._http.place(answer.headers.get("Location") or url, url)


def send_blob(
    begin: Callable[[], Upload],
    is_there: Callable[[], bool],
    open_blob: Callable[[], BinaryIO],
    descriptor: Descriptor,
    on_bytes: OnBytes,
) -> None:
    """From the beginning, again where the upload was lost on the way."""
    for start in range(1, _STARTS + 1):
        upload = begin()
        try:
            _send_all(upload, open_blob, descriptor, on_bytes if start == 1 else _uncounted)
            upload.finish(descriptor.digest)
        except LostUploadError as error:
            if is_there():
                return
            if start == _STARTS:
                raise ImageError(f"blob {descriptor.digest}: the upload was lost {start} times: {error}") from error
        except ImageError as error:
            upload.cancel()
            raise ImageError(f"blob {descriptor.digest}: {error}") from error
        else:
            return


def _send_all(upload: Upload, open_blob: Callable[[], BinaryIO], descriptor: Descriptor, on_bytes: OnBytes) -> None:
    digest, length = hashlib.sha256(), 0
    with open_blob() as stream:
        while chunk := _filled(stream, upload.chunk_bytes):
            digest.update(chunk)
            length += len(chunk)
            if length > descriptor.size:
                break
            upload.append(chunk)
            on_bytes(len(chunk))
    if length != descriptor.size:
        raise ImageError(
            f"what came has {length} bytes{' or more' if length > descriptor.size else ''}, not {descriptor.size}"
        )
    found = f"sha256:{digest.hexdigest()}"
    if found != descriptor.digest:
        raise ImageError(f"what came has the digest {found}")


def _filled(stream: BinaryIO, length: int) -> bytes:
    """So many bytes, fewer at the end alone."""
    data = bytearray()
    while len(data) < length and (piece := stream.read(length - len(data))):
        data += piece
    return bytes(data)


def _uncounted(count: int) -> None:
    """These bytes have been counted before."""
