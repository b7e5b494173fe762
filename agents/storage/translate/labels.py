"""Labels of snapshots: how long they may be, and what an Update with a field mask makes of them."""

from __future__ import annotations

from collections.abc import Mapping

from agents.storage.wire.snapshots import MAX_LABEL_BYTES, InvalidSnapshotError


def updated(kept: dict[str, str], labels: Mapping[str, str], path: str, name: str) -> dict[str, str]:
    if path == "labels":
        return dict(labels)
    key = path.removeprefix("labels.")
    if key == path:
        raise InvalidSnapshotError(f"cannot update field '{path}' of snapshot {name}; only its labels change")
    return {**kept, key: labels.get(key, "")}


def check_labels(labels: Mapping[str, str]) -> None:
    for key, value in labels.items():
        length = len(key.encode()) + len(value.encode())
        if length > MAX_LABEL_BYTES:
            raise InvalidSnapshotError(
                f"label {key[:64]} takes {length} bytes with its value, more than {MAX_LABEL_BYTES}"
            )
