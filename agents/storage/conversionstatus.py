"""The status of an ImageConversion: what the store has of it, and what the last conversion has come to.

Ready is what the store says; the phase is the record's as long as that agrees. Called by `turnout show images`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from agents.storage.io.conversionrecords import FAILED, PENDING, SUCCEEDED, Record, Wanted, find_record
from agents.storage.io.store import Store, StoredImage
from agents.storage.io.volumefiles import find_volume
from compiler.policy.imagekinds import Condition, ImageBlock, ImageConversionStatus

READY: Final = "Ready"


def status_of(store: Store, wanted: Wanted, platforms: Sequence[str]) -> ImageConversionStatus:
    """For these platforms; for those that there are where none is given. Raises ImageError where the store cannot be
    read."""
    images = images_of(store, wanted, platforms)
    there = {image.platform for image in images if _is_whole(store, image)}
    is_ready = bool(images) and there >= (set(platforms) or {image.platform for image in images})
    record = find_record(store.folder, wanted)
    phase, progress, reason, message = _state(record, is_ready, wanted)
    return ImageConversionStatus.model_validate(
        {
            "phase": phase,
            "progress": progress,
            "blocks": tuple(_block(image, number) for image in images for number in range(len(image.volumes))),
            "images": tuple({"digest": image.manifest_digest, "platform": image.platform} for image in images),
            "conditions": (
                Condition.model_validate(
                    {
                        "type": READY,
                        "status": "True" if is_ready else "False",
                        "reason": reason,
                        "message": message,
                        "lastTransitionTime": "" if record is None else record.since,
                    }
                ),
            ),
            "ready": is_ready,
        }
    )


def images_of(store: Store, wanted: Wanted, platforms: Sequence[str]) -> tuple[StoredImage, ...]:
    """What the store has of it, for these platforms, or for all where none is given."""
    return tuple(
        image
        for image in store.images()
        if wanted.source in image.names and image.mode == wanted.mode and (not platforms or image.platform in platforms)
    )


def _is_whole(store: Store, image: StoredImage) -> bool:
    return all(find_volume(store.folder, volume.digest).exists() for volume in image.volumes)


def _state(record: Record | None, is_ready: bool, wanted: Wanted) -> tuple[str, int, str, str]:
    """Phase, progress, and reason and message of the condition."""
    if record is not None and record.is_running:
        return record.phase, record.progress, "InProgress", ""
    if record is not None and record.phase == FAILED:
        return FAILED, record.progress, "ConversionFailed", record.message
    if record is not None and record.phase != SUCCEEDED:
        how = f"stopped while {record.phase}, at {record.progress} %; the next conversion goes on"
        return PENDING, record.progress, "Stopped", how
    if is_ready and (record is not None or not wanted.destination):
        return SUCCEEDED, 100, "Converted", ""
    if is_ready:
        return PENDING, 0, "NotPublished", f"converted, and not pushed to {wanted.destination}"
    return PENDING, 0, "NotConverted", "" if record is None else "what was converted has been removed, or some of it"


def _block(image: StoredImage, number: int) -> ImageBlock:
    volume = image.volumes[number]
    fields = {"name": volume.digest, "role": volume.role, "platform": image.platform, "sizeBytes": volume.size_bytes}
    return ImageBlock.model_validate(fields)
