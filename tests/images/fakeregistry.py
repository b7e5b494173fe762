"""A registry that misbehaves as it is told: it breaks off, lies, sends elsewhere, wants tokens, is busy at first."""

from __future__ import annotations

import base64
import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Behaviour:
    """What to do wrong. `seen` collects method, path and Authorization of each request."""

    layout: Path
    breaks_after: int = 0
    """Bytes of a blob after which the connection is closed, each time; 0 is never."""
    ranges: bool = True
    busy: int = 0
    """How many requests are answered with 429."""
    token_user: str = ""
    """name:password that the token server wants; empty is no authentication."""
    identity_token: str = ""
    basic_user: str = ""
    elsewhere: str = ""
    """host:port where blobs are said to be."""
    denied: str = ""
    """What paths have that are answered with 403."""
    referrers: list[bytes] = field(default_factory=lambda: [])
    """Pages of what any manifest's referrers are; none is a registry that has no such list."""
    changed: bytes = b""
    """Sent in place of each blob that is no config."""
    seen: list[tuple[str, str, str]] = field(default_factory=lambda: [])
    lock: Lock = field(default_factory=Lock)

    def is_busy(self) -> bool:
        with self.lock:
            self.busy -= 1
            return self.busy >= 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    behaviour: Behaviour

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self._note()
        right = form.get("refresh_token") == [self.behaviour.identity_token]
        self._answer(200 if right else 401, json.dumps({"access_token": "good"} if right else {}).encode())

    def do_GET(self) -> None:
        self._note()
        url = urlsplit(self.path)
        if self.behaviour.is_busy():
            self._answer(429, b"", {"Retry-After": "0"})
        elif url.path == "/token":
            self._token(parse_qs(url.query))
        elif not self._is_allowed():
            self._answer(401, b"", {"WWW-Authenticate": self._challenge()})
        elif self.behaviour.denied and self.behaviour.denied in url.path:
            self._answer(403, b'{"errors": [{"code": "DENIED", "message": "no"}]}')
        elif "/referrers/" in url.path:
            self._referrers(url.path, int(url.query or 0))
        elif "/manifests/" in url.path:
            self._manifest(url.path.rpartition("/")[2])
        else:
            self._blob(url.path.rpartition("/")[2])

    def _note(self) -> None:
        self.behaviour.seen.append((self.command, self.path, self.headers.get("Authorization", "")))

    def _is_allowed(self) -> bool:
        given = self.headers.get("Authorization", "")
        if self.behaviour.token_user or self.behaviour.identity_token:
            return given == "Bearer good"
        return not self.behaviour.basic_user or given == _basic(self.behaviour.basic_user)

    def _challenge(self) -> str:
        if self.behaviour.basic_user:
            return 'Basic realm="images"'
        return f'Bearer realm="http://{self.headers["Host"]}/token",service="test",scope="repository:web:pull"'

    def _token(self, query: dict[str, list[str]]) -> None:
        wanted = {"service": ["test"], "scope": ["repository:web:pull"]}
        if query == wanted and self.headers.get("Authorization") == _basic(self.behaviour.token_user):
            self._answer(200, b'{"token": "good"}')
        else:
            self._answer(401, b'{"errors": [{"code": "UNAUTHORIZED", "message": "wrong password"}]}')

    def _manifest(self, reference: str) -> None:
        entries = json.loads((self.behaviour.layout / "index.json").read_text())["manifests"]
        digest = entries[0]["digest"] if reference == "1" else reference
        kinds = {entry["digest"]: entry["mediaType"] for entry in entries}
        if digest not in kinds:
            self._answer(404, b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}')
            return
        self._answer(200, self._bytes(digest), {"Content-Type": kinds[digest]})

    def _referrers(self, path: str, page: int) -> None:
        pages = self.behaviour.referrers
        following = {"Link": f'<{path}?{page + 1}>; rel="next"'} if page + 1 < len(pages) else {}
        self._answer(200, pages[page], following) if pages else self._answer(404, b"404 page not found")

    def _bytes(self, digest: str) -> bytes:
        return (self.behaviour.layout / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()

    def _blob(self, digest: str) -> None:
        if self.behaviour.elsewhere:
            self._answer(307, b"", {"Location": f"http://{self.behaviour.elsewhere}{self.path}"})
            return
        data = self._bytes(digest)
        if self.behaviour.changed and not data.startswith(b"{"):
            data = self.behaviour.changed
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if start and self.behaviour.ranges:
            where = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
            self._answer(206, data[start:], where, self.behaviour.breaks_after)
        else:
            self._answer(200, data, {}, self.behaviour.breaks_after)

    def _answer(self, status: int, data: bytes, headers: dict[str, str] | None = None, breaks_after: int = 0) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        sent = data[:breaks_after] if breaks_after else data
        self.wfile.write(sent)
        self.close_connection = len(sent) < len(data)


def _basic(user: str) -> str:
    return f"Basic {base64.b64encode(user.encode()).decode()}"


@contextmanager
def fake_registry(behaviour: Behaviour) -> Generator[str]:
    """Its host and port."""
    with answering(type("Handler", (_Handler,), {"behaviour": behaviour})) as address:
        yield address


@contextmanager
def answering(handler: type[BaseHTTPRequestHandler]) -> Generator[str]:
    """A server on the loopback; its host and port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
