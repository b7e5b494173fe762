"""Images of registries (distribution-spec 1.1): manifests by tag or digest, blobs that survive broken connections."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from typing import BinaryIO, Final, TypeVar

import urllib3
from urllib3.exceptions import HTTPError

from agents.storage.io.credentials import CredentialFile
from agents.storage.io.httprequests import UnreachableError
from agents.storage.io.registrydocuments import document_of, find_document, referrer_pages
from agents.storage.io.registryhttp import RegistryHttp
from agents.storage.io.registryoptions import RegistryOptions
from agents.storage.wire.errors import ImageError
from agents.storage.wire.oci import INDEX_TYPES, MANIFEST_TYPES, Descriptor
from agents.storage.wire.signatures import Referrer, parse_referrers, referrers_tag
from compiler.policy.imagenames import DEFAULT_REGISTRY, RegistryImage

_HUB_HOST: Final = "registry-1.docker.io"
_ACCEPT: Final = ", ".join((*INDEX_TYPES, *MANIFEST_TYPES))
_BREAKS: Final = 8
"""How often a blob's connection may break; progress in between does not count them anew, so a bad one ends."""

T = TypeVar("T")


def own_host(image: RegistryImage) -> str:
    """Where the registry of that name itself answers."""
    return _HUB_HOST if image.registry == DEFAULT_REGISTRY else image.registry


class Registry:
    """A `Source`. Mirrors are asked first, in order; the registry itself last. All of them must give the same digests
    where digests are known, and a tag is what the first one that has it says."""

    def __init__(self, image: RegistryImage, options: RegistryOptions) -> None:
        self._image = image
        self._scope = f"repository:{image.repository}:pull"
        known = options.credentials or CredentialFile()
        self._unreachable: dict[str, str] = {}
        mirrors = options.mirrors.get(image.registry, ())
        self._hosts = [RegistryHttp(host, options.connection, known.find(host)) for host in mirrors]
        self._hosts.append(RegistryHttp(own_host(image), options.connection, known.find(image.registry)))

    def resolve(self) -> tuple[str, str, bytes]:
        media_type, document = self._document(self._image.reference)
        digest = f"sha256:{hashlib.sha256(document).hexdigest()}"
        if self._image.digest not in ("", digest):
            raise ImageError(f"{self._image}: what came has the digest {digest}")
        return media_type, digest, document

    def manifest(self, descriptor: Descriptor) -> bytes:
        return self._document(descriptor.digest)[1]

    def open_blob(self, descriptor: Descriptor, start: int = 0) -> BinaryIO:
        return io.BufferedReader(_Blob(self, descriptor, start))

    def blob_response(self, descriptor: Descriptor, start: int) -> urllib3.BaseHTTPResponse:
        """The blob's bytes from `start` on."""
        path = f"/v2/{self._image.repository}/blobs/{descriptor.digest}"
        headers = {"Range": f"bytes={start}-"} if start else {}

        def ask(host: RegistryHttp) -> urllib3.BaseHTTPResponse:
            response = host.get(path, headers, self._scope)
            if start and response.status != 206:
                response.close()
                raise ImageError(f"{host.host} gives no part of {descriptor.digest}, and the connection broke")
            return response

        return self._first(ask)

    def tagged(self, tag: str) -> bytes | None:
        path = f"/v2/{self._image.repository}/manifests/{tag}"
        return self._found(lambda host: find_document(host, path, _ACCEPT, self._scope))

    def referrers(self, digest: str) -> tuple[Referrer, ...]:
        """By the API, all of its pages; where no host has that, of the index with the tag that stands for it."""
        path = f"/v2/{self._image.repository}/referrers/{digest}"
        found = self._found(lambda host: referrer_pages(host, path, self._scope))
        if found is not None:
            return found
        document = self.tagged(referrers_tag(digest))
        return () if document is None else parse_referrers(document, f"tag {referrers_tag(digest)}")

    def close(self) -> None:
        for host in self._hosts:
            host.close()

    def _document(self, reference: str) -> tuple[str, bytes]:
        path = f"/v2/{self._image.repository}/manifests/{reference}"

        def ask(host: RegistryHttp) -> tuple[str, bytes]:
            response = host.get(path, {"Accept": _ACCEPT}, self._scope)
            document = document_of(response, f"{host.host}{path}")
            return response.headers.get("Content-Type", "").partition(";")[0].strip(), document

        return self._first(ask)

    def _found(self, ask: Callable[[RegistryHttp], T | None]) -> T | None:
        """What the first host has; None where the registry itself, which is asked last, has it not."""

        def have(host: RegistryHttp) -> T:
            found = ask(host)
            if found is None:
                raise _AbsentError(host.host)
            return found

        try:
            return self._first(have)
        except _AbsentError:
            return None

    def _first(self, ask: Callable[[RegistryHttp], T]) -> T:
        """What the first host answers; when none does, what each of them said."""
        said: list[str] = []
        absent: _AbsentError | None = None
        for host in self._hosts:
            absent = None
            if host.host in self._unreachable:
                said.append(self._unreachable[host.host])
                continue
            try:
                return ask(host)
            except _AbsentError as error:
                absent = error
            except UnreachableError as error:
                self._unreachable[host.host] = str(error)
                said.append(str(error))
            except ImageError as error:
                said.append(str(error))
        if absent is not None:
            raise absent
        raise ImageError("; ".join(said))


class _AbsentError(ImageError):
    """A host that answers, and has it not."""


class _Blob(io.RawIOBase):
    """A blob's bytes. Where the connection breaks, the rest is asked for anew."""

    def __init__(self, registry: Registry, descriptor: Descriptor, start: int) -> None:
        self._registry, self._descriptor, self._position = registry, descriptor, start
        self._breaks = 0
        self._response = registry.blob_response(descriptor, start)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        while True:
            try:
                data = self._response.read(len(buffer), decode_content=False)
            except HTTPError as error:
                self._go_on(str(error))
                continue
            if not data and self._position < self._descriptor.size:
                self._go_on("it ended early")
                continue
            buffer[: len(data)] = data
            self._position += len(data)
            return len(data)

    def close(self) -> None:
        self._response.close()
        super().close()

    def _go_on(self, why: str) -> None:
        self._breaks += 1
        if self._breaks > _BREAKS:
            raise ImageError(
                f"layer {self._descriptor.digest}: the connection broke {self._breaks} times, the last time "
                f"after {self._position} of {self._descriptor.size} bytes: {why[:200]}"
            )
        self._response.close()
        self._response = self._registry.blob_response(self._descriptor, self._position)
