"""What leaves a layer cache, and what comes back; and what is said when containerd cannot be asked."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from agents.storage.io.containerdsnapshots import labelled
from agents.storage.io.leavingentries import LeavingEntries
from agents.storage.wire.errors import ImageError
from cli.storageagent import storage

DIFF_ID = f"sha256:{'ab' * 32}"


class Cache:
    def __init__(self, folder: Path) -> None:
        self.named: set[str] = set()
        self.asked = 0
        self.entry = folder / "sha256" / "ab" / f"{'ab' * 32}.erofs"
        self.entry.parent.mkdir(parents=True)
        self.entry.write_bytes(b"layer")
        self.aside = folder / "work" / "leaving"
        self.leaving = LeavingEntries(folder, self._names)

    def _names(self) -> set[str]:
        self.asked += 1
        return self.named


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path)


def test_what_an_image_has_stays_and_nobody_is_asked(cache: Cache) -> None:
    cache.leaving.look({DIFF_ID})
    assert (cache.entry.exists(), cache.asked) == (True, 0)


def test_what_containerd_has_stays(cache: Cache) -> None:
    cache.named.add(cache.entry.name)
    cache.leaving.look(set())
    assert (cache.entry.exists(), cache.asked) == (True, 1)


def test_what_nobody_has_goes_at_the_second_look(cache: Cache) -> None:
    cache.leaving.look(set())
    assert not cache.entry.parent.exists()
    assert [path.name for path in cache.aside.iterdir()] == [f"{DIFF_ID}.erofs"]
    cache.leaving.look(set())
    assert list(cache.aside.iterdir()) == []
    cache.leaving.look(set())
    assert cache.asked == 2


def test_what_containerd_has_come_upon_comes_back(cache: Cache) -> None:
    cache.leaving.look(set())
    cache.named.add(cache.entry.name)
    cache.leaving.look(set())
    assert cache.entry.read_bytes() == b"layer"


def test_what_is_converted_again_comes_back(cache: Cache) -> None:
    cache.leaving.look(set())
    cache.leaving.look({DIFF_ID})
    assert cache.entry.read_bytes() == b"layer"
    assert list(cache.aside.iterdir()) == []


def test_what_is_being_written_is_no_entry(cache: Cache) -> None:
    written = cache.aside.parent / "volumes" / "x.erofs"
    written.parent.mkdir()
    written.touch()
    cache.leaving.look({DIFF_ID})
    assert written.exists()


def test_a_containerd_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=f"^containerd at {tmp_path}/none.sock: "):
        labelled(tmp_path / "none.sock", "erofs", "label")


def test_without_a_layer_cache_containerd_is_not_asked(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match=r"^--containerd says what may leave the folder of --layer-cache; "):
        storage(containerd=tmp_path / "c.sock")
