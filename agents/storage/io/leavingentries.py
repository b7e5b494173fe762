"""Takes away entries of a layer cache that neither an image of the store has, nor a snapshot of containerd.

    FOLDER/sha256/AB/ABCD....erofs    an entry
    FOLDER/work/leaving/              entries that containerd finds no more, and that are gone at the next look

containerd looks for an entry, and only later names it by a label. One that came between our question and the removal
would have lost its file; so an entry is moved aside first, and moved back when it is named after all.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from contextlib import suppress
from pathlib import Path

from agents.storage.io.volumefiles import SUFFIX


class LeavingEntries:
    """`named` asks containerd for the file names of the entries that it has; when it raises ImageError, nothing is
    done."""

    def __init__(self, folder: Path, named: Callable[[], Set[str]]) -> None:
        self._folder, self._aside, self._named = folder, folder / "work" / "leaving", named
        self._aside.mkdir(parents=True, exist_ok=True, mode=0o700)

    def look(self, needed: Set[str]) -> None:
        """`needed` are the diff IDs of all images that there are."""
        for path in self._leaving():
            if self._diff_id(path) in needed:
                self._put_back(path)
        unneeded = [path for path in self._folder.glob(f"sha*/*/*{SUFFIX}") if self._diff_id(path) not in needed]
        leaving = self._leaving()
        if unneeded or leaving:
            self._sort(unneeded, leaving, self._named())

    def _sort(self, unneeded: list[Path], leaving: list[Path], named: Set[str]) -> None:
        for path in leaving:
            if self._entry(path).name in named:
                self._put_back(path)
            else:
                path.unlink()
        for path in unneeded:
            if path.name not in named:
                path.rename(self._aside / f"{path.parent.parent.name}:{path.name}")
                with suppress(OSError):
                    path.parent.rmdir()  # unless there are others

    def _leaving(self) -> list[Path]:
        return sorted(self._aside.iterdir())

    def _put_back(self, path: Path) -> None:
        entry = self._entry(path)
        entry.parent.mkdir(parents=True, exist_ok=True)
        path.rename(entry)

    def _entry(self, path: Path) -> Path:
        algorithm, _, name = path.name.partition(":")
        return self._folder / algorithm / name[:2] / name

    def _diff_id(self, path: Path) -> str:
        """Of an entry, or of one that leaves."""
        algorithm, _, name = path.name.rpartition(":")
        return f"{algorithm or path.parent.parent.name}:{name.removesuffix(SUFFIX)}"
