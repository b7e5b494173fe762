"""The snapshots API as containerd documents it: kinds, parents, labels, mounts, refusals; without containerd."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.images.agent import Agent, Refused, mounted, mounted_below, running_agent

pytestmark = [pytest.mark.root, pytest.mark.slow]
ACTIVE, COMMITTED, VIEW = 2, 3, 1


@pytest.fixture(scope="module")
def agent() -> Generator[Agent]:
    with tempfile.TemporaryDirectory(prefix="snap-") as folder, running_agent(Path(folder)) as running:
        yield running


@pytest.fixture(autouse=True)
def empty(agent: Agent) -> Generator[None]:
    """Nothing is left of a test's snapshots once they are removed: children first."""
    yield
    while names := agent.names():
        parents = {info.parent for info in agent.infos()}
        for name in names:
            if name not in parents:
                agent.call("Remove", key=name)
    assert agent.left() == []
    assert mounted_below(agent.folder) == []


def _layer(agent: Agent, tmp_path: Path, name: str, parent: str, **files: str) -> None:
    mounts = agent.call("Prepare", key=f"prepare {name}", parent=parent)
    with mounted(mounts, tmp_path / "mnt") as root:
        for file, text in files.items():
            (root / file).write_text(text)
    agent.call("Commit", name=name, key=f"prepare {name}")


def _refused(agent: Agent, method: str, **fields: str) -> tuple[str, str]:
    with pytest.raises(Refused) as refused:
        agent.call(method, **fields)
    return refused.value.code, refused.value.text


def test_layers_lie_on_one_another(agent: Agent, tmp_path: Path) -> None:
    _layer(agent, tmp_path, "a", "", one="1", two="2")
    with mounted(agent.call("Prepare", key="next", parent="a"), tmp_path / "mnt") as root:
        (root / "one").unlink()
        (root / "two").write_text("changed")
        (root / "two").rename(root / "moved")
        (root / "deep").mkdir()
    agent.call("Commit", name="b", key="next")
    with mounted(agent.call("View", key="look", parent="b"), tmp_path / "mnt") as root:
        assert sorted(path.name for path in root.iterdir()) == ["deep", "moved"]
        assert (root / "moved").read_text() == "changed"
        with pytest.raises(OSError, match="Read-only file system"):
            (root / "new").touch()
    with mounted(agent.call("View", key="look at a", parent="a"), tmp_path / "mnt") as root:
        assert sorted(path.name for path in root.iterdir()) == ["one", "two"]
        with pytest.raises(OSError, match="Read-only file system"):
            (root / "new").touch()


def test_mounts_are_those_of_containerds_overlay(agent: Agent, tmp_path: Path) -> None:
    first = agent.call("Prepare", key="first", parent="").mounts
    assert [(mount.type, list(mount.options)) for mount in first] == [("bind", ["rw", "rbind"])]
    base = first[0].source
    agent.call("Commit", name="a", key="first")
    assert agent.call("View", key="empty", parent="").mounts[0].options == ["ro", "rbind"]
    (view,) = agent.call("View", key="look", parent="a").mounts
    assert (view.type, view.source, list(view.options)) == ("bind", base, ["ro", "rbind"])
    (second,) = agent.call("Prepare", key="second", parent="a").mounts
    own = second.options[-2].removeprefix("upperdir=").removesuffix("/fs")
    assert (second.type, second.source) == ("overlay", "overlay")
    assert [option for option in second.options if option != "index=off"] == [
        f"workdir={own}/work",
        f"upperdir={own}/fs",
        f"lowerdir={base}",
    ]
    assert list(agent.call("Mounts", key="second").mounts) == [second]
    agent.call("Commit", name="b", key="second")
    (both,) = agent.call("View", key="look again", parent="b").mounts
    assert [option for option in both.options if option != "index=off"] == [f"lowerdir={own}/fs:{base}"]


def test_kinds_parents_and_times(agent: Agent, tmp_path: Path) -> None:
    _layer(agent, tmp_path, "a", "")
    agent.call("Prepare", key="active", parent="a", labels={"x": "1", "none": ""})
    agent.call("View", key="view", parent="a")
    infos = {info.name: info for info in agent.infos()}
    assert {name: (info.kind, info.parent) for name, info in infos.items()} == {
        "a": (COMMITTED, ""),
        "active": (ACTIVE, "a"),
        "view": (VIEW, "a"),
    }
    assert infos["active"] == agent.call("Stat", key="active").info
    assert dict(infos["active"].labels) == {"x": "1"}
    assert infos["a"].created_at.seconds <= infos["active"].created_at.seconds


def test_the_root_belongs_to_whom_the_parents_root_belongs(agent: Agent, tmp_path: Path) -> None:
    with mounted(agent.call("Prepare", key="p", parent=""), tmp_path / "mnt") as root:
        shutil.chown(root, 1234, 2345)
    agent.call("Commit", name="a", key="p")
    with mounted(agent.call("Prepare", key="q", parent="a"), tmp_path / "mnt") as root:
        assert (root.stat().st_uid, root.stat().st_gid, root.stat().st_mode & 0o7777) == (1234, 2345, 0o755)


