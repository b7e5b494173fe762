"""What an image's layers become: one file system (`erofs`), folders side by side on one (`overlayfs`), or a disk that
containers write to clones of (`block`).

Modes are those of ImageConversion (docs/policies.md) that this can make.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from agents.storage.translate import erofs, ext4
from agents.storage.translate.contents import FileSystemImage
from agents.storage.translate.overlaying import changes, overlaid, side_by_side
from agents.storage.translate.tree import Node

MANY: Final = sys.maxsize


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """`role` is what the volume is to the image, `tree` what is on it, `plan` where that lies, given 16 bytes of UUID.
    `way` is part of every volume's recipe: another one when the same layers would give other bytes."""

    name: str
    role: str
    way: str
    tree: Callable[[Iterable[Node]], Node]
    plan: Callable[[Node, bytes], FileSystemImage] = erofs.plan
    most_layers: int = MANY
    is_disk: bool = False
    is_compressed: bool = False
    is_divided: bool = False
    """Layers that other images have as well may be volumes of their own."""

    def recipe(self, diff_ids: Sequence[str]) -> str:
        """What a volume is made from: the layers' bytes, in order, and the way they are written."""
        return hashlib.sha256("\n".join((self.way, *diff_ids)).encode()).hexdigest()

    def part(self, start: int) -> Mode:
        """What the layers from number `start` on become where those below have a volume of their own."""
        if start == 0:
            return self
        mode = _CHANGES.compressed() if self.is_compressed else _CHANGES
        return replace(mode, way=f"{mode.way}, from {start}")

    def sized(self, gib: int) -> Mode:
        """A disk of another size."""
        return replace(self, way=f"{self.way}, {gib} GiB", plan=partial(ext4.plan, size_gib=gib))

    def compressed(self) -> Mode:
        """With the files of a volume compressed; not of a disk."""
        assert not self.is_disk
        return replace(self, way=f"{self.way}, lz4", plan=partial(erofs.plan, compresses=True), is_compressed=True)


EROFS: Final = Mode(name="erofs", role="root", way="erofs merged 1", tree=overlaid, is_divided=True)
_CHANGES: Final = Mode(name="erofs", role="changes", way="erofs changes 1", tree=changes)
OVERLAYFS: Final = Mode(name="overlayfs", role="layers", way="erofs layers 1", tree=side_by_side, most_layers=499)
"""overlayfs takes 500 folders (fs/overlayfs/super.c of Linux), one of which is the empty one."""
BLOCK: Final = Mode(name="block", role="disk", way="ext4 1", tree=overlaid, plan=ext4.plan, is_disk=True)
MODES: Final[Mapping[str, Mode]] = {mode.name: mode for mode in (EROFS, OVERLAYFS, BLOCK)}


def is_compressed(mode: str, recipe: str, diff_ids: Sequence[str]) -> bool:
    """Whether the volume of an image's lowest layers, these, was made by `recipe` with its files compressed."""
    made = MODES[mode]
    return not made.is_disk and made.compressed().recipe(diff_ids) == recipe
