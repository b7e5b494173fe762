"""A registry of layouts that keeps layers back until it is told to, so that a conversion can be met midway."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

from tests.images.archives import LayoutWriter, Tar

HALF: Final = 1 << 20


class Gate:
    """`opened` lets the second half of layers through. `host` is where the registry listens; tags are folders of
    layouts, whatever the repository."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.opened, self.host = folder, Event(), ""
        self.opened.set()

    def add(self, tag: str, seed: int = 1) -> str:
        """An image of one layer of 2 MiB, uncompressed; its name."""
        content = bytes((seed * 7 + number) % 251 for number in range(2 * HALF))
        writer = LayoutWriter(self.folder / tag)
        writer.image([Tar().add("data", data=content).finished()], compression="")
        writer.write()
        return f"{self.host}/shop/web:{tag}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gate: Gate

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        reference = self.path.rpartition("/")[2]
        if "/manifests/" in self.path and not reference.startswith("sha256:"):
            self._manifest(reference)
        else:
            self._blob(reference)

    def _manifest(self, tag: str) -> None:
        path = self.gate.folder / tag / "index.json"
        if not path.exists():
            self._answer(
                404, b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}', "application/json"
            )
            return
        (entry,) = json.loads(path.read_text())["manifests"]
        self._answer(200, self._find(entry["digest"]), entry["mediaType"])

    def _find(self, digest: str) -> bytes:
        name = f"blobs/sha256/{digest.removeprefix('sha256:')}"
        return (
            next(folder for folder in self.gate.folder.iterdir() if (folder / name).exists())
            .joinpath(name)
            .read_bytes()
        )

    def _blob(self, digest: str) -> None:
        data = self._find(digest)
        kind = (
            "application/vnd.oci.image.manifest.v1+json" if "/manifests/" in self.path else "application/octet-stream"
        )
        self._answer(200, data, kind)

    def _answer(self, status: int, data: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[:HALF])
        if len(data) > HALF:
            self.wfile.flush()
            self.gate.opened.wait()
            self.wfile.write(data[HALF:])


@contextmanager
def gated_registry(folder: Path) -> Generator[Gate]:
    gate = Gate(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"gate": gate}))
    server.daemon_threads = True
    gate.host = f"127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield gate
    finally:
        gate.opened.set()
        server.shutdown()
        thread.join()
        server.server_close()
