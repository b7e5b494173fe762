"""A repository that images are pushed to: what is there is not sent, what its registry has elsewhere is mounted."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import BinaryIO

import urllib3

from agents.storage.io.credentials import CredentialFile
from agents.storage.io.httprequests import refusal
from agents.storage.io.registries import own_host
from agents.storage.io.registryhttp import RegistryHttp
from agents.storage.io.registryoptions import RegistryOptions
from agents.storage.io.uploads import OnBytes, Upload, send_blob
from agents.storage.wire.errors import ImageError
from agents.storage.wire.oci import Descriptor
from compiler.policy.imagenames import ImageName, RegistryImage


class Way(Enum):
    """How a blob came to be in the repository."""

    THERE = "there"
    MOUNTED = "mounted"
    SENT = "sent"


class Destination:
    """Of an image that comes from `source`. Mirrors take no part: the registry itself is pushed to. Used from several
    threads."""

    def __init__(self, image: RegistryImage, source: ImageName, options: RegistryOptions) -> None:
        self._image, host = image, own_host(image)
        self._root = f"/v2/{image.repository}"
        self._from = source.repository if isinstance(source, RegistryImage) and own_host(source) == host else ""
        if self._from == image.repository:
            self._from = ""  # what is to be mounted is there
        scopes = [f"repository:{image.repository}:pull,push"]
        if self._from:
            scopes.append(f"repository:{self._from}:pull")
        known = options.credentials or CredentialFile()
        self._http = RegistryHttp(host, options.connection, known.find(image.registry), scopes)

    def close(self) -> None:
        self._http.close()

    def bring(self, descriptor: Descriptor, open_blob: Callable[[], BinaryIO], on_bytes: OnBytes) -> Way:
        """See to it that the repository has the blob."""
        if self.has(descriptor):
            return Way.THERE
        started = self._mount(descriptor) if self._from else None
        if started is not None and started.status == 201:
            started.drain_conn()
            return Way.MOUNTED
        uploads = [] if started is None else [Upload(self._http, started, self._uploads)]

        def begin() -> Upload:
            return uploads.pop() if uploads else Upload(self._http, self._begin(), self._uploads)

        send_blob(begin, lambda: self.has(descriptor), open_blob, descriptor, on_bytes)
        return Way.SENT

    def has(self, descriptor: Descriptor) -> bool:
        path = f"{self._root}/blobs/{descriptor.digest}"
        answer = self._http.send("HEAD", path, {})
        answer.drain_conn()
        if answer.status not in (200, 404):
            raise refusal(answer, f"{self._http.url}{path}")
        length = answer.headers.get("Content-Length", str(descriptor.size))
        return answer.status == 200 and length == str(descriptor.size)

    def put_manifest(self, reference: str, media_type: str, document: bytes, digest: str) -> None:
        """Raises ImageError also where the registry says that it has kept something else."""
        path = f"{self._root}/manifests/{reference}"
        answer = self._http.send("PUT", path, {"Content-Type": media_type}, document)
        if answer.status != 201:
            raise refusal(answer, f"{self._http.url}{path}")
        answer.drain_conn()
        kept = answer.headers.get("Docker-Content-Digest", digest)
        if kept != digest:
            raise ImageError(f"{self._http.host}{path}: {digest} was pushed, and the registry has kept {kept[:100]}")

    @property
    def _uploads(self) -> str:
        return f"{self._http.url}{self._root}/blobs/uploads/"

    def _mount(self, descriptor: Descriptor) -> urllib3.BaseHTTPResponse | None:
        """201 where it worked, 202 where an upload has begun instead; None where the registry knows no such thing, or
        lets nobody read there."""
        answer = self._http.send("POST", f"{self._uploads}?mount={descriptor.digest}&from={self._from}", _EMPTY)
        if answer.status in (201, 202):
            return answer
        answer.drain_conn()
        return None

    def _begin(self) -> urllib3.BaseHTTPResponse:
        answer = self._http.send("POST", self._uploads, _EMPTY)
        if answer.status != 202:
            raise refusal(answer, self._uploads)
        return answer


_EMPTY = {"Content-Length": "0"}
