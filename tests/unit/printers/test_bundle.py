"""The bundle: same bytes, round trip, and what is said of damaged ones."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable

import pytest

from compiler.pipeline.assembly import pipeline
from compiler.printers.bundle import Bundle, BundleError, read_bundle, write_bundle

TC = b"\x7fELF of tc"


def test_the_same_bytes() -> None:
    assert write_bundle(pipeline(), tc=TC) == write_bundle(pipeline(), tc=TC)


def test_round_trip() -> None:
    assert read_bundle(write_bundle(pipeline(), tc=TC, xdp=b"x")) == Bundle(pipeline=pipeline(), tc=TC, xdp=b"x")
    assert read_bundle(write_bundle(pipeline())) == Bundle(pipeline=pipeline())


def changed(change: Callable[[dict[str, bytes]], None]) -> bytes:
    """A bundle whose parts were changed behind its manifest's back."""
    with zipfile.ZipFile(io.BytesIO(write_bundle(pipeline(), tc=TC))) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _manifest(**values: object) -> Callable[[dict[str, bytes]], None]:
    def change(parts: dict[str, bytes]) -> None:
        parts["manifest.json"] = json.dumps({**json.loads(parts["manifest.json"]), **values}).encode()

    return change


def _drop(name: str) -> Callable[[dict[str, bytes]], None]:
    return lambda parts: parts.__delitem__(name)


def _set(name: str, data: bytes) -> Callable[[dict[str, bytes]], None]:
    return lambda parts: parts.__setitem__(name, data)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_drop("manifest.json"), "manifest.json is missing or cannot be read"),
        (_set("manifest.json", b"{"), "manifest.json is missing or cannot be read"),
        (_set("manifest.json", b"[]"), "manifest.json is missing or cannot be read"),
        (_manifest(format=2), "its format is 2, this version of Turnout reads 1"),
        (_set("tc.o", b"other"), "part tc.o is damaged: its SHA-256 is not the manifest's"),
        (_set("pipeline.ir", b"other"), "part pipeline.ir is damaged: its SHA-256 is not the manifest's"),
        (_drop("tc.o"), "it lacks tc.o"),
        (_drop("pipeline.ir"), "it lacks pipeline.ir"),
        (_set("evil", b""), "it has a part 'evil' that does not belong there"),
    ],
)
def test_damage(change: Callable[[dict[str, bytes]], None], words: str) -> None:
    with pytest.raises(BundleError) as refused:
        read_bundle(changed(change))
    assert str(refused.value) == words


@pytest.mark.parametrize("data", [b"", b"garbage", write_bundle(pipeline())[:-30], write_bundle(pipeline())[:100]])
def test_no_zip(data: bytes) -> None:
    with pytest.raises(BundleError, match="it is no zip file, or a damaged one"):
        read_bundle(data)


def test_damage_inside_a_part() -> None:
    data = bytearray(write_bundle(pipeline()))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(BundleError):
        read_bundle(bytes(data))


def _unreadable(text: bytes) -> bytes:
    import hashlib

    def change(parts: dict[str, bytes]) -> None:
        parts["pipeline.ir"] = text
        manifest = json.loads(parts["manifest.json"])
        manifest["sha256"]["pipeline.ir"] = hashlib.sha256(text).hexdigest()
        parts["manifest.json"] = json.dumps(manifest).encode()

    return changed(change)


@pytest.mark.parametrize("text", [b"", b"\xff", b"pipeline"])
def test_a_pipeline_that_cannot_be_read(text: bytes) -> None:
    with pytest.raises(BundleError, match=r"pipeline\.ir cannot be read: "):
        read_bundle(_unreadable(text))


def test_a_record_of_a_verification_is_a_part_like_others() -> None:
    whole = write_bundle(pipeline(), tc=TC, verification=b"{}")
    assert read_bundle(whole) == Bundle(pipeline=pipeline(), tc=TC, verification=b"{}")
    assert whole != write_bundle(pipeline(), tc=TC)
