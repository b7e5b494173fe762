"""Images whose volumes are on another node: recorded, mounted, read, and what becomes of them when something dies."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from agents.storage.adoption import adopt
from agents.storage.io.housekeeping import collect
from agents.storage.io.nbdclient import NbdClient
from agents.storage.io.nbdtls import NbdTls
from agents.storage.io.store import Store, StoredImage
from agents.storage.io.volumefiles import find_volume, remote_path, volume_path
from agents.storage.io.volumeserver import VolumeServer
from agents.storage.snapshotter import Snapshotter
from agents.storage.translate.modes import BLOCK
from agents.storage.wire.errors import ImageError
from agents.storage.wire.remotes import CATALOG, Server
from agents.storage.wire.snapshots import REF_LABEL, SnapshotContentError, SnapshotExistsError
from tests.images.agent import loops_below, mounted_below, wait_until
from tests.images.archives import LayoutWriter, Tar, compressed, digest
from tests.images.conversions import command, converted, turnout
from tests.images.registry import free_port

pytestmark = [pytest.mark.root, pytest.mark.slow]
FIRST, LAST = os.urandom(200_000), os.urandom(3_000_000)
LAYER = Tar().add("first", data=FIRST).add("last", data=LAST).finished()


class Pair:
    """A node that serves an image, and one that has recorded it: a snapshotter in this process."""

    def __init__(self, folder: Path, server_tls: NbdTls | None = None, client_tls: NbdTls | None = None) -> None:
        self._server_tls, self._client_tls = server_tls, client_tls
        self.folder, self.chain, self.there, self.here = folder, digest(LAYER), folder / "there", folder / "here"
        layout = LayoutWriter(folder / "layout")
        layout.image([LAYER])
        self.image = f"oci:{layout.write()}"
        converted(folder / "layout", self.there)
        self.address = Server(host="127.0.0.1", port=free_port(), tls=server_tls is not None)
        self.serve_again()
        self.adopt()
        self.root = folder / "root"
        self.snapshots = Snapshotter(self.root, self.here, tls=client_tls)
        with pytest.raises(SnapshotExistsError):
            self.snapshots.prepare("unpack", "", {REF_LABEL: self.chain})

    def adopt(self, *names: str) -> tuple[StoredImage, ...]:
        store = Store(self.here)
        try:
            return adopt(self.address, names, store, self._client_tls)
        finally:
            store.close()

    @property
    def volume(self) -> Path:
        """Where it is mounted."""
        (place,) = (self.root / "attached").iterdir()
        return place

    def ask_anew(self) -> None:
        """What a server has answered counts for a while; not to an agent that has just started."""
        self.snapshots.close()
        self.snapshots = Snapshotter(self.root, self.here, tls=self._client_tls)

    def lose_layers(self) -> None:
        """Nobody has them any more but in the volume."""
        shutil.rmtree(self.folder / "layout")

    def refused(self, key: str = "run") -> str:
        """What a container is told that cannot start."""
        with pytest.raises(SnapshotContentError) as refused:
            self.snapshots.prepare(key, self.chain, {})
        return str(refused.value)

    def not_to_be_had(self, why: str) -> str:
        blob = digest(compressed(LAYER, "gzip")).removeprefix("sha256:")
        nor = f"{self.image}: {self.folder}/layout/blobs/sha256/{blob}: No such file or directory"
        volume = f"snapshot {self.chain} is of a converted image whose volume is not to be had"
        return f"{volume}: {why}; its layers are needed now: {nor}"

    def signal(self, folder: Path, number: signal.Signals) -> None:
        os.kill(int((folder / "daemon.pid").read_text()), number)

    def serve_again(self) -> None:
        self.server = VolumeServer(self.there, self.address, self._server_tls)
        self.server.publish()

    def end(self) -> None:
        for name in [info.name for info in self.snapshots.infos(()) if info.name != self.chain]:
            self.snapshots.remove(name)
        self.snapshots.cleanup()


P = TypeVar("P", bound=Pair)


@contextmanager
def ended(prefix: str, make: Callable[[Path], P]) -> Generator[P]:
    """A pair in a folder whose name is short enough for sockets; nothing is left of it in the end."""
    if shutil.which("qemu-storage-daemon") is None:
        pytest.skip("qemu-storage-daemon is not installed; ./setup installs it")
    with tempfile.TemporaryDirectory(prefix=prefix) as name:
        made = make(Path(name))
        try:
            yield made
            made.end()
            assert list((made.root / "attached").iterdir()) == []
            assert list((made.root / "remote").iterdir()) == []
            assert mounted_below(made.folder) == []
            wait_until(lambda: loops_below(made.folder) == [], "loop devices are left")
        finally:
            made.snapshots.close()
            made.server.close()


@pytest.fixture
def pair() -> Generator[Pair]:
    with ended("remote-", Pair) as made:
        yield made


def test_what_is_said_before_the_first_read_waits_for_no_delayed_acknowledgement(pair: Pair) -> None:
    """Linux delays these by 40 ms at least, whatever else the machine does."""
    seconds: list[float] = []
    for _ in range(5):
        begun = time.monotonic()
        with NbdClient(pair.address, CATALOG):
            seconds.append(time.monotonic() - begun)
    assert min(seconds) < 0.02


def test_a_container_reads_what_another_node_has(pair: Pair) -> None:
    pair.snapshots.prepare("run", pair.chain, {})
    assert (pair.volume / "first").read_bytes() == FIRST
    assert (pair.volume / "last").read_bytes() == LAST
    pair.snapshots.prepare("more", pair.chain, {})
    assert len(loops_below(pair.folder)) == 1


def test_a_server_that_comes_back_is_waited_for(pair: Pair) -> None:
    pair.snapshots.prepare("run", pair.chain, {})
    assert (pair.volume / "first").read_bytes() == FIRST
    pair.signal(pair.there / "serving", signal.SIGKILL)
    reader = subprocess.Popen(["cat", pair.volume / "last"], stdout=subprocess.PIPE)
    pair.serve_again()
    assert reader.communicate()[0] == LAST


def test_a_server_that_is_gone_is_said_and_nothing_stays(pair: Pair) -> None:
    pair.server.close()
    pair.lose_layers()
    assert pair.refused() == pair.not_to_be_had(f"{pair.address}: Connection refused")
    assert [info.name for info in pair.snapshots.infos(())] == [pair.chain]
    pair.serve_again()
    pair.snapshots.prepare("run", pair.chain, {})
    assert (pair.volume / "first").read_bytes() == FIRST


def test_a_server_that_hangs_is_said_and_nothing_stays(pair: Pair) -> None:
    pair.signal(pair.there / "serving", signal.SIGSTOP)
    try:
        pair.lose_layers()
        assert pair.refused() == pair.not_to_be_had(f"{pair.address} does not answer within 5 s")
        assert [info.name for info in pair.snapshots.infos(())] == [pair.chain]
    finally:
        pair.signal(pair.there / "serving", signal.SIGCONT)


def test_a_container_goes_though_its_server_hangs(pair: Pair) -> None:
    pair.snapshots.prepare("run", pair.chain, {})
    pair.signal(pair.there / "serving", signal.SIGSTOP)
    try:
        reader = subprocess.Popen(["cat", pair.volume / "last"], stdout=subprocess.DEVNULL)
        reader.kill()
        assert reader.wait() == -signal.SIGKILL
        pair.end()
        assert list((pair.root / "attached").iterdir()) == []
    finally:
        pair.signal(pair.there / "serving", signal.SIGCONT)


def test_after_the_daemon_died_new_containers_start(pair: Pair) -> None:
    pair.snapshots.prepare("run", pair.chain, {})
    assert (pair.volume / "first").read_bytes() == FIRST
    (daemon,) = (pair.root / "remote").iterdir()
    pair.signal(daemon, signal.SIGKILL)
    pair.snapshots.prepare("next", pair.chain, {})
    assert (pair.volume / "last").read_bytes() == LAST


def test_a_volume_that_is_served_no_more_is_said(pair: Pair) -> None:
    store = Store(pair.there)
    (volume,) = store.find(pair.image).volumes
    name = volume.digest.removeprefix("sha256:")
    store.remove(store.find(pair.image))
    pair.server.publish()
    pair.snapshots.prepare("before", pair.chain, {})  # it is read until its file goes
    pair.snapshots.remove("before")
    collect(store)
    store.close()
    pair.server.publish()
    pair.lose_layers()
    assert pair.refused() == pair.not_to_be_had(f"{pair.address} has no {name}")


def test_a_volume_of_another_size_is_refused(pair: Pair) -> None:
    (kept,) = (pair.root / "volumes").iterdir()
    size = (pair.there / "volumes" / f"{kept.stem}.erofs").stat().st_size
    kept.write_text(f'{{"server": "{pair.address}", "sizeBytes": 4096}}')
    pair.lose_layers()
    assert pair.refused() == pair.not_to_be_had(
        f"{pair.address}: volume sha256:{kept.stem} has {size} bytes, 4096 when it was adopted"
    )


def test_where_the_server_is_gone_an_image_that_is_not_pulled_yet_is_pulled(pair: Pair) -> None:
    """As if nobody had converted it; once the server is back, it need not be."""
    pair.snapshots.remove(pair.chain)
    pair.ask_anew()
    pair.server.close()
    mounts = pair.snapshots.prepare("unpack", "", {REF_LABEL: pair.chain})
    assert [mount.type for mount in mounts] == ["bind"]
    pair.snapshots.remove("unpack")
    pair.serve_again()
    pair.ask_anew()
    with pytest.raises(SnapshotExistsError):
        pair.snapshots.prepare("unpack", "", {REF_LABEL: pair.chain})


def test_where_the_server_is_gone_a_container_of_an_image_that_is_pulled_fetches_its_layers(pair: Pair) -> None:
    """Nobody reads the volume. The next ones have them, with the server and without."""
    pair.server.close()
    pair.snapshots.prepare("run", pair.chain, {})
    assert (pair.volume / "first").read_bytes() == FIRST
    pair.lose_layers()
    pair.snapshots.prepare("next", pair.chain, {})
    assert (pair.volume / "last").read_bytes() == LAST
    assert not list((pair.root / "remote").iterdir())


def test_where_a_server_has_moved_it_is_read_there(pair: Pair) -> None:
    """By snapshots that are there, too."""
    pair.server.close()
    pair.address = replace(pair.address, port=free_port())
    pair.serve_again()
    pair.adopt()
    pair.lose_layers()
    pair.snapshots.prepare("run", pair.chain, {})
    assert (pair.volume / "first").read_bytes() == FIRST


def test_what_is_adopted(pair: Pair) -> None:
    """Images by name, or all but disks; not again what is here already."""
    layout = LayoutWriter(pair.folder / "other")
    layout.image([Tar().add("other", data=b"x").finished()])
    other = f"oci:{layout.write()}"
    image = converted(pair.folder / "other", pair.there).image
    converted(pair.folder / "layout", pair.there, mode=BLOCK.sized(1))
    pair.server.publish()
    (again,) = pair.adopt(pair.image)
    assert again.names == (pair.image,)
    converted(pair.folder / "other", pair.here)
    assert {(one.names, one.mode) for one in pair.adopt()} == {((pair.image,), "erofs"), ((other,), "erofs")}
    assert find_volume(pair.here, image.volumes[0].digest).suffix == ".erofs"
    assert remote_path(pair.here, again.volumes[0].digest).exists()
    with pytest.raises(ImageError) as refused:
        pair.adopt("oci:/nowhere")
    assert str(refused.value) == f"{pair.address} has no image 'oci:/nowhere'"


def test_the_commands(pair: Pair) -> None:
    """A later server takes the place of one that was killed; what is converted meanwhile is served."""
    address, third = f"127.0.0.1:{free_port()}", pair.folder / "third"
    serving = subprocess.Popen(
        command("serve", "--listen", address, "--store", pair.there), stderr=subprocess.PIPE, text=True
    )
    assert serving.stderr is not None
    assert serving.stderr.readline() == f"1 volumes of {pair.there} at nbd://{address}\n"
    layout = LayoutWriter(pair.folder / "later")
    layout.image([Tar().add("later", data=b"x").finished()])
    converted(layout.write(), pair.there)
    assert serving.stderr.readline() == f"2 volumes of {pair.there} at nbd://{address}\n"
    done = turnout("adopt", address, pair.image, "--store", third)
    assert (done.returncode, done.stderr) == (0, "")
    store = Store(third)
    (volume,) = store.find(pair.image).volumes
    store.close()
    done = turnout("mount", pair.image, pair.folder, "--store", third)
    hexadecimal = volume.digest.removeprefix("sha256:")
    assert done.stderr == (
        f"turnout: error: volume {hexadecimal} is at nbd://{address}; the agent (turnout agent storage) attaches it\n"
    )
    assert turnout("fsck", "--store", third).returncode == 0
    assert turnout("gc", "--store", third).stderr == "0 files removed\n"
    serving.terminate()
    assert serving.communicate()[1] == ""
    assert serving.returncode == 0
    done = turnout("adopt", address, "--store", third)
    assert (done.returncode, done.stderr) == (1, f"turnout: error: nbd://{address}: Connection refused\n")


def test_what_is_converted_here_is_here_although_it_was_adopted(pair: Pair) -> None:
    """Also for those that start when the other node is gone."""
    before = pair.snapshots.prepare("before", pair.chain, {})
    made = converted(pair.folder / "layout", pair.here)
    assert not made.was_there
    (volume,) = made.image.volumes
    found = find_volume(pair.here, volume.digest)
    assert found == volume_path(pair.here, volume.digest)
    assert found.read_bytes() == volume_path(pair.there, volume.digest).read_bytes()
    assert converted(pair.folder / "layout", pair.here).was_there
    pair.adopt()
    assert find_volume(pair.here, volume.digest) == found
    assert before
    assert (pair.volume / "first").read_bytes() == FIRST
    pair.snapshots.remove("before")
    pair.snapshots.cleanup()
    pair.server.close()
    pair.snapshots.prepare("after", pair.chain, {})
    assert (pair.volume / "last").read_bytes() == LAST
