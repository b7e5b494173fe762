"""Two directories compared as file systems: every name, every attribute, every byte, and which names are one inode."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator
from stat import S_ISDIR, S_ISLNK, S_ISREG
from typing import Any

Facts = dict[str, Any]


def facts(root: os.PathLike[str]) -> dict[bytes, Facts]:
    """What is at each path; the root's own owner, mode and time are the unpacker's and left out."""
    start = os.fsencode(root)
    found: dict[bytes, Facts] = {}
    names_of: dict[tuple[int, int], list[bytes]] = defaultdict(list)
    for path in _paths(start):
        relative = path[len(start) + 1 :]
        state = os.lstat(path)
        found[relative] = _facts_of(path, state)
        if not S_ISDIR(state.st_mode):
            names_of[state.st_dev, state.st_ino].append(relative)
    for names in names_of.values():
        for name in names:
            found[name]["also"] = sorted(set(names) - {name})
    return found


def _paths(start: bytes) -> Iterator[bytes]:
    pending = [start]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                # Of directories that one layer has, overlayfs lists whiteouts as well, which are then not there.
                if not os.path.lexists(entry.path):
                    continue
                yield entry.path
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)


def _facts_of(path: bytes, state: os.stat_result) -> Facts:
    found: Facts = {
        "mode": oct(state.st_mode),
        "owner": (state.st_uid, state.st_gid),
        "device": state.st_rdev,
        "mtime_ns": state.st_mtime_ns,
        "xattrs": {name: os.getxattr(path, name, follow_symlinks=False) for name in _xattr_names(path)},
    }
    if S_ISLNK(state.st_mode):
        found["target"] = os.readlink(path)  # noqa: PTH115
    if S_ISREG(state.st_mode):
        found["size"] = state.st_size
        with open(path, "rb") as stream:  # noqa: PTH123  (names that are no text)
            found["sha256"] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def _xattr_names(path: bytes) -> list[str]:
    return sorted(os.listxattr(path, follow_symlinks=False))


def differences(expected: dict[bytes, Facts], found: dict[bytes, Facts], started_ns: int) -> list[str]:
    """In words. A directory that `expected` has dated from `started_ns` on got its time while it was unpacked."""
    lines = [f"{path!r} is missing" for path in sorted(expected.keys() - found.keys())]
    lines += [f"{path!r} should not be there" for path in sorted(found.keys() - expected.keys())]
    for path in sorted(expected.keys() & found.keys()):
        wanted, got = dict(expected[path]), dict(found[path])
        if wanted["mtime_ns"] >= started_ns and "size" not in wanted:
            del wanted["mtime_ns"], got["mtime_ns"]
        for name in sorted(wanted.keys() | got.keys()):
            if wanted.get(name) != got.get(name):
                lines.append(f"{path!r}: {name} is {got.get(name)!r}, should be {wanted.get(name)!r}")
    return lines
