"""Places between two steps where a device can be made to die, by name: what a kill there leaves is tried for each.

TURNOUT_FAIL_POINT names a file. As soon as that file is there and holds the name of a place, the process ends itself by
SIGKILL when it next gets there; tests write the file once all that comes before is done. A process that was started
without the variable looks at nothing: `reached` is then a function with an empty body.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

VARIABLE = "TURNOUT_FAIL_POINT"


class Point(StrEnum):
    """In the order of a device's work."""

    INTENT = "write.intent"
    """What is asked for is in the journal, nothing else has happened."""
    UNDONE = "write.undone"
    """A batch that is all or nothing has failed and is taken back."""
    STAGED = "sides.staged"
    """The side that no packet reads holds the batch."""
    TURNED = "sides.turned"
    """Packets that begin now read that side."""
    LEFT = "sides.left"
    """No packet reads the other one any more, and it is as it was."""
    ALIKE = "sides.alike"
    """Both hold the same again."""
    APPLIED = "write.applied"
    """All is done, and the journal does not say so yet."""
    CONCLUDED = "write.concluded"
    """It says so, and the client has not heard."""
    SNAPSHOT_BEGUN = "snapshot.begun"
    """A new log and an empty snapshot."""
    SNAPSHOT_PIECE = "snapshot.piece"
    """Some of the contents are in the snapshot."""
    SNAPSHOT_WHOLE = "snapshot.whole"
    """All of them, under the name of one that is not whole."""
    SNAPSHOT_NAMED = "snapshot.named"
    """It counts, and what it makes unneeded is still there."""
    LOADED = "config.loaded"
    """A pipeline is in the target, and the journal knows nothing of it."""
    CONFIG_INTENT = "config.intent"
    """The journal says what is to become of it."""
    ACTIVATED = "config.activated"
    """Packets pass it, and the ones before it are all there."""
    READING = "config.reading"
    """Packets pass a program that looks into a store of another layout; nothing has been brought over by the device."""
    BRINGING = "config.bringing"
    """Some of the learned entries have been brought over from a store of another layout."""
    RELEASED = "config.released"
    """They are gone, and the journal does not say so yet."""
    CONFIG_CONCLUDED = "config.concluded"
    """It says so, and the client has not heard."""
    REPLAYING = "start.replaying"
    """A device that starts again has gone through a part of its journal."""
    TAKEN_OVER = "start.taken-over"
    """A device that starts again has loaded its pipeline once more, and has filled nothing."""
    ADOPTED = "start.adopted"
    """It has filled it; packets still pass what was there."""
    STARTED = "start.activated"
    """Packets pass it, and what an earlier process left is not tidied up."""


def _nothing(point: Point) -> None:
    del point


def _dying(path: Path) -> Callable[[Point], None]:
    def reached(point: Point) -> None:
        if path.exists() and path.read_text().strip() == point:
            os.kill(os.getpid(), signal.SIGKILL)

    return reached


def _chosen() -> Callable[[Point], None]:
    path = os.environ.get(VARIABLE)
    return _dying(Path(path)) if path else _nothing


reached: Callable[[Point], None] = _chosen()
"""The process is at a place."""
