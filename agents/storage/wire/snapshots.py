"""What containerd says of snapshots, as values; and the refusals that its API knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

REF_LABEL: Final = "containerd.io/snapshot.ref"
"""At Prepare: the chain ID that the snapshot will be committed as, once the layer is unpacked into it."""
MAX_LABEL_BYTES: Final = 4096
"""Longest key and value of a label together."""


class Kind(IntEnum):
    VIEW = 1
    ACTIVE = 2
    COMMITTED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """`parent` is empty where there is none; times are nanoseconds since 1970."""

    name: str
    parent: str
    kind: Kind
    created_ns: int
    updated_ns: int
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a snapshot takes by itself, without its parents."""

    size_bytes: int = 0
    inodes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    type: str
    source: str
    options: tuple[str, ...]


class SnapshotError(Exception):
    """A refused call. Subclasses say which canonical code it has; the text names the snapshot."""


class UnknownSnapshotError(SnapshotError):
    """NOT_FOUND."""


class SnapshotExistsError(SnapshotError):
    """ALREADY_EXISTS: also how Prepare says that a layer need not be pulled."""


class InvalidSnapshotError(SnapshotError):
    """INVALID_ARGUMENT."""


class SnapshotStateError(SnapshotError):
    """FAILED_PRECONDITION: another kind is needed, or children are in the way."""


class SnapshotContentError(SnapshotError):
    """UNAVAILABLE: what is in it cannot be had at present."""
