"""Root tests in several processes of pytest-xdist, none of which meets what another one makes: `-p tests.apart`.

A worker has a network and mounts of its own, so namespaces, links, what the lab notes down, and addresses of loopback
are its alone. What cannot be had twice (loop devices, a cluster's control plane) is a group, and groups stay in one
worker. Tests marked `alone` measure time, or want all CPUs: they are for a run without workers (Makefile).
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path, PurePath
from typing import Final

import pytest

from runtime.bpf.namespaces import CLONE_NEWNET

CLONE_NEWNS = 0x00020000
"""linux/sched.h."""
PLACES: Final = ("/run/netns", "/run/turnout", "/var/lib/turnout")
TOGETHER: Final = ("tests/images", "tests/peers", "tests/root/lab")
"""Folders whose tests share what they start, or look at what the whole machine has."""


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") and os.geteuid() == 0:
        _leave()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item], config: pytest.Config) -> None:
    """Tests of a file stay together: it starts what they need once."""
    for item in items:
        file = item.path.relative_to(config.rootpath)
        item.add_marker(pytest.mark.xdist_group(_group(file)))


def _group(file: PurePath) -> str:
    return next((folder for folder in TOGETHER if file.is_relative_to(folder)), str(file))


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
