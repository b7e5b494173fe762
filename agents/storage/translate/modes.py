"""What an image's layers become: one file system (`erofs`), or folders side by side on one (`overlayfs`).

Modes are those of ImageConversion (docs/policies.md) that this can make.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agents.storage.translate.overlaying import overlaid, side_by_side
from agents.storage.translate.tree import Node

MANY: Final = sys.maxsize


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """`role` is what the volume is to the image, `tree` what is on it. `way` is part of every volume's recipe: another
    one when the same layers would give other bytes."""

    name: str
    role: str
    way: str
    tree: Callable[[Iterable[Node]], Node]
    most_layers: int

    def recipe(self, diff_ids: Sequence[str]) -> str:
        """What a volume is made from: the layers' bytes, in order, and the way they are written."""
        return hashlib.sha256("\n".join((self.way, *diff_ids)).encode()).hexdigest()


EROFS: Final = Mode(name="erofs", role="root", way="erofs merged 1", tree=overlaid, most_layers=MANY)
OVERLAYFS: Final = Mode(name="overlayfs", role="layers", way="erofs layers 1", tree=side_by_side, most_layers=499)
"""overlayfs takes 500 folders (fs/overlayfs/super.c of Linux), one of which is the empty one."""
MODES: Final[Mapping[str, Mode]] = {mode.name: mode for mode in (EROFS, OVERLAYFS)}
