"""One machine of a test: a registry, an agent, and a containerd that has the agent as its snapshotter."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from tests.images.agent import Agent, loops_below, mounted_below, running_agent, wait_until
from tests.images.archives import LayoutWriter, Tar, compressed, digest
from tests.images.containerd import Containerd, UnpackingError, containerd
from tests.images.cri import Cri, said
from tests.images.registry import docker_registry, push
from tests.images.versions import DEBIAN, ONE, TWO, Version, documented

FOR_ALL_PODS: Final = {
    DEBIAN: "For all pods, containerd 1.6 and 1.7",
    ONE: "For all pods, containerd 1.6 and 1.7",
    TWO: "For all pods, containerd 2.x",
}
"""Headings of docs/containerd.md."""
FOR_A_RUNTIME_CLASS: Final = {
    ONE: "For a RuntimeClass, containerd 1.7",
    TWO: "For a RuntimeClass, containerd 2.x",
}
_WRITTEN: Final = "all of it is written"
_RUNS: Final = 5
_PODS: Final = {
    2: """[plugins."io.containerd.grpc.v1.cri"]
restrict_oom_score_adj = true
sandbox_image = "{host}/sandbox:1"
""",
    3: """[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{host}/sandbox:1"
""",
}
"""What pods need on a machine without a network, and where a score for the OOM killer may not be lowered."""


class Node:
    """One machine: a registry, an agent, containerd with the agent as its snapshotter, and images to pull."""

    def __init__(self, folder: Path, host: str, agent: Agent, peer: Containerd) -> None:
        self.folder, self.host, self.agent, self.peer, self.cri = folder, host, agent, peer, Cri(peer.socket)
        self.snapshotter = "turnout"

    def image(self, name: str, *layers: bytes) -> str:
        """Push an image; returns the name that it is pulled by."""
        layout = LayoutWriter(self.folder / f"layout-{name}")
        layout.image(layers)
        push(layout.write(), self.host, name, "1")
        return f"{self.host}/{name}:1"

    def lose(self, *layers: bytes) -> None:
        """Take the layers' blobs out of the registry: whoever pulls them now gets nothing."""
        for layer in layers:
            blob = digest(compressed(layer, "gzip")).removeprefix("sha256:")
            place = self.folder / "data" / "docker" / "registry" / "v2" / "blobs" / "sha256" / blob[:2] / blob
            shutil.rmtree(place)

    def pull(self, name: str, handler: str = "") -> None:
        self.cri.pull(name, handler)

    def run(self, name: str, container: str, script: str) -> str:
        """What it writes. ctr may lose that of a container that ends at once, on a busy machine: then once more."""
        told = f"({script}); code=$?; echo {_WRITTEN}; exit $code"
        options = ["run", "--rm", "--snapshotter", self.snapshotter, name, container]
        for _ in range(_RUNS):
            said = self.peer.ctr("-n", "k8s.io", *options, "/bin/busybox", "sh", "-c", told)
            said, mark, _ = said.rpartition(f"{_WRITTEN}\n")
            if mark:
                return said
        raise AssertionError(f"{_RUNS} times the end of what {container} writes was lost")

    def run_in_pod(self, name: str, handler: str, *command: str) -> list[str]:
        """The one line that a container of a pod of its own says; the image is there."""
        pod = self.cri.run_pod("pod", self.folder / "logs", handler)
        try:
            return said(self.cri.run(pod, "container", name, *command), 1)
        finally:
            self.cri.remove_pod(pod)

    def restart_agent(self, chain: str) -> None:
        """And wait until containerd has found it again, which it shows by what it can say of a snapshot."""
        self.agent.start()
        wait_until(lambda: self._can_ask(chain), "containerd does not find the agent")

    def _can_ask(self, chain: str) -> bool:
        try:
            self.peer.ctr("-n", "k8s.io", "snapshots", "--snapshotter", "turnout", "info", chain)
        except UnpackingError:
            return False
        return True

    def end_tasks(self) -> None:
        """Whatever a test that failed has left running: it would go on without containerd."""
        for name in self.peer.ctr("-n", "k8s.io", "task", "list", "-q").split():
            with suppress(UnpackingError):  # it may have ended in between
                self.peer.ctr("-n", "k8s.io", "task", "delete", "--force", name)

    def shims(self) -> dict[str, int]:
        """Process ids, by the containers (or pods) that they hold."""
        found: dict[str, int] = {}
        for place in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(FileNotFoundError, ProcessLookupError):
                words = place.read_bytes().decode(errors="replace").split("\0")
                if "containerd-shim" in words[0] and str(self.peer.socket) in words:
                    found[words[words.index("-id") + 1]] = int(place.parent.name)
        return found

    def end_lost(self) -> None:
        """Shims and containers that containerd has lost, being killed while it made them: no later one finds them."""
        for name, pid in self.shims().items():
            with suppress(ProcessLookupError):
                _end_shim(pid, name)

    def remove_all(self) -> None:
        names = self.peer.ctr("-n", "k8s.io", "image", "list", "-q").split()
        if names:
            self.peer.ctr("-n", "k8s.io", "image", "remove", "--sync", *names)

    def collect(self) -> None:
        """Have containerd remove what nothing holds, now: by itself it waits fifty times what that took it before
        (`pause_threshold`), minutes on a busy machine."""
        lease = self.peer.ctr("-n", "k8s.io", "leases", "create").strip()
        self.peer.ctr("-n", "k8s.io", "leases", "delete", "--sync", lease)

    def leave_nothing(self) -> None:
        """Remove all images; then nothing of them is left."""
        self.remove_all()
        wait_until(lambda: self.agent.names() == [], "snapshots are left")
        self.agent.call("Cleanup")
        assert self.agent.left() == []
        assert [place for place in mounted_below(self.folder) if "/snapshots/" in place] == []
        wait_until(lambda: loops_below(self.folder) == [], "loop devices are left")


def _end_shim(pid: int, container: str) -> None:
    runc = ["runc", "--root", "/run/containerd/runc/k8s.io", "delete", "--force", container]
    subprocess.run(runc, capture_output=True, check=False)
    os.kill(pid, signal.SIGKILL)


def busybox() -> bytes:
    """A layer with one program, static, and what runc mounts upon."""
    tar = Tar()
    for folder in ("bin", "dev", "proc", "sys", "etc"):
        tar.directory(folder)
    return tar.add("bin/busybox", data=Path("/bin/busybox").read_bytes(), mode=0o755).finished()


def file_layer(name: str, text: str) -> bytes:
    return bytes(Tar().add(name, data=text.encode()).data)


@contextmanager
def node_for_all_pods(version: Version, *options: str) -> Generator[Node]:
    """`options` are the agent's."""
    with node_with(version, FOR_ALL_PODS[version], *options) as node:
        yield node


@contextmanager
def node_with(version: Version, heading: str, *options: str) -> Generator[Node]:
    """Its containerd has the configuration under that heading of docs/containerd.md."""
    with _node(version, lambda agent: documented(heading, socket=agent.socket), *options) as node:
        yield node


@contextmanager
def node_with_quota(version: Version, size: str) -> Generator[Node]:
    """Whose containers write no more than that."""
    with node_for_all_pods(version, "--writable-size", size) as node:
        yield node


@contextmanager
def node_with_metrics(version: Version, address: str) -> Generator[Node]:
    """Whose agent serves metrics there."""
    with node_for_all_pods(version, "--metrics", address) as node:
        yield node


@contextmanager
def node_with_layer_cache() -> Generator[Node]:
    """containerd 2.x with its own EROFS snapshotter, and an agent that fills its layer content cache."""

    def configuration(agent: Agent) -> str:
        return documented("Without Turnout's snapshotter, containerd 2.x", cache=agent.folder / "cache")

    with _node(TWO, configuration, cached=True) as node:
        node.snapshotter = "erofs"
        yield node


@contextmanager
def _node(
    version: Version, configuration: Callable[[Agent], str], *options: str | Path, cached: bool = False
) -> Generator[Node]:
    for program in ("runc", "docker-registry", "busybox"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed; ./setup installs it")
    with tempfile.TemporaryDirectory(prefix="node-") as name:
        folder = Path(name)
        options = (
            *options,
            *(("--layer-cache", folder / "cache", "--containerd", folder / "c.sock") if cached else ()),
        )
        with docker_registry(folder, folder / "data") as host, running_agent(folder, *options) as agent:
            more = configuration(agent) + _PODS[version.config].format(host=host)
            with containerd(folder, version, more) as peer:
                node = Node(folder, host, agent, peer)
                node.image("sandbox", busybox(), sleeping())
                try:
                    yield node
                finally:
                    node.end_tasks()
                    node.end_lost()


def sleeping() -> bytes:
    """A layer that makes the command of every image of ours one that stays: for pods themselves."""
    script = b"#!/bin/busybox sh\nexec /bin/busybox sleep 1000000\n"
    return Tar().add("bin/true", data=script, mode=0o755).finished()
