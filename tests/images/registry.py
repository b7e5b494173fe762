"""Debian's docker-registry on loopback, plain or with TLS and a password, and putting images of a layout into it."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import urllib3

from runtime.device.certificates import Validity, make_authority, make_server

NAME, PASSWORD = "someone", "opensesame"
HTPASSWD = "someone:$2b$04$OlQLOH3FZyO5UPvj1d0BmOHk98YoAmXwGREBNlsrqGY2P7w00KntS\n"
"""The password, as bcrypt."""
_START_S = 30


def push(layout: Path, host: str, repository: str, tag: str) -> str:
    """Put every blob and the layout's one manifest where they belong; returns the manifest's digest."""
    http = urllib3.PoolManager()
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    for blob in (layout / "blobs" / "sha256").iterdir():
        started = http.request("POST", f"http://{host}/v2/{repository}/blobs/uploads/")
        location = urljoin(f"http://{host}", started.headers["Location"])
        sign = "&" if "?" in location else "?"
        done = http.request("PUT", f"{location}{sign}digest=sha256:{blob.name}", body=blob.read_bytes())
        assert done.status == 201, done.data
    manifest = (layout / "blobs" / "sha256" / entry["digest"].removeprefix("sha256:")).read_bytes()
    headers = {"Content-Type": entry["mediaType"]}
    done = http.request("PUT", f"http://{host}/v2/{repository}/manifests/{tag}", body=manifest, headers=headers)
    assert done.status == 201, done.data
    return entry["digest"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextmanager
def docker_registry(
    folder: Path, data: Path, http: dict[str, Any] | None = None, auth: dict[str, Any] | None = None
) -> Generator[str]:
    """The registry's host and port, once it answers. Several may serve one folder of data."""
    host = f"127.0.0.1:{free_port()}"
    config = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(data)}, "delete": {"enabled": True}},
        "http": {"addr": host, **(http or {})},
        **({"auth": auth} if auth else {}),
    }
    path = folder / "registry.json"
    path.write_text(json.dumps(config))
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(path)], stdout=log, stderr=log)
    try:
        _wait_for(host, process, folder / "registry.log")
        yield host
    finally:
        process.terminate()
        process.wait(_START_S)


@contextmanager
def secured_registry(folder: Path, data: Path) -> Generator[tuple[str, Path]]:
    """One with TLS that wants NAME and PASSWORD: its host and port, and the authority that its certificate is of."""
    validity = Validity(now=datetime.now(UTC), days=1)
    authority = make_authority(validity)
    server = make_server(authority, ["127.0.0.1"], validity)
    for name, content in (
        ("ca.pem", authority.certificate_pem),
        ("server.pem", server.certificate_pem),
        ("server.key", server.key_pem),
        ("htpasswd", HTPASSWD.encode()),
    ):
        (folder / name).write_bytes(content)
    tls = {"tls": {"certificate": str(folder / "server.pem"), "key": str(folder / "server.key")}}
    auth = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
    with docker_registry(folder, data, http=tls, auth=auth) as host:
        yield host, folder / "ca.pem"


def _wait_for(host: str, process: subprocess.Popen[bytes], log: Path) -> None:
    name, _, port = host.partition(":")
    deadline = time.monotonic() + _START_S
    while True:
        try:
            socket.create_connection((name, int(port)), 1).close()
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(log.read_text()) from error
            time.sleep(0.05)
        else:
            return
