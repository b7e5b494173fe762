"""What a storage daemon is asked for, and what it is asked for instead where it cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from agents.storage.io.localcopies import LocalCopy
from agents.storage.io.qmp import Qmp
from agents.storage.io.storagedaemon import add, file_node
from agents.storage.wire.errors import ImageError

EXPORT = {"type": "nbd", "name": "volume"}


class Daemon:
    """One that takes everything but what `refused` is in, which it says."""

    def __init__(self, refused: str) -> None:
        self._refused = refused
        self.taken: list[tuple[str, dict[str, Any]]] = []

    def execute(self, command: str, arguments: dict[str, Any] | None = None) -> object:
        if self._refused and self._refused in json.dumps(arguments):
            raise ImageError(f"Unable to use linux io_uring, or so: {self._refused}")
        if command.startswith("query-"):
            return []
        self.taken.append((command, arguments or {}))
        return {}


def _added(daemon: Daemon, node: dict[str, Any]) -> dict[str, Any]:
    add(cast("Qmp", daemon), "volume", node, EXPORT)
    assert [command for command, _ in daemon.taken] == ["blockdev-add", "block-export-add"]
    return daemon.taken[0][1]


def test_files_are_read_by_io_uring() -> None:
    node = _added(Daemon(""), file_node(Path("/v")))
    assert node == {"node-name": "volume", "driver": "file", "filename": "/v", "aio": "io_uring"}


def test_without_it_by_threads() -> None:
    copy = LocalCopy(list=Path("/l"), data=Path("/d")).node({"driver": "nbd", "export": "x"})
    node = _added(Daemon("io_uring"), copy)
    lazily = {"no-flush": True}
    assert node == {
        "node-name": "volume",
        "driver": "qcow2",
        "file": {"driver": "file", "filename": "/l", "cache": lazily},
        "data-file": {"driver": "file", "filename": "/d", "cache": lazily},
        "backing": {"driver": "nbd", "export": "x"},
    }


def test_what_else_is_refused_is_not_asked_for_again() -> None:
    with pytest.raises(ImageError, match="/nowhere"):
        add(cast("Qmp", Daemon("/nowhere")), "volume", {"driver": "file", "filename": "/nowhere"}, EXPORT)
