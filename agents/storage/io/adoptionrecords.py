"""What this store has of other nodes because a cluster says so: a file for each ImageConversion.

    STORE/adoptions/HEX.json      HEX is of the ImageConversion's uid

A record is written before anything that it tells of, and removed after all of that: so whatever instant a process dies
at, what it has put into the store is known, and can be completed or taken away. Images that were in the store before
are in no record, and one that is converted here leaves them: both stay whatever the cluster says.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from agents.storage.io.files import appearing, publish

ImageKey = tuple[str, str]
"""Digest of its manifest, and mode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionRecord:
    """`conversion` is NAMESPACE/NAME. `content` says what of it is here, empty while that is being done."""

    uid: str
    conversion: str
    server: str
    content: str = ""
    images: tuple[ImageKey, ...] = ()
    volumes: tuple[str, ...] = ()


def adoption_records(store: Path) -> tuple[AdoptionRecord, ...]:
    """All of them. What is no record is left out: nothing was written before it was one."""
    found = [_read(path) for path in sorted((store / "adoptions").glob("*.json"))]
    return tuple(record for record in found if record is not None)


def find_adoption(store: Path, uid: str) -> AdoptionRecord | None:
    return _read(_path(store, uid))


def write_adoption(store: Path, record: AdoptionRecord) -> None:
    final = _path(store, record.uid)
    final.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = final.with_suffix(".part")
    with appearing(partial) as out:
        out.write(json.dumps(asdict(record)).encode())
        publish(out, partial, final)


def forget_adoption(store: Path, uid: str) -> None:
    _path(store, uid).unlink(missing_ok=True)


def is_adopted(store: Path, image: ImageKey, without: str = "") -> bool:
    """Some record has it; the one of that uid is not asked."""
    return any(image in record.images for record in adoption_records(store) if record.uid != without)


def disown(store: Path, image: ImageKey) -> None:
    """It is this node's own from now on."""
    for record in adoption_records(store):
        if image in record.images:
            write_adoption(store, replace(record, images=_without(record.images, image)))


def _without(images: Iterable[ImageKey], image: ImageKey) -> tuple[ImageKey, ...]:
    return tuple(one for one in images if one != image)


def _read(path: Path) -> AdoptionRecord | None:
    try:
        return _parsed(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, KeyError):
        return None  # gone meanwhile, or of another version


def _parsed(fields: Any) -> AdoptionRecord:
    return AdoptionRecord(
        uid=str(fields["uid"]),
        conversion=str(fields["conversion"]),
        server=str(fields["server"]),
        content=str(fields["content"]),
        images=tuple((str(digest), str(mode)) for digest, mode in fields["images"]),
        volumes=tuple(str(one) for one in fields["volumes"]),
    )


def _path(store: Path, uid: str) -> Path:
    return store / "adoptions" / f"{sha256(uid.encode()).hexdigest()[:32]}.json"
