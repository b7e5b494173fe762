"""Files of a store that no row names, and volumes that are not what their name says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agents.storage.io.store import Store
from agents.storage.io.volumefiles import DISK_SUFFIX, find_volume, remote_volume, trace_path, volume_paths

_PIECE: Final = 1 << 20


def collect(store: Store) -> tuple[Path, ...]:
    """Remove volumes without an image and what stopped conversions have left; returns what was removed."""
    with store.alone():
        digests = store.drop_unused()
        kept = {path for digest in digests for path in volume_paths(store.folder, digest)}
        kept |= {trace_path(store.folder, digest) for digest in digests}
        files = [*(store.folder / "volumes").iterdir(), *(store.folder / "layers").iterdir()]
        waste = tuple(sorted(path for path in files if path not in kept))
        for path in waste:
            path.unlink()
    return waste


def faults(store: Store) -> Iterator[str]:
    """Every volume that is missing, or whose bytes have another digest than its name, in words. What is on another node
    is for that node to look at."""
    for digest, size in store.volume_sizes():
        path = find_volume(store.folder, digest)
        if not path.exists():
            yield f"{path} is missing"
        elif remote_volume(path) is None and _digest(path, size) != digest:
            yield f"{path} has other bytes than when it was written"


def _digest(path: Path, size: int) -> str:
    """Of the first `size` bytes: behind them a disk is empty. One byte more where a volume ends there."""
    digest = hashlib.sha256()
    left = size if path.suffix == DISK_SUFFIX else size + 1
    with path.open("rb") as stream:
        while data := stream.read(min(_PIECE, left)):
            digest.update(data)
            left -= len(data)
    return f"sha256:{digest.hexdigest()}"
