"""How much a container may write: what a label of its snapshot says, else what the agent was started with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from agents.storage.wire.snapshots import REF_LABEL, InvalidSnapshotError

QUOTA_LABEL: Final = "containerd.io/snapshot/disk_quota"
"""As containerd's overlaybd and quota snapshotters have it: a size, such as 10g."""
LEAST_BYTES: Final = 16 << 20
MOST_BYTES: Final = 16 << 40
_SIZE: Final = re.compile(r"([0-9]{1,18})(?:([kmgt])(?:i?b)?|b)?", re.IGNORECASE)
_POWERS: Final = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_UNPACKING: Final = "extract-"
"""How keys begin under which containerd unpacks layers; those of a namespace come behind `NAMESPACE/NUMBER/`."""


def limit_of(key: str, parent: str, labels: Mapping[str, str], default_bytes: int | None) -> int | None:
    """Bytes that an active snapshot may take, None where nothing bounds it. The default is for containers: layers
    that are unpacked, and what lies on no image, are bounded by a label alone. Raises InvalidSnapshotError."""
    said = labels.get(QUOTA_LABEL)
    if said:
        try:
            return parse_size(said)
        except ValueError as error:
            raise InvalidSnapshotError(f"snapshot {key}: label {QUOTA_LABEL}: {error}") from None
    is_container = parent and REF_LABEL not in labels and not key.rpartition("/")[2].startswith(_UNPACKING)
    return default_bytes if is_container else None


def parse_size(text: str) -> int:
    """Bytes; K, M, G and T are powers of 1024, with or without iB or B behind. Raises ValueError in words."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(f"'{text[:40]}' is no size; expected bytes, or a number with K, M, G or T")
    size = int(found[1]) << _POWERS[(found[2] or "").lower()]
    if not LEAST_BYTES <= size <= MOST_BYTES:
        raise ValueError(f"'{text[:40]}' is out of range; expected 16M to 16T")
    return size
