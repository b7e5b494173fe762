"""The node that starts containers and the machine that it has images from, as processes in the two namespaces."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Generator, Sequence, Set
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.containers import erofs, stargz
from bench.containers.contents import Content
from bench.containers.link import NODE, SERVER, SERVER_ADDRESS, Link
from bench.containers.stargz import Stargz, converted, until
from runtime.lab.netns import inside, path_of, processes_in
from tests.images.agent import Agent, mounted_below
from tests.images.archives import LayoutWriter
from tests.images.containerd import Containerd, UnpackingError
from tests.images.cri import Cri
from tests.images.node import busybox, sleeping
from tests.images.registry import push
from tests.images.versions import DEBIAN, TWO, documented

HOST = f"{SERVER_ADDRESS}:5000"
_WAIT_S = 60.0
_CONTAINERS = Path("/run/containerd/runc/k8s.io")
"""What runc knows of them."""
_TRACED_PORT, _TRACE_S = 8100, "15"
"""Nobody asks it then: the program's start alone is recorded."""
_CONFIGURATION = """version = 2
[plugins."io.containerd.grpc.v1.cri"]
restrict_oom_score_adj = true
sandbox_image = "{host}/sandbox:1"
[plugins."io.containerd.grpc.v1.cri".registry.mirrors."{host}"]
endpoint = ["http://{host}"]
"""
PROGRAM = str(Path(sys.executable).with_name("turnout"))
TURNOUT, STARGZ, EROFS = "turnout", stargz.KEY, erofs.KEY
"""Snapshotters, as containerd knows them; the other one is overlayfs."""


class Machines:
    """While `machines` is entered. `containerd` is with the snapshotter that it was last asked for."""

    def __init__(self, folder: Path, link: Link) -> None:
        self.folder, self.link = folder, link
        self.images: dict[str, str] = {}
        self._agent = Agent(folder)
        self._stargz = Stargz(folder / "lazy", HOST)
        self._peers: dict[str, Containerd] = {}
        self._kept: dict[str, set[str]] = {}
        """Images of pods themselves."""
        self._kept_content: dict[str, set[str]] = {}
        """Their blobs."""
        self._lazy: dict[str, str] = {}
        """Images as eStargz, by what they were made from."""

    def start(self, contents: Sequence[Content], snapshotters: Set[str], undo: ExitStack) -> None:
        """With containerds of these snapshotters alone."""
        self._serve_registry(undo)
        sandbox = LayoutWriter(self.folder / "sandbox")
        sandbox.image([busybox(), sleeping()])
        self._push(sandbox.write(), "sandbox")
        for content in contents:
            self.images[content.name] = self._push(content.layout(), content.name)
        if TURNOUT in snapshotters:
            self._serve_volumes(contents, undo)
            self._adopt()
            inside(NODE, self._agent.start)
            undo.callback(lambda: self._agent.end())
        if STARGZ in snapshotters:
            self._serve_stargz(contents, undo)
        for snapshotter in sorted(snapshotters):
            self._containerd(snapshotter, undo)

    def image(self, content: Content, snapshotter: str) -> str:
        """Its name, for a start by a snapshotter."""
        name = self.images[content.name]
        return self._lazy[name] if snapshotter == STARGZ else name

    def cri(self, snapshotter: str) -> Cri:
        return Cri(self._peers[snapshotter].socket)

    def processes(self, snapshotter: str) -> frozenset[int]:
        """All on the node but those that are there for other snapshotters."""
        others = {peer.pid for name, peer in self._peers.items() if name != snapshotter}
        if TURNOUT in self._peers and snapshotter != TURNOUT:
            others.add(self._agent.pid)
        if STARGZ in self._peers and snapshotter != STARGZ:
            others.add(self._stargz.pid)
        return processes_in([NODE]) - others

    def forget(self, snapshotter: str) -> None:
        """All images but the pods' own, with layers and snapshots, are gone when this returns."""
        others = sorted(self._listed(snapshotter, "image") - self._kept[snapshotter])
        self._peers[snapshotter].ctr("-n", "k8s.io", "image", "remove", "--sync", *others)
        left = self._kept_content[snapshotter]
        until(lambda: self._listed(snapshotter, "content") <= left, "layers stay in containerd's content store")
        volumes = self._agent.root / "attached"
        if snapshotter == TURNOUT:
            until(lambda: not any(volumes.iterdir()), "volumes stay attached")
        if snapshotter == STARGZ:
            self._stargz.forgotten()

    def _listed(self, snapshotter: str, what: str) -> set[str]:
        return set(self._peers[snapshotter].ctr("-n", "k8s.io", what, "list", "-q").split())

    def restart_stargz(self) -> None:
        """Nothing of what it fetched before is used again."""
        inside(NODE, self._stargz.restart)
        self._connected(STARGZ)

    def restart_agent(self, *, copies: bool, here: bool) -> None:
        """With volumes elsewhere, whatever was fetched before, or all of them `here`; it reads ahead and keeps copies
        if that is said."""
        self._agent.end()
        volumes = self._agent.store / "volumes"
        for path in volumes.glob("*.erofs"):
            path.unlink()
        self._adopt()
        for path in (self.folder / "served" / "volumes").glob("*.erofs") if here else ():
            os.link(path, volumes / path.name)
        self._agent = Agent(self.folder, *(() if copies else ("--read-ahead", "0", "--no-local-copies")))
        inside(NODE, self._agent.start)
        self._connected(TURNOUT)

    def _connected(self, snapshotter: str) -> None:
        until(lambda: self._is_connected(snapshotter), f"containerd does not find {snapshotter} again")

    def _is_connected(self, snapshotter: str) -> bool:
        """After a failed call gRPC waits for a while before it connects again."""
        try:
            self._peers[snapshotter].ctr("-n", "k8s.io", "snapshot", "--snapshotter", snapshotter, "list")
        except UnpackingError:
            return False
        return True

    def _adopt(self) -> None:
        _turnout(NODE, "adopt", SERVER_ADDRESS, "--store", self._agent.store)

    def _push(self, layout: Path, name: str) -> str:
        inside(SERVER, lambda: push(layout, HOST, name, "1"))
        return f"{HOST}/{name}:1"

    def _serve_registry(self, undo: ExitStack) -> None:
        config = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self.folder / "data")}},
            "http": {"addr": HOST},
        }
        path = self.folder / "registry.json"
        path.write_text(json.dumps(config))
        self._run(undo, "docker-registry", "serve", str(path))
        until(lambda: _listens(SERVER, ":5000"), "the registry does not start")

    def _serve_volumes(self, contents: Sequence[Content], undo: ExitStack) -> None:
        store = self.folder / "served"
        for content in contents:
            image = self.images[content.name]
            _turnout(SERVER, "convert", image, "--plain-http", "--store", store)
            program = content.command(_TRACED_PORT)
            _turnout(SERVER, "trace", image, "--store", store, "--seconds", _TRACE_S, "--", *program)
        self._run(undo, PROGRAM, "image", "serve", "--listen", SERVER_ADDRESS, "--store", str(store))
        until(lambda: " volumes of " in (self.folder / "server.log").read_text(), "no volumes are served")

    def _serve_stargz(self, contents: Sequence[Content], undo: ExitStack) -> None:
        """The images made, and the snapshotter for containerd to find."""
        (self.folder / "lazy").mkdir()
        for content in contents:
            image, maker = self.images[content.name], self.folder / f"esgz-{content.name}"
            program = content.command(_TRACED_PORT)
            self._lazy[image] = inside(SERVER, lambda i=image, m=maker, p=program: converted(m, i, p, _TRACE_S))
        inside(NODE, self._stargz.restart)
        undo.callback(self._stargz.end)

    def _run(self, undo: ExitStack, *command: str) -> None:
        log = undo.enter_context((self.folder / "server.log").open("ab"))
        process = subprocess.Popen([*_in(SERVER), *command], stdout=log, stderr=log)
        undo.callback(process.wait, _WAIT_S)
        undo.callback(process.terminate)

    def _containerd(self, snapshotter: str, undo: ExitStack) -> None:
        folder = self.folder / snapshotter
        folder.mkdir()
        if snapshotter == EROFS:
            peer = Containerd(folder, TWO, erofs.configuration(folder, HOST), programs=erofs.maker())
        else:
            peer = Containerd(folder, DEBIAN, self._configuration(snapshotter))
        inside(NODE, peer.start)
        undo.callback(peer.end)
        Cri(peer.socket).pull(f"{HOST}/sandbox:1")
        self._peers[snapshotter] = peer
        self._kept[snapshotter] = self._listed(snapshotter, "image")
        self._kept_content[snapshotter] = self._listed(snapshotter, "content")

    def _configuration(self, snapshotter: str) -> str:
        """Of Debian's containerd."""
        more = _CONFIGURATION.format(host=HOST)
        heads = {
            TURNOUT: documented("For all pods, containerd 1.6 and 1.7", socket=self._agent.socket),
            STARGZ: self._stargz.configuration,
        }
        return heads[snapshotter] + more.removeprefix("version = 2\n") if snapshotter in heads else more


