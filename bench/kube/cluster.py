"""etcd and kube-apiserver in a network namespace, to which nodes are plugged by a bridge; a client of the API.

The programs are one, built by tests/peers/build. Everything is on this machine; nothing is kept.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import time
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.client import HTTPSConnection
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.kube.objects import NAMESPACE, SERVICE_CIDR, Object, Served, namespace, node
from bench.lab.places import inside
from bench.lab.programs import TrafficError
from runtime.bpf.namespaces import entered
from runtime.lab.netns import ip_batch
from tests.peers.programs import BUILD, ETCD_ENVIRONMENT, KUBE, apiserver_flags, place_of, write_accounts

ADDRESS, PORT, TOKEN = "192.168.62.1", 6443, "turnout-bench"
ETCD, ETCD_PEERS = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
SERVICES = f"/api/v1/namespaces/{NAMESPACE}/services"
SLICES = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"
WRITERS = 4
START_S, LOOK_S, END_S, CALL_S = 120.0, 0.2, 20.0, 60.0


def kube_program() -> Path:
    """Built when it is not there, which takes minutes. Raises `TrafficError`."""
    environment = {**os.environ, "TURNOUT_PEERS": KUBE}
    if subprocess.run([BUILD], env=environment).returncode:
        raise TrafficError(f"`TURNOUT_PEERS={KUBE} {BUILD}` failed")
    return place_of(KUBE) / KUBE


class Api:
    """One connection to the API server of a cluster in that namespace."""

    def __init__(self, space: str) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._connection = HTTPSConnection(ADDRESS, PORT, context=context, timeout=CALL_S)
        self._space = space

    def call(self, method: str, path: str, body: Object | None = None) -> Any:
        """The answer's object. Raises `TrafficError` with the server's words, OSError when it is not there."""
        if self._connection.sock is None:
            with entered(self._space):
                self._connection.connect()
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= 300:
            raise TrafficError(f"{method} {path}: {answer.status} {content.decode(errors='replace')}")
        return json.loads(content) if content.startswith(b"{") else content.decode()

    def add(self, one: Served) -> None:
        """The Service and then its slice."""
        self.call("POST", SERVICES, one.service)
        self.call("POST", SLICES, one.slice)

    def change(self, one: Served) -> None:
        """Put the slice in place of what is there."""
        self.call("PUT", f"{SLICES}/{one.name}", one.slice)

    def remove(self, one: Served) -> None:
        self.call("DELETE", f"{SERVICES}/{one.name}")
        self.call("DELETE", f"{SLICES}/{one.name}")

    def __enter__(self) -> Api:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        self._connection.close()


class Cluster:
    """Runs in `space`. `folder` has its files, logs and the kubeconfig of kube-proxies."""

    def __init__(self, program: Path, space: str, folder: Path, pids: dict[str, int]) -> None:
        self.program, self.space, self.folder, self.pids = program, space, folder, pids
        self._plugged = 1

    def api(self) -> Api:
        return Api(self.space)

    def plug(self, name: str, space: str) -> None:
        """Join a node's namespace to the API server's, and make the Node known."""
        self._plugged += 1
        address = f"192.168.62.{self._plugged}"
        end = f"node-{self._plugged}"
        ip_batch([f"link add control netns {space} type veth peer name {end} netns {self.space}"])
        ip_batch([f"link set {end} master bridge up"], namespace=self.space)
        ip_batch([f"addr add {address}/24 dev control", "link set control up", "link set lo up"], namespace=space)
        told = node(name, address)
        with self.api() as api:
            api.call("POST", "/api/v1/nodes", told)
            api.call("PUT", f"/api/v1/nodes/{name}/status", told)

    def add_all(self, services: Iterable[Served]) -> None:
        """By several connections at once."""
        todo = [*services]
        with ThreadPoolExecutor(WRITERS) as writers:
            for _ in writers.map(self._add_some, (todo[at::WRITERS] for at in range(WRITERS))):
                pass

    def _add_some(self, services: Sequence[Served]) -> None:
        with self.api() as api:
            for one in services:
                api.add(one)

    @property
    def kubeconfig(self) -> Path:
        path = self.folder / "kubeconfig"
        server = {"server": f"https://{ADDRESS}:{PORT}", "insecure-skip-tls-verify": True}
        told = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "bench", "cluster": server}],
            "users": [{"name": "bench", "user": {"token": TOKEN}}],
            "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
            "current-context": "bench",
        }
        path.write_text(json.dumps(told))
        return path


@contextmanager
def cluster(program: Path, prefix: str, folder: Path) -> Generator[Cluster]:
    """A control plane that is ready; gone afterwards. Raises `TrafficError`."""
    space = f"{prefix}.control"
    with ExitStack() as undo:
        ip_batch([f"netns add {space}"])
        undo.callback(ip_batch, [f"netns del {space}"])
        lines = ["link set lo up", "link add bridge type bridge stp_state 0 forward_delay 0"]
        ip_batch([*lines, f"addr add {ADDRESS}/24 dev bridge", "link set bridge up"], namespace=space)
        words = {"etcd": _etcd(folder), "apiserver": _apiserver(folder)}
        pids = {
            name: undo.enter_context(running(space, [str(program), *words[name]], folder / f"{name}.log")).pid
            for name in words
        }
        found = Cluster(program, space, folder, pids)
        _await(found)
        with found.api() as api:
            api.call("POST", "/api/v1/namespaces", namespace())
        yield found


def _etcd(folder: Path) -> list[str]:
    return ["etcd", str(folder / "etcd"), ETCD, ETCD_PEERS]


def _apiserver(folder: Path) -> list[str]:
    """No controller-manager runs, and writes are as many as the machine can."""
    write_accounts(folder, TOKEN, "bench")
    more = {
        "secure-port": PORT,
        "bind-address": "0.0.0.0",
        "authorization-mode": "AlwaysAllow",
        "service-cluster-ip-range": SERVICE_CIDR,
        "enable-priority-and-fairness": "false",
        "max-requests-inflight": 0,
        "max-mutating-requests-inflight": 0,
    }
    return ["apiserver", *apiserver_flags(folder, ETCD, "https://bench.example", more)]


@contextmanager
def running(space: str, command: Sequence[str], log: Path) -> Generator[subprocess.Popen[bytes]]:
    """A program in a namespace, ended by SIGTERM."""
    environment = {**os.environ, **ETCD_ENVIRONMENT}
    with log.open("ab") as output:
        process = subprocess.Popen(
            inside(space, command), stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(found: Cluster) -> None:
    end = time.monotonic() + START_S
    while (problem := _unready(found)) is not None:
        if time.monotonic() > end:
            last = (found.folder / "apiserver.log").read_text(errors="replace").splitlines()[-3:]
            raise TrafficError(f"kube-apiserver is not ready after {START_S:g} s: {problem}; {last}") from problem
        time.sleep(LOOK_S)


def _unready(found: Cluster) -> Exception | None:
    with found.api() as api:
        try:
            api.call("GET", "/readyz")
        except (OSError, TrafficError) as problem:
            return problem
    return None
