"""Writable layers with a bound: who fills one gets ENOSPC, and nothing of it is left, whatever is killed."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path

import pytest

from agents.storage.translate.limits import QUOTA_LABEL
from tests.images.agent import Agent, Refused, loops_below, mounted, mounted_below, running_agent, wait_until
from tests.images.conversions import converted
from tests.images.node import Node, busybox, node_with_quota
from tests.images.versions import VERSIONS

pytestmark = [pytest.mark.root, pytest.mark.slow]
MIB = 1 << 20


@pytest.fixture(scope="module")
def running() -> Generator[Agent]:
    with (
        tempfile.TemporaryDirectory(prefix="quota-") as folder,
        running_agent(Path(folder), "--writable-size", "64M") as agent,
    ):
        yield agent


@pytest.fixture
def agent(running: Agent) -> Generator[Agent]:
    """Nothing is left of a test's snapshots once they are removed: children first."""
    yield running
    while names := running.names():
        parents = {info.parent for info in running.infos()}
        for name in set(names) - parents:
            running.call("Remove", key=name)
    assert running.left() == []
    assert mounted_below(running.folder) == []
    wait_until(lambda: loops_below(running.folder) == [], "loop devices are left")


def _image(agent: Agent, tmp_path: Path, size: int = 0) -> None:
    """A committed snapshot, made as containerd unpacks: unbounded, with a file of that size."""
    key = "k8s.io/7/extract-123-abcd sha256:0123"
    with mounted(agent.call("Prepare", key=key, parent=""), tmp_path / "mnt") as root:
        (root / "base").write_bytes(bytes(size))
    agent.call("Commit", name="image", key=key)


def _fill(root: Path) -> int:
    """Write until nothing goes in any more; returns how much went in."""
    with (root / "large").open("wb", buffering=0) as stream:
        with pytest.raises(OSError, match="No space left on device"):  # noqa: PT012 some write may be the one
            while True:
                stream.write(bytes(MIB))
        return stream.tell()


def _bounds(agent: Agent) -> list[int]:
    """Sizes of the bounds that there are, in MiB."""
    return sorted(path.stat().st_size // MIB for path in (agent.root / "quotas").iterdir())


def test_who_fills_it_gets_an_error_and_others_none(agent: Agent, tmp_path: Path) -> None:
    _image(agent, tmp_path)
    first, second = (agent.call("Prepare", key=key, parent="image") for key in ("first", "second"))
    with mounted(first, tmp_path / "one") as one, mounted(second, tmp_path / "two") as two:
        assert 50 * MIB < _fill(one) <= 64 * MIB
        (two / "file").write_bytes(bytes(10 * MIB))
        usage = agent.call("Usage", key="first")
        assert 50 * MIB < usage.size <= 64 * MIB
        (one / "large").unlink()
        (one / "again").write_bytes(bytes(10 * MIB))
        subprocess.run(["sync", "--file-system", str(one), str(two)], check=True)
        assert 10 * MIB <= agent.call("Usage", key="second").size < 11 * MIB
    assert _bounds(agent) == [64, 64]


def test_many_small_files_are_bounded_as_well(agent: Agent, tmp_path: Path) -> None:
    _image(agent, tmp_path)
    with mounted(agent.call("Prepare", key="k", parent="image", labels={QUOTA_LABEL: "16M"}), tmp_path / "mnt") as root:
        with pytest.raises(OSError, match="No space left on device"):  # noqa: PT012 any of them may be the one
            for number in range(1_000_000):
                (root / str(number)).touch()
        (root / "0").unlink()
        (root / "another").touch()


def test_only_containers_have_the_default(agent: Agent, tmp_path: Path) -> None:
    """What is unpacked is not bounded, nor what is looked at, nor what lies on no image."""
    _image(agent, tmp_path, 100 * MIB)
    agent.call("View", key="look", parent="image")
    agent.call("Prepare", key="scratch", parent="")
    agent.call("Prepare", key="layer", parent="image", labels={"containerd.io/snapshot.ref": "sha256:1"})
    assert _bounds(agent) == []


@pytest.mark.parametrize(("text", "size"), [("32m", 32), ("40MiB", 40), (str(17 * MIB), 17), ("1g", 1024)])
def test_a_label_says_otherwise(text: str, size: int, agent: Agent, tmp_path: Path) -> None:
    _image(agent, tmp_path)
    agent.call("Prepare", key="k", parent="image", labels={QUOTA_LABEL: text})
    agent.call("Prepare", key="scratch", parent="", labels={QUOTA_LABEL: text})
    assert _bounds(agent) == [size, size]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("much", "'much' is no size; expected bytes, or a number with K, M, G or T"),
        ("-1g", "'-1g' is no size; expected bytes, or a number with K, M, G or T"),
        ("1m", "'1m' is out of range; expected 16M to 16T"),
        ("17t", "'17t' is out of range; expected 16M to 16T"),
    ],
)
def test_labels_that_say_no_size(text: str, said: str, agent: Agent) -> None:
    with pytest.raises(Refused) as refused:
        agent.call("Prepare", key="k", parent="", labels={QUOTA_LABEL: text})
    assert refused.value.args == ("INVALID_ARGUMENT", f"snapshot k: label {QUOTA_LABEL}: {said}")


