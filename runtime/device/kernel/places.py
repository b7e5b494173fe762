"""Where pipelines are pinned: a folder of its own for each, with all its maps by their names.

The PROG_ARRAY keeps a pipeline's program and maps alive; the pins are for who comes after this process.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from pathlib import Path

from runtime.bpf.bpffs import remove_tree
from runtime.bpf.errors import BpfError, KernelRefusal
from runtime.bpf.maps import Map
from runtime.device.kernel.foreignpins import is_place, pinned_maps

LOG = logging.getLogger("turnout.device")
_PREFIX = "pipeline_"


class Places:
    """All pipelines' folders of a device. A place is the name of one; none is ever given twice."""

    def __init__(self, pins: Path) -> None:
        self._pins = pins
        self._last = max((int(name.removeprefix(_PREFIX)) for name in self._names()), default=0)

    def pin(self, maps: Mapping[str, Map]) -> str:
        """Keep maps under a new place. Raises `BpfError`, OSError."""
        self._last += 1
        place = f"{_PREFIX}{self._last}"
        folder = self._pins / place
        folder.mkdir(mode=0o700)
        try:
            for name, held in maps.items():
                held.pin(folder / name)
        except (BpfError, OSError):
            self.remove(place)
            raise
        return place

    def open(self, place: str) -> dict[str, Map]:
        """The maps that are there, none when nothing is. The caller closes them. Raises `BpfError`."""
        folder = self._pins / place
        if not place or not folder.is_dir():
            return {}
        with ExitStack() as undo:
            found: dict[str, Map] = {}
            for name, held in pinned_maps(folder):
                found[name] = held
                undo.callback(held.close)
            undo.pop_all()
        return found

    def remove(self, place: str) -> None:
        """Failures are said: what is left is removed with the next start."""
        try:
            remove_tree(self._pins / place)
        except (KernelRefusal, OSError) as problem:
            LOG.warning("the pins of %s cannot be removed: %s", place, problem)

    def keep_only(self, places: Collection[str]) -> None:
        for name in self._names():
            if name not in places:
                self.remove(name)

    def _names(self) -> list[str]:
        return [path.name for path in self._pins.iterdir() if is_place(path.name)]
