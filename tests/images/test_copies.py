"""Local copies of volumes on another node: filled, made volumes, read ahead by a trace; and what goes wrong."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from agents.storage.io.localcopies import progress
from agents.storage.io.mounts import reads_of
from agents.storage.io.pacing import Reads
from agents.storage.io.reachability import Reachability
from agents.storage.io.remotevolumes import Ahead, RemoteVolumes
from agents.storage.io.volumefiles import read_trace, trace_path, write_trace
from agents.storage.snapshotter import Snapshotter
from agents.storage.wire.remotes import RemoteVolume
from agents.storage.wire.traces import Trace
from tests.images.agent import forget, wait_until
from tests.images.archives import LayoutWriter, Tar
from tests.images.conversions import converted, turnout
from tests.images.node import busybox
from tests.images.test_remote import FIRST, LAST, Pair, pair

__all__ = ["pair"]

pytestmark = [pytest.mark.root, pytest.mark.slow]


def again(pair: Pair, **ahead: int) -> None:
    """Another agent takes over."""
    pair.snapshots.close()
    pair.snapshots = Snapshotter(
        pair.root,
        pair.here,
        ahead=Ahead(most_bytes=ahead.get("most_bytes", 1 << 30), whole=bool(ahead.get("whole", 1))),
    )


def whole(pair: Pair) -> None:
    wait_until(lambda: any((pair.root / "volumes").glob("*.erofs")), "the volume is not made whole")
    wait_until(lambda: not any((pair.here / "volumes").glob("*.nbd")), "the store's volume is elsewhere")


def named(pair: Pair) -> tuple[str, int]:
    """Digest and size of the volume."""
    (path,) = (pair.there / "volumes").glob("*.erofs")
    return f"sha256:{path.stem}", path.stat().st_size


def read(pair: Pair) -> None:
    assert (pair.volume / "first").read_bytes() == FIRST
    assert (pair.volume / "last").read_bytes() == LAST


def test_a_whole_copy_is_a_volume_and_needs_no_server(pair: Pair) -> None:
    pair.snapshots.prepare("run", pair.chain, {})
    whole(pair)
    pair.server.close()
    forget()
    read(pair)
    pair.end()
    assert not any((pair.root / "copies").glob("*.*"))
    pair.snapshots.prepare("next", pair.chain, {})
    read(pair)
    assert list((pair.root / "remote").iterdir()) == []
    assert turnout("fsck", "--store", pair.here).returncode == 0


def test_after_its_daemon_died_a_whole_copy_is_mounted(pair: Pair) -> None:
    pair.snapshots.prepare("run", pair.chain, {})
    whole(pair)
    (daemon,) = (pair.root / "remote").iterdir()
    pair.signal(daemon, signal.SIGKILL)
    pair.snapshots.prepare("next", pair.chain, {})
    read(pair)
    assert list((pair.root / "remote").iterdir()) == []


def test_the_next_agent_goes_on_with_it(pair: Pair) -> None:
    again(pair, whole=0)
    pair.snapshots.prepare("run", pair.chain, {})
    assert (pair.volume / "first").read_bytes() == FIRST
    again(pair)
    whole(pair)
    read(pair)


def test_what_was_fetched_is_not_fetched_again(pair: Pair) -> None:
    """The daemon is killed with the last container, its server is gone when the next one starts."""
    digest, size = named(pair)
    write_trace(pair.here, Trace(volume=digest, size_bytes=size, extents=((0, size),)))
    again(pair, whole=0)
    pair.snapshots.prepare("run", pair.chain, {})
    wait_until(lambda: progress(pair.root) == {digest: size}, "it is not read ahead")
    pair.end()
    pair.snapshots.prepare("next", pair.chain, {})
    pair.server.close()
    forget()
    read(pair)


def test_only_what_the_trace_names_is_read_ahead_and_no_more_than_allowed(pair: Pair) -> None:
    digest, size = named(pair)
    write_trace(pair.here, Trace(volume=digest, size_bytes=size, extents=((1 << 20, 1 << 20), (0, 1 << 14))))
    again(pair, most_bytes=1 << 19, whole=0)
    pair.snapshots.prepare("run", pair.chain, {})
    wait_until(lambda: progress(pair.root)[digest] >= 1 << 19, "it is not read ahead")
    assert progress(pair.root)[digest] < 1 << 20
    (row,) = json.loads(turnout("volumes", "--root", pair.root, "--store", pair.here, "-o", "json").stdout)
    assert row["at"] == str(pair.address)
    assert (row["size"], row["traced"]) == (size, (1 << 20) + (1 << 14))
    assert 1 << 19 <= row["here"] < 1 << 20


def test_a_trace_that_is_none_is_left_aside(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    digest, _ = named(pair)
    path = trace_path(pair.here, digest)
    path.write_text("{")
    with caplog.at_level(logging.WARNING):
        pair.snapshots.prepare("run", pair.chain, {})
        read(pair)
    assert f"nothing is read ahead: {path} is no trace, or not all of one" in caplog.text


def test_bytes_of_another_digest_become_no_volume(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    digest, _ = named(pair)
    (path,) = (pair.there / "volumes").glob("*.erofs")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        pair.snapshots.prepare("run", pair.chain, {})
        wait_until(lambda: "stays where it is" in caplog.text, "nothing is said")
    assert f"what came of volume {digest} has other bytes than its name says" in caplog.text
    assert not any((pair.root / "volumes").glob("*.erofs"))
    assert not any((pair.root / "copies").glob("*.data"))


def test_after_a_reboot_it_begins_anew(pair: Pair) -> None:
    again(pair, whole=0)
    pair.snapshots.prepare("run", pair.chain, {})
    pair.end()
    (data,) = (pair.root / "copies").glob("*.data")
    (pair.root / "copies" / "boot").write_text("another\n")
    again(pair)
    assert not data.exists()
    pair.snapshots.prepare("next", pair.chain, {})
    whole(pair)
    read(pair)


def test_what_containers_read_is_seen_and_what_is_fetched_is_not(pair: Pair) -> None:
    """By which the pace of fetching goes."""
    again(pair, whole=0)
    pair.snapshots.prepare("run", pair.chain, {})
    first = reads_of(pair.volume)
    assert (pair.volume / "last").read_bytes() == LAST
    second = reads_of(pair.volume)
    assert second.done > first.done
    again(pair)
    whole(pair)
    assert reads_of(pair.volume) == Reads(done=second.done, waiting=0)


def test_the_rest_of_all_volumes_gives_way_to_what_is_read_ahead(pair: Pair) -> None:
    """A container's start waits for it as for what it reads: no other volume of the image is to take its link."""
    digest, size = named(pair)
    again(pair, whole=0)
    pair.snapshots.prepare("run", pair.chain, {})
    write_trace(pair.here, Trace(volume=digest, size_bytes=size, extents=((0, size),)))
    volumes = RemoteVolumes(pair.root, pair.here, reachability=Reachability(None))
    pair.signal(pair.there / "serving", signal.SIGSTOP)
    try:
        volumes.fill(digest, RemoteVolume(server=pair.address, size_bytes=size), pair.volume)
        wait_until(lambda: volumes.reads().waiting == 1, "reading ahead is not seen")
    finally:
        pair.signal(pair.there / "serving", signal.SIGCONT)
    whole(pair)
    assert volumes.reads().waiting == 0