def test_the_default_is_a_size() -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = Agent(Path(folder), "--writable-size", "much").command(Path(folder) / "s.sock")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "'much' is no size" in done.stderr


def test_what_was_synced_is_there_after_kills_and_a_reboot(agent: Agent, tmp_path: Path) -> None:
    _image(agent, tmp_path)
    labels: Mapping[str, str] = {QUOTA_LABEL: "32M"}
    with mounted(agent.call("Prepare", key="k", parent="image", labels=labels), tmp_path / "mnt") as root:
        (root / "before").write_text("kept")
        agent.kill()
        (root / "meanwhile").write_text("kept too")
        agent.start()
        assert agent.call("Usage", key="k").inodes == 3
        subprocess.run(["sync", "--file-system", str(root)], check=True)
    agent.kill()
    for place in mounted_below(agent.folder):  # which is what a reboot does
        subprocess.run(["umount", place], check=True)
    agent.start()
    with mounted(agent.call("Mounts", key="k"), tmp_path / "mnt") as root:
        assert ((root / "before").read_text(), (root / "meanwhile").read_text()) == ("kept", "kept too")
        assert 20 * MIB < _fill(root) <= 32 * MIB
    assert _bounds(agent) == [32]


def test_a_bounded_snapshot_is_a_parent_as_any(agent: Agent, tmp_path: Path) -> None:
    _image(agent, tmp_path)
    with mounted(agent.call("Prepare", key="k", parent="image"), tmp_path / "mnt") as root:
        (root / "written").write_text("in the container")
    agent.call("Commit", name="committed", key="k")
    agent.kill()
    for place in mounted_below(agent.folder):
        subprocess.run(["umount", place], check=True)
    agent.start()
    with mounted(agent.call("Prepare", key="above", parent="committed"), tmp_path / "mnt") as root:
        assert (root / "written").read_text() == "in the container"
    assert _bounds(agent) == [64, 64]


def test_one_that_is_still_mounted_goes_with_the_last_who_uses_it(agent: Agent, tmp_path: Path) -> None:
    _image(agent, tmp_path)
    with mounted(agent.call("Prepare", key="k", parent="image"), tmp_path / "mnt") as root:
        (root / "file").write_text("x")
        agent.call("Remove", key="k")
        assert _bounds(agent) == []
        assert (root / "file").read_text() == "x"


@pytest.fixture(scope="module", params=VERSIONS, ids=[version.name for version in VERSIONS])
def node(request: pytest.FixtureRequest) -> Generator[Node]:
    with node_with_quota(request.param, "64M") as running:
        yield running


_FILLING = "busybox dd if=/dev/zero of=/large bs=1M count=100 2>&1; busybox rm /large; echo fits > /etc/file"


@pytest.mark.peer
@pytest.mark.parametrize("is_converted", [True, False])
def test_containers_that_containerd_starts(is_converted: bool, node: Node) -> None:
    name = node.image(f"bounded{int(is_converted)}", busybox())
    if is_converted:
        converted(name, node.agent.store)
    node.pull(name)
    assert "No space left on device" in node.run(name, "filling", _FILLING)
    # A line may come in pieces: busybox writes it so.
    said = node.run_in_pod(name, "", "/bin/busybox", "sh", "-c", "cd /; (busybox cat /dev/zero > large) 2>&1")
    assert "".join(said).endswith("No space left on device")
    options = ["run", "--rm", "--snapshotter", node.snapshotter, "--snapshotter-label", f"{QUOTA_LABEL}=128M"]
    said = node.peer.ctr("-n", "k8s.io", *options, name, "larger", "/bin/busybox", "sh", "-c", _FILLING)
    assert "No space left on device" not in said
    node.leave_nothing()
