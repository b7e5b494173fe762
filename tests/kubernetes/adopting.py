"""Nodes that adopt, in tests: a volume server for the node that converts, and an adopter for another one.

The adopter runs with the options that deploy/ gives it, under a token as a Pod of its DaemonSet has it on that node.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from agents.storage.io.adoptionrecords import AdoptionRecord, adoption_records
from agents.storage.io.store import Store, StoredImage
from tests.images.conversions import command
from tests.images.registry import free_port
from tests.kubernetes.controlplane import Client, ControlPlane, Object
from tests.kubernetes.kubelet import NAMESPACE, NODES

MANIFEST: Final = Path(__file__).parents[2] / "deploy" / "image-nodes.yaml"
CONTROLLER: Final = MANIFEST.with_name("image-controller.yaml")
ACCOUNT: Final = "turnout-image-adopter"
NAME: Final = "volumes.turnout-system"
PODS: Final = f"/api/v1/namespaces/{NAMESPACE}/pods"
REPORTS: Final = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
_ISSUER: Final = "https://kubernetes.default.svc"


def container(kind: str, name: str) -> Object:
    """As deploy/ has it: the only one of a DaemonSet or Deployment."""
    documents = [*yaml.safe_load_all(MANIFEST.read_text()), *yaml.safe_load_all(CONTROLLER.read_text())]
    (found,) = (one for one in documents if (one["kind"], one["metadata"]["name"]) == (kind, name))
    (only,) = found["spec"]["template"]["spec"]["containers"]
    return only


def client_on(plane: ControlPlane, node: str) -> Client:
    """A Pod of the adopter on that node."""
    name = f"{ACCOUNT}-{node}"
    if plane.client.find(f"{PODS}/{name}") is None:
        spec = {"nodeName": node, "serviceAccountName": ACCOUNT, "containers": [{"name": "a", "image": "turnout:test"}]}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        plane.client.create(PODS, body)
    pod = plane.client.get(f"{PODS}/{name}")["metadata"]
    bound = {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": pod["uid"]}
    spec = {"audiences": [_ISSUER], "boundObjectRef": bound}
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{ACCOUNT}/token"
    token = plane.client.ask(
        "POST", path, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    )
    return Client(plane.client.server, plane.client.authority, token["status"]["token"])


def certificates(folder: Path) -> Path:
    """As docs/images.md has them made for a lab."""
    program = Path(command()[0])
    words = ["--host", NAME, "--client", "nodes"]
    subprocess.run([program, "device", "certs", folder, *words], check=True, capture_output=True)
    return folder


def tls_options(folder: Path, name: str) -> list[str]:
    return [f"--tls-ca={folder}/ca.pem", f"--tls-cert={folder}/{name}.pem", f"--tls-key={folder}/{name}.key"]


@dataclass
class VolumeServing:
    """`turnout image serve` of a node's store, at a port of its own."""

    store: Path
    certificates: Path
    port: int = field(default_factory=free_port)
    address: str = "127.0.0.1"
    process: subprocess.Popen[bytes] | None = None

    short: tempfile.TemporaryDirectory[str] = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="serve-")
    )
    """Folders of tests have names too long for sockets."""

    def start(self) -> None:
        self.store.mkdir(parents=True, exist_ok=True)
        link = Path(self.short.name) / "store"
        if not link.is_symlink():
            link.symlink_to(self.store)
        options = ["--listen", f"{self.address}:{self.port}", "--store", link]
        self.process = subprocess.Popen(
            command("serve", *options, *tls_options(self.certificates, "server")), stderr=subprocess.PIPE
        )
        assert self.process.stderr is not None
        first = self.process.stderr.readline().decode()
        assert f"nbds://{self.address}:{self.port}" in first, first

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
        if self.process is not None and self.process.stderr is not None:
            self.process.stderr.close()

    def end(self) -> None:
        self.stop()
        self.short.cleanup()

    @property
    def template(self) -> str:
        """What the controller is told: as deploy/ tells it, but for the port."""
        options = container("Deployment", "turnout-image-controller")["args"]
        (found,) = (text for text in options if text.startswith("--volume-server="))
        return found.replace("{address}", f"{{address}}:{self.port}")


@dataclass
class AdoptingNode:
    """A node of the cluster with a store, and its adopter."""

    plane: ControlPlane
    name: str
    store: Path
    certificates: Path
    folder: Path
    more: Sequence[str] = ("--jitter=0", "--keep=1", "--report-interval=0.2")
    process: subprocess.Popen[bytes] | None = None

    def join(self, **labels: str) -> None:
        node = {"metadata": {"name": self.name, "labels": labels}}
        self.plane.client.create(NODES, {"apiVersion": "v1", "kind": "Node", **node})

    def start(self) -> None:
        kubeconfig = client_on(self.plane, self.name).kubeconfig(self.folder / f"{self.name}.kubeconfig")
        program = str(Path(sys.executable).with_name("turnout"))
        given = [text for text in container("DaemonSet", ACCOUNT)["args"] if text.startswith("--tls-copies")]
        assert given == ["--tls-copies=/var/lib/turnout/images/tls"]
        places = [f"--store={self.store}", f"--tls-copies={self.store}/tls", f"--kubeconfig={kubeconfig}"]
        words = [f"--node={self.name}", f"--namespace={NAMESPACE}", *tls_options(self.certificates, "nodes")]
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [program, "agent", "image-adopter", *words, *places, *self.more], stdout=log, stderr=log
            )

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(30) == 0
        assert "Traceback" not in self.log, self.log

    @property
    def log(self) -> str:
        path = self.folder / f"{self.name}.log"
        return path.read_text() if path.exists() else ""

    @property
    def beginnings(self) -> int:
        """How many adopters have said that they begin."""
        return self.log.count("adopts what ImageConversions say")

    def images(self) -> tuple[StoredImage, ...]:
        store = Store(self.store)
        try:
            return store.images()
        finally:
            store.close()

    def records(self) -> tuple[AdoptionRecord, ...]:
        return adoption_records(self.store)

    def names(self) -> set[str]:
        return {name for image in self.images() for name in image.names}

    def files(self) -> set[str]:
        """Of its volumes, by their names."""
        return {path.name for path in (self.store / "volumes").iterdir()}

    def report(self) -> Any:
        return self.plane.client.find(f"{REPORTS}/adoptions-{self.name}")