@contextmanager
def machines(contents: Sequence[Content], snapshotters: Set[str], link: Link) -> Generator[Machines]:
    with TemporaryDirectory(prefix="turnout-bench-", dir="/var/tmp") as name, ExitStack() as undo:
        undo.callback(_leave_nothing, Path(name))
        made = Machines(Path(name), link)
        made.start(contents, snapshotters, undo)
        yield made


def kill_all() -> None:
    """Whatever runs on the two machines. Who waits for it waits no more."""
    for pid in processes_in([NODE, SERVER]):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _leave_nothing(folder: Path) -> None:
    """What a start that failed leaves in the namespaces: containers, shims, mounts."""
    kill_all()
    for target in mounted_below(folder):
        subprocess.run(["umount", "--lazy", target], check=False)
    for state in _CONTAINERS.glob("*/state.json"):
        if str(folder) in state.read_text():
            shutil.rmtree(state.parent)


def missing_program() -> str | None:
    """The first that there must be and is not."""
    needed = ("containerd", "runc", "docker-registry", "qemu-storage-daemon", "busybox", "dpkg-deb", "tc")
    return next((name for name in needed if shutil.which(name) is None), None)


def _in(namespace: str) -> list[str]:
    return ["nsenter", f"--net={path_of(namespace)}"]


def _turnout(namespace: str, *words: str | Path) -> None:
    command = [*_in(namespace), PROGRAM, "image", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONWARNINGS": "ignore"})
    if done.returncode:
        raise SystemExit(f"`{' '.join(command)}` failed: {done.stderr.strip()}")


def _listens(namespace: str, port: str) -> bool:
    listed = subprocess.run([*_in(namespace), "ss", "-Hltn"], capture_output=True, text=True, check=True).stdout
    return f"{port} " in listed