def test_a_server_that_hangs_is_waited_for(pair: Pair) -> None:
    again(pair, whole=0)
    pair.snapshots.prepare("run", pair.chain, {})
    pair.signal(pair.there / "serving", signal.SIGSTOP)
    again(pair)
    try:
        assert not any((pair.root / "volumes").glob("*.erofs"))
    finally:
        pair.signal(pair.there / "serving", signal.SIGCONT)
    whole(pair)
    read(pair)


def test_an_image_that_was_removed_leaves_no_copy(pair: Pair) -> None:
    again(pair, whole=0)
    pair.snapshots.prepare("run", pair.chain, {})
    pair.end()
    assert any((pair.root / "copies").glob("*.data"))
    pair.snapshots.remove(pair.chain)
    pair.snapshots.cleanup()
    assert not any((pair.root / "copies").glob("*.data"))


@pytest.fixture
def narrow(pair: Pair) -> Generator[Pair]:
    """A file system of copies that has no room for one."""
    folder = pair.root / "copies"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "narrow", folder], check=True)
    try:
        yield pair
    finally:
        pair.end()
        subprocess.run(["umount", folder], check=True)


def test_without_room_it_goes_on_without(narrow: Pair, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        narrow.snapshots.prepare("run", narrow.chain, {})
        read(narrow)
    assert "is read without keeping what is read" in caplog.text
    assert not any((narrow.root / "copies").glob("*.*"))


def test_a_start_is_traced_and_the_trace_goes_with_the_image(pair: Pair) -> None:
    """One program reads one of two files: its blocks are in the trace, those of the other are not."""
    layout = LayoutWriter(pair.folder / "program")
    layout.image([busybox(), Tar().add("read", data=FIRST).add("other", data=LAST).finished()])
    image = f"oci:{layout.write()}"
    (volume,) = converted(pair.folder / "program", pair.there).image.volumes
    path = trace_path(pair.there, volume.digest)
    options = ("trace", image, "--store", pair.there)
    done = turnout(*options)
    assert done.returncode == 1
    assert done.stderr.startswith("turnout: error: /bin/true ended with exit code 127: ")  # as its config has it
    assert not path.exists()
    done = turnout(*options, "-o", "json", "--seconds", "2", "--", "/bin/busybox", "sh", "-c", "cat /read; sleep 100")
    assert (done.returncode, done.stderr) == (0, "")
    (row,) = json.loads(done.stdout)
    assert (row["volume"], row["size"]) == (volume.digest, volume.size_bytes)
    assert len(FIRST) < row["read"] < len(FIRST) + Path("/bin/busybox").stat().st_size + 300_000
    trace = read_trace(pair.there, volume.digest, volume.size_bytes)
    assert trace is not None
    lengths = {one.path: sum(read.length for read in trace.files if read.path == one.path) for one in trace.files}
    assert row["files"] == len(lengths)
    assert lengths.pop(b"bin/busybox") > 100_000
    assert lengths.pop(b"read") == len(FIRST)
    assert sum(lengths.values()) < 64 << 10  # of what lies beside
    pair.server.publish()
    pair.adopt()
    assert trace_path(pair.here, volume.digest).read_bytes() == path.read_bytes()
    assert turnout("gc", "--store", pair.here).stderr == "0 files removed\n"
    done = turnout("trace", image, "--store", pair.here, "--", "/bin/busybox")
    assert done.stderr == (
        f"turnout: error: volume {volume.digest} is not on this node; trace the image where it was converted\n"
    )
    turnout("remove", image, "--store", pair.there)
    assert not path.exists()
