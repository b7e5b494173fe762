"""Calls for snapshots do not wait for what others do with volumes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from agents.storage import conversion
from agents.storage.snapshotter import Snapshotter
from agents.storage.wire.errors import ImageError
from agents.storage.wire.snapshots import REF_LABEL, SnapshotContentError, SnapshotExistsError
from tests.images.archives import LayoutWriter, Tar, digest
from tests.images.containerd import chain_id
from tests.images.conversions import converted

LAYERS = [Tar().add(name, data=name.encode()).finished() for name in ("one", "two")]
LOWER, WHOLE = (chain_id([digest(layer) for layer in LAYERS[:count]]) for count in (1, 2))
_WAIT_S = 30


@pytest.mark.root
def test_nobody_waits_while_layers_are_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a chain ID of a converted image, that another image goes on from: that alone takes its time."""
    layout = LayoutWriter(tmp_path / "layout")
    layout.image(LAYERS)
    converted(layout.write(), tmp_path / "store")
    began, may_end = Event(), Event()

    def fetch(*_: Any) -> None:
        began.set()
        assert may_end.wait(_WAIT_S)
        raise ImageError("the registry is slow")

    monkeypatch.setattr(conversion, "write_layers", fetch)
    snapshots = Snapshotter(tmp_path / "root", tmp_path / "store")
    for key, parent, chain in (("k1", "", LOWER), ("k2", LOWER, WHOLE)):
        with pytest.raises(SnapshotExistsError):
            snapshots.prepare(key, parent, {REF_LABEL: chain})
    snapshots.prepare("unpacking", "", {})
    snapshots.commit("base", "unpacking", {})
    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(snapshots.prepare, "slow", LOWER, {})
        assert began.wait(_WAIT_S)
        other = threads.submit(snapshots.prepare, "other", "base", {})
        try:
            assert other.result(_WAIT_S / 3)[0].type == "overlay"
        finally:
            may_end.set()
        with pytest.raises(SnapshotContentError, match="the registry is slow"):
            slow.result(_WAIT_S)
    snapshots.close()