def test_labels_change_by_mask(agent: Agent) -> None:
    agent.call("Prepare", key="k", parent="", labels={"a": "1", "b": "2"})

    def update(labels: dict[str, str], *paths: str) -> dict[str, str]:
        fields = {"info": {"name": "k", "labels": labels}, "update_mask": {"paths": paths}}
        return dict(agent.call("Update", **fields).info.labels)

    assert update({"a": "3", "c": "4"}, "labels.a") == {"a": "3", "b": "2"}
    assert update({"x.y/z": "5"}, "labels.x.y/z", "labels.b") == {"a": "3", "x.y/z": "5"}
    assert update({"d": "6"}, "labels") == {"d": "6"}
    assert update({"e": "7"}) == {"e": "7"}
    assert dict(agent.call("Stat", key="k").info.labels) == {"e": "7"}
    with pytest.raises(Refused) as refused:
        update({}, "parent")
    assert refused.value.args == (
        "INVALID_ARGUMENT",
        "cannot update field 'parent' of snapshot k; only its labels change",
    )


def test_what_is_refused(agent: Agent, tmp_path: Path) -> None:
    _layer(agent, tmp_path, "a", "")
    agent.call("Prepare", key="active", parent="a")
    agent.call("View", key="view", parent="a")
    missing = ("NOT_FOUND", "snapshot none does not exist")
    for method in ("Stat", "Mounts", "Remove", "Usage"):
        assert _refused(agent, method, key="none") == missing
    assert _refused(agent, "Prepare", key="x", parent="none") == missing
    assert _refused(agent, "Commit", name="x", key="none") == missing
    assert _refused(agent, "Prepare", key="active", parent="a") == ("ALREADY_EXISTS", "snapshot active exists")
    assert _refused(agent, "View", key="active", parent="a") == ("ALREADY_EXISTS", "snapshot active exists")
    assert _refused(agent, "Commit", name="a", key="active") == ("ALREADY_EXISTS", "snapshot a exists")
    assert _refused(agent, "Prepare", key="", parent="") == ("INVALID_ARGUMENT", "a snapshot needs a key")
    assert _refused(agent, "Prepare", key="x", parent="active") == (
        "INVALID_ARGUMENT",
        "parent active is active, not committed",
    )
    assert _refused(agent, "Commit", name="x", key="view") == (
        "FAILED_PRECONDITION",
        "snapshot view is view, not active",
    )
    assert _refused(agent, "Mounts", key="a") == (
        "FAILED_PRECONDITION",
        "snapshot a is committed; only active ones and views have mounts",
    )
    assert _refused(agent, "Remove", key="a") == (
        "FAILED_PRECONDITION",
        "cannot remove snapshot a: others have it as parent",
    )
    with pytest.raises(Refused) as refused:
        agent.call("Prepare", key="x", parent="", labels={"long": "v" * 4093})
    assert refused.value.args == ("INVALID_ARGUMENT", "label long takes 4097 bytes with its value, more than 4096")
    assert agent.names() == ["a", "active", "view"]


def test_usage_counts_inodes_once(agent: Agent, tmp_path: Path) -> None:
    with mounted(agent.call("Prepare", key="k", parent=""), tmp_path / "mnt") as root:
        (root / "file").write_bytes(bytes(range(256)) * 256)
        (root / "link").hardlink_to(root / "file")
        (root / "folder").mkdir()
    usage = agent.call("Usage", key="k")
    assert usage.inodes == 3  # the root, the file, the folder
    assert usage.size >= 65536
    agent.call("Commit", name="a", key="k")
    assert agent.call("Usage", key="a") == usage
    agent.call("View", key="v", parent="a")
    assert (agent.call("Usage", key="v").size, agent.call("Usage", key="v").inodes) == (0, 0)


def test_folders_deeper_than_a_path_can_say(agent: Agent, tmp_path: Path) -> None:
    deep = "import os\nfor _ in range(2200):\n    os.mkdir('d')\n    os.chdir('d')"
    with mounted(agent.call("Prepare", key="k", parent=""), tmp_path / "mnt") as root:
        subprocess.run([sys.executable, "-c", deep], check=True, cwd=root)
    assert agent.call("Usage", key="k").inodes > 1500
    agent.call("Commit", name="a", key="k")
    agent.call("Remove", key="a")


def test_lists_are_filtered(agent: Agent, tmp_path: Path) -> None:
    _layer(agent, tmp_path, "a", "")
    agent.call("Prepare", key='odd "name"', parent="a", labels={"a.b": "x"})
    agent.call("View", key="v", parent="a")
    assert agent.names("kind==active") == ['odd "name"']
    assert agent.names("kind==view", 'labels."a.b"==x') == ['odd "name"', "v"]
    assert agent.names("parent==a,kind!=view") == ['odd "name"']
    with pytest.raises(Refused) as refused:
        agent.names("kind=active")
    assert refused.value.args == ("INVALID_ARGUMENT", "filter 'kind=active', column 5: expected ==, != or ~=")


def test_a_second_agent_stays_away(agent: Agent) -> None:
    done = subprocess.run(agent.command(agent.folder / "second.sock"), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        f"turnout: error: {agent.root}/lock: another agent has these snapshots\n",
    )
