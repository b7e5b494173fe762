"""Containers that come and go on a node whose processes are killed at random instants, in the midst of what is asked.

An instant is a share of how long the same request took when nobody was killed, so that a slow machine is killed as
early and as late as a fast one.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import CalledProcessError
from threading import Thread
from typing import Final

import grpc

from agents.storage.adoption import adopt
from agents.storage.io.store import Store
from agents.storage.io.volumeserver import VolumeServer
from agents.storage.translate.modes import BLOCK, EROFS, OVERLAYFS
from agents.storage.wire.remotes import Server
from tests.images.agent import Refused, mounted, wait_until
from tests.images.archives import digest
from tests.images.containerd import UnpackingError, chain_id
from tests.images.conversions import converted
from tests.images.node import Node, busybox, file_layer
from tests.images.registry import free_port

_MOST_AT_ONCE: Final = 5
_PULLS: Final = 0.15
_KILLS: Final = 0.6
_ELSEWHERE: Final = replace(EROFS)
_LATER_THAN_DONE: Final = 1.2
"""An instant may also lie behind the request's end."""
_STAYING: Final = "echo {name} | busybox dd of=/token conv=fsync && exec busybox sleep 1000000"
_COUNTING: Final = (
    "i=0; while busybox cat /etc/top >/dev/null; do i=$((i+1)); echo $i >>/count; busybox usleep 20000; done"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    name: str
    top: str
    """What /etc/top says."""
    chain: str
    on_disk: bool
    """Its containers write to clones, and get errors when the storage daemon dies; what they have synced stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bystander:
    """A container that is there from the first kill to the last; `pid` is its process."""

    pid: int
    begun: str

    def counts(self) -> list[str]:
        return (Path(f"/proc/{self.pid}/root") / "count").read_text().splitlines()


class Churn:
    """`seed` decides what is asked, who is killed and when."""

    def __init__(self, node: Node, seed: int) -> None:
        self.kills = {"agent": 0, "containerd": 0, "storage daemon": 0, "shim": 0, "volume server": 0}
        self.created = 0
        self._node, self._rng = node, random.Random(seed)
        self._there = node.folder / "there"
        self._address = Server(host="127.0.0.1", port=free_port())
        self._server: VolumeServer | None = None
        self._prefix = f"at-{node.host.rpartition(':')[2]}"
        """By the registry's port. runc knows all containers of a machine, of whichever containerd, by their names."""
        self._bystander = f"{self._prefix}-bystander"
        self._images: list[Image] = []
        self._running: dict[str, Image] = {}
        self._took_s: dict[str, float] = {}
        self._deck: list[str] = []
        self._half_made: set[str] = set()
        self._without_shim: set[str] = set()
        """Containers that containerd has ended, since the shim that held them is dead."""
        self._attempts = 0

    def fill(self) -> None:
        """Converted images, whose layers are lost, in all modes, one that is on another node, and one that is
        unpacked."""
        for number, mode in enumerate((EROFS, OVERLAYFS, BLOCK.sized(1), _ELSEWHERE, None)):
            text = f"top of {number}"
            layers = (busybox(), file_layer(f"etc/low{number}", "low"), file_layer("etc/top", text))
            name = self._node.image(f"churn{number}", *layers)
            if mode is _ELSEWHERE:
                self._adopt(name)
            elif mode is not None:
                converted(name, self._node.agent.store, mode=mode)
            if mode is not None:
                self._node.lose(*layers[1:])
            self._node.pull(name)
            chain = chain_id([digest(layer) for layer in layers])
            self._images.append(Image(name=name, top=text, chain=chain, on_disk=mode is not None and mode.is_disk))

    def _adopt(self, name: str) -> None:
        converted(name, self._there)
        self._serve()
        store = Store(self._node.agent.store)
        try:
            adopt(self._address, [name], store)
        finally:
            store.close()

    def _serve(self) -> None:
        self._server = VolumeServer(self._there, self._address)
        self._server.publish()

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    def start_bystander(self) -> Bystander:
        self._ctr("run", "-d", "--snapshotter", "turnout", self._images[0].name, self._bystander, *_shell(_COUNTING))
        pid = self._pid(self._bystander)
        wait_until((Path(f"/proc/{pid}/root") / "count").exists, "the bystander does not begin")
        return Bystander(pid=pid, begun=_begun(pid))

    def check_bystander(self, bystander: Bystander) -> None:
        """It is the same process, and goes on reading its volume and writing its layer."""
        assert _begun(bystander.pid) == bystander.begun
        before = len(bystander.counts())
        wait_until(lambda: len(bystander.counts()) > before, "the bystander does not go on")
        counts = bystander.counts()
        assert counts == [str(number + 1) for number in range(len(counts))]

    def step(self) -> None:
        """A container more, and now and then one less or an image pulled anew; most requests meet a kill."""
        image = self._rng.choice(self._images)
        self._requested("create", lambda: self._create(image))
        if len(self._running) > _MOST_AT_ONCE:
            name = self._rng.choice(sorted(self._running))
            self._requested("remove", lambda: self._remove(name))
        if self._rng.random() < _PULLS:
            pulled = self._rng.choice(self._images[1:])
            self._requested("pull", lambda: self._pull_again(pulled))

    def end(self) -> None:
        """Remove what is there, and what containerd does not remove of requests that its death broke off: containers
        that it has lost, and leases, which would end by themselves within a day."""
        for name in (*sorted(self._running), *sorted(self._half_made)):
            self._remove(name)
        self._remove(self._bystander)
        self._kill("containerd")
        self._node.end_lost()
        for lease in self._ctr("leases", "list", "-q").split():
            self._ctr("leases", "delete", "--sync", lease)
        self._node.remove_all()

    def _requested(self, what: str, request: Callable[[], None]) -> None:
        """With a kill in it, until each has been killed once, then mostly. A request that a kill has broken is asked
        again."""
        spared = min(self.kills.values()) > 0 and self._rng.random() > _KILLS
        if spared or what not in self._took_s:
            begun = time.monotonic()
            request()
            self._took_s[what] = time.monotonic() - begun
            return
        victim = self._victim()
        delay_s = self._rng.random() * self._took_s[what] * _LATER_THAN_DONE
        worker = Thread(target=lambda: _tried(request))
        worker.start()
        time.sleep(delay_s)
        self.kills[victim] += self._kill(victim)
        worker.join()
        request()

    def _victim(self) -> str:
        """Each as often as the others, in a new order each time."""
        if not self._deck:
            self._deck = self._rng.sample(sorted(self.kills), len(self.kills))
        return self._deck.pop()

    def _kill(self, victim: str) -> bool:
        """False where there is nobody to be killed at that instant."""
        if victim == "agent":
            self._node.agent.kill()
            self._node.restart_agent(self._images[0].chain)
        elif victim == "storage daemon":
            self._node.agent.end_daemon()
        elif victim == "volume server":
            os.kill(int((self._there / "serving" / "daemon.pid").read_text()), signal.SIGKILL)
            self._serve()
        elif victim == "shim":
            return self._kill_shim()
        else:
            self._node.peer.kill()
            self._node.peer.start()
        return True

    def _kill_shim(self) -> bool:
        """Of any container but the bystander, also of one that is just being made or removed."""
        shims = {name: pid for name, pid in self._node.shims().items() if name != self._bystander}
        if not shims:
            return False
        name = self._rng.choice(sorted(shims))
        self._without_shim.add(name)
        with suppress(ProcessLookupError):
            os.kill(shims[name], signal.SIGKILL)
        return True

    def _create(self, image: Image) -> None:
        """Under a new name, as a kubelet has it: containerd may hold one that it has lost until it starts again."""
        for half_made in tuple(self._half_made):
            self._remove(half_made)
        self._attempts += 1
        name = f"{self._prefix}-{self._attempts}"
        self._half_made.add(name)
        script = _shell(_STAYING.format(name=name))
        self._ctr("run", "-d", "--snapshotter", "turnout", image.name, name, *script)
        command = Path(f"/proc/{self._pid(name)}/cmdline")
        wait_until(lambda: command.read_bytes().startswith(b"busybox\0sleep\0"), f"{name} has not synced its token")
        self._running[name] = image
        self._half_made.discard(name)
        self.created += 1

    def _remove(self, name: str) -> None:
        """What it has synced and what it reads is there until then. Nothing where there is none, or half of one."""
        image, is_ended = self._running.get(name), name in self._without_shim
        if image is not None and not image.on_disk and not is_ended:
            self._check_root(Path(f"/proc/{self._pid(name)}/root"), name, image)
        self._running.pop(name, None)
        self._ctr_if_there("task", "delete", "--force", name)
        if image is not None and (image.on_disk or is_ended):
            self._check_snapshot(name, image)
        self._ctr_if_there("container", "delete", name)
        self._ctr_if_there("snapshots", "--snapshotter", "turnout", "remove", name)
        self._half_made.discard(name)

    def _check_root(self, root: Path, name: str, image: Image) -> None:
        assert ((root / "token").read_text(), (root / "etc/top").read_text()) == (f"{name}\n", image.top)

    def _check_snapshot(self, name: str, image: Image) -> None:
        """Mounted anew, since its storage daemon may have died under it, or it has ended with its shim."""
        (key,) = [key for key in self._node.agent.names("kind==active") if key.endswith(f"/{name}")]
        with mounted(self._node.agent.call("Mounts", key=key), self._node.folder / "disk") as root:
            self._check_root(root, name, image)

    def _pull_again(self, image: Image) -> None:
        self._ctr_if_there("image", "remove", "--sync", image.name)
        self._node.pull(image.name)

    def _pid(self, name: str) -> int:
        rows = [line.split() for line in self._ctr("task", "list").splitlines()[1:]]
        found = [int(row[1]) for row in rows if row[0] == name and row[2] == "RUNNING"]
        assert len(found) == 1, (name, rows)
        return found[0]

    def _ctr(self, *arguments: str) -> str:
        return self._node.peer.ctr("-n", "k8s.io", *arguments)

    def _ctr_if_there(self, *arguments: str) -> None:
        try:
            self._ctr(*arguments)
        except UnpackingError as error:
            if "not found" not in str(error):
                raise


def _tried(request: Callable[[], None]) -> None:
    """What a kill may do to a request: a call fails, or what it looks at is not there."""
    with suppress(UnpackingError, grpc.RpcError, Refused, CalledProcessError, AssertionError, OSError):
        request()


def _shell(script: str) -> list[str]:
    return ["/bin/busybox", "sh", "-c", script]


def _begun(pid: int) -> str:
    """The process's start in the kernel's ticks: another process of the same number has another."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
