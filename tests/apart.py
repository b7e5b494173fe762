"""Root tests in several processes of pytest-xdist, none of which meets what another one makes: `-p tests.apart`.

A worker has a network and mounts of its own, so namespaces, links, what the lab notes down, containers, and addresses
of loopback are its alone. A file's tests go to one worker (`--dist loadfile`), which starts what they need once; the
files that take longest go first (`--no-loadscope-reorder`), so that no worker is left alone with one at the end. Tests
marked `alone` measure time, or want all CPUs: they are for a run without workers (Makefile).
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
"""linux/sched.h."""
PLACES: Final = ("/run/netns", "/run/turnout", "/run/containerd", "/var/lib/turnout")
LONGEST_FIRST: Final = (
    "tests/guest/test_debian_kernel.py",
    "tests/mutation/test_mutants.py",
    "tests/differential/test_clusters.py",
    "tests/conformance/test_failing.py",
    "tests/conformance/test_damaged_journal.py",
    "tests/differential/test_storage.py",
    "tests/images/test_churn.py",
    "tests/root/storage/test_portals.py",
    "tests/root/mesh/test_envoy.py",
)
"""Files, by how long they take."""


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") and os.geteuid() == 0:
        _leave()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item], config: pytest.Config) -> None:
    """Behind what pytest itself does to their order."""
    turns = {file: turn for turn, file in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: turns.get(item.nodeid.partition("::")[0], len(turns)))


def _leave() -> None:
    """For namespaces of this thread's own; tests run in it, and what they start inherits them."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS | CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "a worker cannot have namespaces of its own")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    for place in PLACES:
        Path(place).mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "turnout-tests", place], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
