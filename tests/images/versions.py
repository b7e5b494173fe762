"""The containerds that tests run, Debian's and those of tests/peers/build, and what docs/containerd.md says of them."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.peers.programs import place_of

_REPOSITORY: Final = Path(__file__).parents[2]
_DOCUMENT: Final = _REPOSITORY / "docs" / "containerd.md"
_PATHS: Final = {"socket": "/run/turnout/snapshots.sock", "cache": "/var/lib/turnout/layers"}
"""What stands in the document, by who it belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """`config` is the version of its configuration. `peer` is what tests/peers/build knows it by; None is Debian's."""

    name: str
    config: int
    peer: str | None


DEBIAN: Final = Version(name="1.6", config=2, peer=None)
ONE: Final = Version(name="1.7", config=2, peer="containerd17")
TWO: Final = Version(name="2.x", config=3, peer="containerd2")
VERSIONS: Final = (DEBIAN, ONE, TWO)


@cache
def search_path(version: Version) -> str:
    """A PATH on which containerd, ctr and the shim are those of the version. Skips the test where they are missing."""
    path = os.environ["PATH"]
    if version.peer is None:
        if shutil.which("containerd") is None:
            pytest.skip("containerd is not installed; ./setup installs it")
        return path
    return f"{peer_folder(version.peer)}:{path}"


@cache
def peer_folder(peer: str) -> Path:
    """Where tests/peers/build has put a peer's programs. Skips the test where they are missing."""
    place = place_of(peer)
    if not place.is_dir():
        pytest.skip(f"{peer} is not built; make peers builds it")
    return place


def documented(heading: str, **replaced: Path) -> str:
    """The configuration under a heading of docs/containerd.md, its `socket` and `cache` replaced."""
    _, found, rest = _DOCUMENT.read_text().partition(f"\n## {heading}\n")
    assert found, f"{_DOCUMENT} has no '{heading}'"
    block = rest.partition("\n## ")[0].partition("```toml\n")[2].partition("```\n")[0]
    for name, path in replaced.items():
        assert _PATHS[name] in block, (heading, name)
        block = block.replace(_PATHS[name], str(path))
    return block
