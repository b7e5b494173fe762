"""Images that are too much, and disks that are full at other steps than those of a conversion in mode erofs."""

from __future__ import annotations

import errno
import random
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agents.storage.io import trees
from agents.storage.io.housekeeping import collect, faults
from agents.storage.io.store import Store
from agents.storage.translate.applying import Budget
from agents.storage.translate.modes import BLOCK, OVERLAYFS, Mode
from agents.storage.wire.errors import ImageError
from tests.images.agent import Agent, Refused, running_agent
from tests.images.archives import LayoutWriter, Tar
from tests.images.conversions import converted


def _layout(folder: Path, *layers: bytes) -> Path:
    writer = LayoutWriter(folder)
    writer.image(layers)
    return writer.write()


def _left(store: Path) -> list[str]:
    return sorted(path.name for part in ("layers", "volumes") for path in (store / part).iterdir())


@contextmanager
def _small_disk(folder: Path, size_kib: int) -> Generator[None]:
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_an_image_of_too_many_files_is_refused_and_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted over all layers; the limit is a smaller one here, where it is 2,000,000."""
    monkeypatch.setattr(trees, "Budget", lambda: Budget(nodes=3000))
    tars = [Tar(), Tar()]
    for tar, first in zip(tars, (0, 2000), strict=True):
        for number in range(first, first + 2000):
            tar.add(f"f{number}")
    layout, store = _layout(tmp_path / "layout", *(tar.finished() for tar in tars)), tmp_path / "store"
    with pytest.raises(ImageError, match=r"entry 'f3000': the image has more than 3000 files and folders$"):
        converted(layout, store)
    opened = Store(store)
    assert opened.images() == ()
    collect(opened)
    opened.close()
    assert _left(store) == []


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.parametrize("size_kib", [200, 3_500, 9_500, 12_000])
@pytest.mark.parametrize("mode", [OVERLAYFS, BLOCK], ids=lambda mode: mode.name)
def test_a_full_disk_is_said_and_leaves_nothing(mode: Mode, size_kib: int, tmp_path: Path) -> None:
    parts = [Tar().add(f"part{n}", data=random.Random(n).randbytes(3_000_000)).finished() for n in range(3)]
    layout, store = _layout(tmp_path / "layout", *parts), tmp_path / "store"
    with _small_disk(store, size_kib):
        with pytest.raises(ImageError, match=r"No space left on device|the volume takes \d+ bytes; \d+ are free"):
            converted(layout, store, mode=mode)
        opened = Store(store)
        assert (list(faults(opened)), opened.images()) == ([], ())
        collect(opened)
        opened.close()
        assert _left(store) == []


@pytest.mark.root
@pytest.mark.slow
def test_snapshots_on_a_full_disk_are_refused_and_nothing_stays() -> None:
    """Until there is room again: then all goes on as before."""
    with tempfile.TemporaryDirectory(prefix="full-") as name:
        folder = Path(name)
        with _small_disk(folder, 16_384), running_agent(folder) as agent:
            agent.call("Prepare", key="before")
            room = folder / "room"
            _fill(room)
            assert _refusal(agent) == "UNAVAILABLE"
            made = [key for key in agent.names() if key != "before"]
            room.unlink()
            agent.call("Prepare", key="after")
            for key in ("before", "after", *made):
                agent.call("Remove", key=key)
            agent.call("Cleanup")
            assert agent.left() == []


def _fill(room: Path) -> None:
    with room.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(1 << 16))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def _refusal(agent: Agent) -> str:
    """The code of the first Prepare that is refused; what is small may still be made."""
    for number in range(1000):
        try:
            agent.call("Prepare", key=f"more{number}")
        except Refused as refused:
            return refused.code
    return "nothing was refused"
