"""A real etcd and kube-apiserver for tests (tests/peers/kube), and asking them what tests want to know.

Both listen on free ports of loopback, so several may run at once. No scheduler, kubelet or controller-manager runs.
Authorization is by roles, as in a cluster: `client` is an administrator, `client_of` a service account.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import urllib3

from tests.images.registry import free_port
from tests.images.versions import peer_folder
from tests.peers.programs import ETCD_ENVIRONMENT, KUBE, apiserver_flags, write_accounts

START_S: Final = 90
_BUSY_RETRIES: Final = 30
_ADMIN_TOKEN: Final = "of-the-administrator"
_JSON: Final = "application/json"
_ISSUER: Final = "https://kubernetes.default.svc"

Object = dict[str, Any]


def program() -> Path:
    """Skips the test where tests/peers/build has not made it."""
    return peer_folder(KUBE) / KUBE


class RefusedError(Exception):
    """What the API server said no with: a Status (meta/v1)."""

    def __init__(self, status: Object) -> None:
        super().__init__(status["message"])
        self.code: int = status["code"]
        self.reason: str = status.get("reason", "")
        self.fields = [cause.get("field", "") for cause in status.get("details", {}).get("causes", [])]


@dataclass(frozen=True, slots=True)
class Client:
    """Paths begin at the server's root: `/api/v1/namespaces`."""

    server: str
    authority: Path
    token: str

    def ask(self, method: str, path: str, body: object = None, content: str = _JSON, accept: str = _JSON) -> Object:
        """Asked again while the server says that it is too busy for now (429), as it does for a kind whose definition
        has just come, and as all clients of Kubernetes do."""
        retries = urllib3.Retry(
            None, connect=0, read=0, status=_BUSY_RETRIES, status_forcelist=(429,), allowed_methods=None
        )
        with urllib3.PoolManager(ca_certs=str(self.authority), retries=retries) as http:
            headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content, "Accept": accept}
            text = None if body is None else json.dumps(body)
            answer = http.request(method, self.server + path, headers=headers, body=text, timeout=20)
        found = json.loads(answer.data)
        if answer.status >= 400:
            raise RefusedError(found)
        return found

    def get(self, path: str) -> Object:
        return self.ask("GET", path)

    def find(self, path: str) -> Object | None:
        try:
            return self.get(path)
        except RefusedError as error:
            if error.code != 404:
                raise
            return None

    def create(self, path: str, body: Object) -> Object:
        """Unknown fields are refused, as kubectl has it."""
        return self.ask("POST", f"{path}?fieldValidation=Strict", body)

    def merge(self, path: str, body: Object) -> Object:
        return self.ask("PATCH", path, body, "application/merge-patch+json")

    def apply(self, path: str, body: Object) -> Object:
        """Server-side apply."""
        query = "?fieldManager=tests&force=true&fieldValidation=Strict"
        return self.ask("PATCH", path + query, body, "application/apply-patch+yaml")

    def kubeconfig(self, path: Path) -> Path:
        """A file by which programs connect as this client."""
        entry = {"server": self.server, "certificate-authority": str(self.authority)}
        context = {"cluster": "tests", "user": "tests"}
        path.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "clusters": [{"name": "tests", "cluster": entry}],
                    "users": [{"name": "tests", "user": {"token": self.token}}],
                    "contexts": [{"name": "tests", "context": context}],
                    "current-context": "tests",
                }
            )
        )
        return path


@dataclass(slots=True)
class ControlPlane:
    folder: Path
    client: Client
    etcd_port: int
    port: int
    apiserver: subprocess.Popen[bytes]

    def client_of(self, namespace: str, account: str) -> Client:
        """With a token that the server itself gives out (TokenRequest)."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": [_ISSUER]}}
        token = self.client.ask("POST", path, body)["status"]["token"]
        return Client(self.client.server, self.client.authority, token)

    def restart(self) -> None:
        """Kill the API server, and have another in its place; etcd stays."""
        self.apiserver.kill()
        self.apiserver.wait()
        self.apiserver = _start_apiserver(self.folder, self.etcd_port, self.port)
        _await_ready(self.client, self.apiserver, self.folder)


@contextmanager
def control_plane(folder: Path) -> Generator[ControlPlane]:
    etcd_port, peer_port, port = free_port(), free_port(), free_port()
    write_accounts(folder, _ADMIN_TOKEN, "admin")
    urls = [f"http://127.0.0.1:{number}" for number in (etcd_port, peer_port)]
    command = [program(), "etcd", folder / "etcd", *urls]
    with (folder / "etcd.log").open("wb") as log:
        etcd = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | ETCD_ENVIRONMENT)
    client = Client(f"https://127.0.0.1:{port}", folder / "certs" / "apiserver.crt", _ADMIN_TOKEN)
    running: ControlPlane | None = None
    try:
        apiserver = _start_apiserver(folder, etcd_port, port)
        running = ControlPlane(folder, client, etcd_port, port, apiserver)
        _await_ready(client, apiserver, folder)
        yield running
    finally:
        for process in (etcd,) if running is None else (running.apiserver, etcd):
            process.kill()
            process.wait()


def _start_apiserver(folder: Path, etcd_port: int, port: int) -> subprocess.Popen[bytes]:
    more = {
        "bind-address": "127.0.0.1",
        "secure-port": port,
        "authorization-mode": "RBAC",
        "service-cluster-ip-range": "10.96.0.0/16",
    }
    command = [program(), "apiserver", *apiserver_flags(folder, f"http://127.0.0.1:{etcd_port}", _ISSUER, more)]
    with (folder / "apiserver.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def _await_ready(client: Client, apiserver: subprocess.Popen[bytes], folder: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and apiserver.poll() is None:
        if client.authority.exists() and _is_ready(client):
            return
        time.sleep(0.2)
    log = (folder / "apiserver.log").read_text(errors="replace")
    raise AssertionError(f"the API server is not ready: {log[-3000:]}")


def _is_ready(client: Client) -> bool:
    """All of its parts, and the namespace that the first start makes."""
    with urllib3.PoolManager(ca_certs=str(client.authority), retries=False) as http:
        try:
            headers = {"Authorization": f"Bearer {client.token}"}
            paths = ("/readyz", "/api/v1/namespaces/default")
            return all(http.request("GET", client.server + path, headers=headers).status == 200 for path in paths)
        except urllib3.exceptions.HTTPError:
            return False
