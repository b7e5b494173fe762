"""A snapshotter that dies at the n-th file it touches: the script that it works through, and how it dies."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from agents.storage.snapshotter import Snapshotter
from agents.storage.translate.limits import QUOTA_LABEL
from agents.storage.wire.snapshots import REF_LABEL, SnapshotExistsError

DIED, DONE = 9, 0
_EVENTS = ("open", "os.", "shutil.", "subprocess.Popen", "socket.connect", "sqlite3.connect")


def steps(snapshots: Snapshotter, lower: str, whole: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Every operation that changes something, ordinary snapshots and those of a converted image of two layers."""
    bounded = {QUOTA_LABEL: "16M"}
    yield "+p", lambda: snapshots.prepare("p", "", bounded)
    yield "-p +base", lambda: snapshots.commit("base", "p", {})
    yield "+q", lambda: snapshots.prepare("q", "base", {})
    yield f"+{lower}", lambda: _claimed(snapshots, lower, "")
    yield f"+{whole}", lambda: _claimed(snapshots, whole, lower)
    yield "+run", lambda: snapshots.prepare("run", whole, bounded)
    yield "+look", lambda: snapshots.view("look", whole, {})
    yield "-run", lambda: snapshots.remove("run")
    yield "-look", lambda: snapshots.remove("look")
    yield "+other", lambda: snapshots.prepare("other", lower, {})
    yield "-other +other layer", lambda: snapshots.commit("other layer", "other", {})
    yield "-other layer", lambda: snapshots.remove("other layer")
    yield f"-{whole}", lambda: snapshots.remove(whole)
    yield f"-{lower}", lambda: snapshots.remove(lower)
    yield "-q", lambda: snapshots.remove("q")
    yield "-base", lambda: snapshots.remove("base")


def _claimed(snapshots: Snapshotter, target: str, parent: str) -> None:
    try:
        snapshots.prepare(f"unpack {target}", parent, {REF_LABEL: target})
    except SnapshotExistsError:
        return
    raise AssertionError(f"{target} was not claimed")


def work(root: Path, store: Path, log: Path, chains: tuple[str, str], die_at: int) -> None:
    """Do all steps, and write down each that was acknowledged. Ends with DIED, at once, without any clean-up."""
    snapshots = Snapshotter(root, store)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    left = die_at

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event.startswith(_EVENTS) and _below(root, arguments):
            left -= 1
            if left == 0:
                os._exit(DIED)

    sys.addaudithook(hook)
    for name, step in steps(snapshots, *chains):
        step()
        os.write(descriptor, f"{name}\n".encode())
    os._exit(DONE)


def _below(root: Path, arguments: tuple[Any, ...]) -> bool:
    return str(root) in repr(arguments)


def after(changes: list[str]) -> set[str]:
    """Names of the snapshots that there are once the steps of these names have been done."""
    names: set[str] = set()
    for line in changes:
        for change in line.replace(" +", "\n+").split("\n"):
            (names.add if change[0] == "+" else names.discard)(change[1:])
    return names
