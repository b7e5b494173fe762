"""A registry that takes pushes and misbehaves as it is told: it refuses, cuts connections, forgets, is busy, lies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.images.fakeregistry import answering


@dataclass
class Refusing:
    """Answers that are given in place of the right one: by method and the end of what the path has, each so often."""

    method: str
    part: str
    status: int
    times: int = 1_000_000
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {})


@dataclass
class Taking:
    """What to do wrong, and what came. `blobs` are of all repositories, as `mounts` says."""

    refusing: list[Refusing] = field(default_factory=lambda: [])
    cuts: int = 0
    """How many chunks are cut in the middle: half of one is kept, and the connection closed."""
    forgets: int = 0
    """How many uploads are unknown when they are to be finished."""
    largest: int = 1 << 40
    """Bytes of the largest body that is taken."""
    mounts: bool = True
    keeps: str = ""
    """The digest that it says it has kept, in place of the right one."""
    token_scopes: list[list[str]] = field(default_factory=lambda: [])
    wants_token: bool = False
    blobs: dict[str, dict[str, bytes]] = field(default_factory=lambda: {})
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=lambda: {})
    uploads: dict[str, bytearray] = field(default_factory=lambda: {})
    begun: int = 0
    seen: list[tuple[str, str]] = field(default_factory=lambda: [])
    lock: Lock = field(default_factory=Lock)

    def count(self, method: str, part: str = "") -> int:
        return sum(1 for one, path in self.seen if one == method and part in path)

    def refused(self, method: str, path: str) -> Refusing | None:
        with self.lock:
            self.seen.append((method, path))
            for one in self.refusing:
                if one.method == method and one.part in path and one.times > 0:
                    one.times -= 1
                    return one
        return None

    def takes(self, name: str) -> bool:
        """Whether a number that says how often something goes wrong is used up; one fewer from now on."""
        with self.lock:
            left = int(getattr(self, name))
            setattr(self, name, max(left - 1, 0))
            return left > 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    taking: Taking

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _common(self) -> bool:
        """Whether the answer has been given already."""
        taking, url = self.taking, urlsplit(self.path)
        if url.path == "/token":
            taking.token_scopes.append(parse_qs(url.query)["scope"])
            self._answer(200, b'{"token": "good"}')
            return True
        found = taking.refused(self.command, self.path)
        length = int(self.headers.get("Content-Length", "0"))
        if found is not None or length > taking.largest:
            self.rfile.read(length)
            refusing = found or Refusing(self.command, "", 413)
            self._answer(refusing.status, refusing.body, refusing.headers)
            return True
        if taking.wants_token and self.headers.get("Authorization") != "Bearer good":
            self.rfile.read(length)
            realm = (
                f'Bearer realm="http://{self.headers["Host"]}/token",service="test",scope="repository:shop/web:pull"'
            )
            self._answer(401, b"", {"WWW-Authenticate": realm})
            return True
        return False

    def _repository(self) -> dict[str, bytes]:
        name = urlsplit(self.path).path.removeprefix("/v2/").partition("/blobs/")[0]
        return self.taking.blobs.setdefault(name, {})

    def do_HEAD(self) -> None:
        if self._common():
            return
        data = self._repository().get(urlsplit(self.path).path.rpartition("/")[2])
        self._answer(404 if data is None else 200, data or b"")

    def do_POST(self) -> None:
        if self._common():
            return
        query = parse_qs(urlsplit(self.path).query)
        if "mount" in query and self.taking.mounts:
            data = self.taking.blobs.get(query["from"][0], {}).get(query["mount"][0])
            if data is not None:
                self._repository()[query["mount"][0]] = data
                self._answer(201)
                return
        with self.taking.lock:
            self.taking.begun += 1
            key = str(self.taking.begun)
            self.taking.uploads[key] = bytearray()
        place = urlsplit(self.path).path.removesuffix("/uploads/") + f"/uploads/{key}?state=0"
        self._answer(202, b"", {"Location": place, "Range": "0-0"})

    def _upload(self) -> tuple[str, bytearray | None]:
        key = urlsplit(self.path).path.rpartition("/")[2]
        return key, self.taking.uploads.get(key)

    def do_GET(self) -> None:
        if self._common():
            return
        if "/uploads/" in self.path:
            self._state(204)
        else:
            self._answer(200, self._repository()[self.path.rpartition("/")[2]])

    def _state(self, status: int) -> None:
        _, data = self._upload()
        if data is None:
            self._answer(404, b'{"errors": [{"code": "BLOB_UPLOAD_UNKNOWN", "message": "unknown"}]}')
            return
        place = f"{urlsplit(self.path).path}?state={len(data)}"
        self._answer(status, b"", {"Location": place, "Range": f"0-{max(len(data) - 1, 0)}"})

    def do_PATCH(self) -> None:
        if self._common():
            return
        _, data = self._upload()
        length = int(self.headers["Content-Length"])
        if data is None:
            self.rfile.read(length)
            self._state(202)
            return
        start, _, end = self.headers["Content-Range"].partition("-")
        if int(start) != len(data) or int(end) != len(data) + length - 1:
            self.rfile.read(length)
            self._answer(416)
            return
        if self.taking.takes("cuts"):
            data += self.rfile.read(length // 2)
            self.close_connection = True
            self.connection.close()
            return
        data += self.rfile.read(length)
        self._state(202)

    def do_PUT(self) -> None:
        if self._common():
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if "/manifests/" in self.path:
            digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
            self.taking.manifests[self.path.rpartition("/")[2]] = (self.headers["Content-Type"], body)
            self._answer(201, b"", {"Docker-Content-Digest": self.taking.keeps or digest})
            return
        key, data = self._upload()
        if self.taking.takes("forgets"):
            self.taking.uploads.pop(key, None)
            data = None
        if data is None:
            self._state(202)
            return
        wanted = parse_qs(urlsplit(self.path).query)["digest"][0]
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != wanted:
            errors = {"errors": [{"code": "DIGEST_INVALID", "message": "provided digest did not match"}]}
            self._answer(400, json.dumps(errors).encode())
            return
        self._repository()[wanted] = bytes(data)
        self._answer(201)

    def do_DELETE(self) -> None:
        if not self._common():
            self.taking.uploads.pop(self._upload()[0], None)
            self._answer(204)

    def _answer(self, status: int, data: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


@contextmanager
def push_registry(taking: Taking) -> Generator[str]:
    """Its host and port."""
    with answering(type("Handler", (_Handler,), {"taking": taking})) as address:
        yield address
