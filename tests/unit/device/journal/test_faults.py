"""Disks that are full or fail, folders of other devices, other machines' times: what is refused, and what is said."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from finsy.proto import p4r

from compiler.ir.nodes import Pipeline
from runtime.device import statefolder
from runtime.device.journal.framing import HEAD_SIZE, HEADER, frame_head
from runtime.device.journal.records import Kind
from runtime.device.journal.scanning import scan
from runtime.device.progress import Progress
from runtime.device.refusals import Code, RefusedError
from runtime.device.statefolder import StateFolder
from runtime.device.target import TargetError
from tests.unit.device.journal.device import Device, config_of
from tests.unit.device.journal.test_replay import entry


@pytest.fixture
def device(pipeline: Pipeline, tmp_path: Path) -> Device:
    made = Device(tmp_path / "state")
    made.set("VERIFY_AND_COMMIT", config_of(pipeline))
    made.write([entry(0)])
    return made


def refused(device: Device, updates: list[p4r.Update]) -> tuple[Code, str]:
    with pytest.raises(RefusedError) as error:
        device.write(updates)
    return error.value.code, error.value.text


def test_a_full_disk(device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = device.held

    def full(fd: int, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    many = [entry(1)] * 20_000  # more than is reserved already
    words = "the journal cannot be written: No space left on device"
    assert refused(device, many) == (Code.RESOURCE_EXHAUSTED, words)
    assert device.held == there
    monkeypatch.undo()
    assert device.write([entry(1)]) == [None]
    there = device.held
    device.kill()
    device = Device(tmp_path / "state")
    assert device.held == there
    device.kill()


def test_a_disk_that_fails_in_the_midst_of_a_record(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    there = device.held

    def half(fd: int, parts: list[bytes], offset: int) -> int:
        os.pwrite(fd, b"".join(parts)[:20], offset)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "pwritev", half)
    words = "the journal cannot be written: Input/output error"
    assert refused(device, [entry(1)]) == (Code.INTERNAL, words)
    assert device.held == there
    monkeypatch.undo()
    assert device.write([entry(1)]) == [None]
    device.kill()


def test_an_outcome_that_cannot_be_written(device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, writes = os.pwritev, iter((True, False))

    def second_fails(fd: int, parts: list[bytes], offset: int) -> int:
        if next(writes):
            return real(fd, parts, offset)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "pwritev", second_fails)
    assert device.write([entry(1)]) == [None]
    monkeypatch.undo()
    words = "the journal cannot be written: [Errno 5] Input/output error"
    assert refused(device, [entry(2)]) == (Code.INTERNAL, words)
    device.snapshot()
    assert device.write([entry(2)]) == [None]
    there = device.held
    device.kill()
    device = Device(tmp_path / "state")
    assert device.held == there
    device.kill()


def test_a_full_disk_and_a_pipeline(device: Device, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    there = device.held
    monkeypatch.setattr(Path, "write_bytes", full)
    other = config_of(pipeline)
    other.p4info.pkg_info.name = "another"
    for action in ("VERIFY_AND_COMMIT", "VERIFY_AND_SAVE", "RECONCILE_AND_COMMIT"):
        with pytest.raises(RefusedError) as error:
            device.set(action, other)
        words = "the journal cannot be written: No space left on device"
        assert (error.value.code, error.value.text) == (Code.RESOURCE_EXHAUSTED, words)
    assert device.held == there
    assert device.configs.current.config == config_of(pipeline)
    device.kill()


def test_after_a_reboot(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    device.kill()
    (tmp_path / "boot_id").write_text("another\n")
    monkeypatch.setattr(statefolder, "BOOT_ID", tmp_path / "boot_id")
    device = Device(tmp_path / "state")
    assert device.configs.committed is None
    words = "the machine has been started anew since: the device begins with nothing, as the kernel does"
    assert words in caplog.messages
    device.kill()
    device = Device(tmp_path / "state")
    assert device.configs.committed is None
    device.kill()


def unusable(path: Path, target: str = "model") -> str:
    """Why a folder cannot be begun with; all of it is as it was."""
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    folder = StateFolder(path)
    with pytest.raises(TargetError) as error:
        folder.begin(target, clean=False).read(Progress())
    folder.close()
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before
    start = f"the journal in {path} cannot be used: "
    end = "; nothing is changed, packets pass as they did; --clean begins with nothing"
    text = str(error.value)
    assert (text[: len(start)], text[-len(end) :]) == (start, end)
    return text[len(start) : -len(end)]


def test_another_targets_folder(device: Device, tmp_path: Path) -> None:
    device.kill()
    assert unusable(tmp_path / "state", "kernel") == "it is that of a model target, this is a kernel target"


def test_a_journal_of_a_newer_version(device: Device, tmp_path: Path) -> None:
    device.kill()
    (log,) = (tmp_path / "state" / "journal").glob("*.log")
    log.write_bytes(HEADER[:8] + b"\2\0\0\0" + log.read_bytes()[len(HEADER) :])
    assert unusable(tmp_path / "state") == "its format is 2, this version of Turnout reads 1"


def test_a_bundle_that_is_gone_or_damaged(device: Device, tmp_path: Path) -> None:
    device.kill()
    objects = tmp_path / "state" / "journal" / "objects"
    bundle = max(objects.iterdir(), key=lambda path: path.stat().st_size)
    whole = bundle.read_bytes()
    bundle.write_bytes(whole[:-1] + b"!")
    assert unusable(tmp_path / "state") == f"object {bundle.name[:12]} is damaged: its SHA-256 is another"
    bundle.unlink()
    words = f"[Errno 2] No such file or directory: '{bundle}'"
    assert unusable(tmp_path / "state") == words
    device = Device(tmp_path / "state", clean=True)
    assert device.configs.committed is None
    device.kill()


def test_a_snapshot_that_is_cut_short(device: Device, tmp_path: Path) -> None:
    device.snapshot()
    device.kill()
    (snapshot,) = (tmp_path / "state" / "journal").glob("*.snapshot")
    snapshot.write_bytes(snapshot.read_bytes()[:-1])
    assert unusable(tmp_path / "state") == f"snapshot {snapshot.name} is damaged: its end is not there"


def flip(path: Path, kind: Kind, number: int = 0, *, byte: int = HEAD_SIZE) -> tuple[int, int]:
    """One bit of the record with this number of its kind, at a byte of it. Where the record begins, how long it is."""
    data, at = bytearray(path.read_bytes()), len(HEADER)
    for frame in scan(bytes(data)).frames:
        size = HEAD_SIZE + len(frame.body)
        if frame.kind == kind:
            if not number:
                data[at + byte] ^= 4
                path.write_bytes(data)
                return at, size
            number -= 1
        at += size
    raise AssertionError(f"there is no such record of kind {kind.name}")


def test_a_bit_of_a_write(device: Device, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """All others are there, and what is lost is told."""
    for number in range(1, 5):
        device.write([entry(number)])
    there = device.held
    device.kill()
    (log,) = (tmp_path / "state" / "journal").glob("*.log")
    at, size = flip(log, Kind.WRITE, 2, byte=HEAD_SIZE + 20)
    device = Device(tmp_path / "state")
    words = f"journal {log.name}: damaged at byte {at}: {size} bytes are lost, what is behind them is there"
    assert words in caplog.messages
    assert device.held != there
    assert device.write([entry(2)]) == [None]
    assert device.held == there
    for number in (1, 3, 4):
        assert device.write([entry(number)]) != [None]  # there already
    device.kill()


def test_a_bit_of_a_length(device: Device, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(1, 5):
        device.write([entry(number)])
    there = device.held
    device.kill()
    (log,) = (tmp_path / "state" / "journal").glob("*.log")
    at, _ = flip(log, Kind.WRITE, 2, byte=2)
    device = Device(tmp_path / "state")
    words = f"journal {log.name}: damaged at byte {at}: a length, which is put right; nothing is lost"
    assert words in caplog.messages
    assert device.held == there
    device.kill()


def test_a_bit_of_an_outcome(device: Device, tmp_path: Path) -> None:
    """What was asked for is done once more, and refused as it was."""
    double = [entry(7), entry(7)]
    assert device.write(double, p4r.WriteRequest.ROLLBACK_ON_ERROR)[1] is not None
    assert device.write([entry(8)]) == [None]
    there = device.held
    device.kill()
    (log,) = (tmp_path / "state" / "journal").glob("*.log")
    flip(log, Kind.OUTCOME, 2)
    device = Device(tmp_path / "state")
    assert device.held == there
    device.kill()


@pytest.mark.parametrize("kind", [Kind.DEVICE, Kind.CONFIG, Kind.ELECTION])
@pytest.mark.parametrize("byte", [HEAD_SIZE - 1, HEAD_SIZE, HEAD_SIZE + 2, HEAD_SIZE + 20])
def test_a_bit_of_what_is_no_write(device: Device, tmp_path: Path, kind: Kind, byte: int) -> None:
    device.kept.journal.note_election("", 5)
    device.write([entry(1)])
    device.kill()
    (log,) = (tmp_path / "state" / "journal").glob("*.log")
    at, _ = flip(log, kind, byte=byte)
    words = f"{log.name} is damaged at byte {at}, and not only writes of entries are lost"
    assert unusable(tmp_path / "state") == words


def test_a_bit_of_a_snapshot(device: Device, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    device.snapshot()
    device.write([entry(5)])
    device.kill()
    (snapshot,) = (tmp_path / "state" / "journal").glob("*.snapshot")
    at, size = flip(snapshot, Kind.WRITE)
    device = Device(tmp_path / "state")
    words = f"journal {snapshot.name}: damaged at byte {at}: {size} bytes are lost, what is behind them is there"
    assert words in caplog.messages
    assert device.write([entry(0)]) == [None]
    assert device.write([entry(5)]) != [None]
    device.kill()


def test_a_log_that_is_gone(device: Device, tmp_path: Path) -> None:
    device.kill()
    for _ in range(2):
        device = Device(tmp_path / "state")
        device.write([entry(1)])
        device.kill()
    journal = tmp_path / "state" / "journal"
    (journal / "00000002.log").unlink()
    assert unusable(tmp_path / "state") == "00000002.log is gone, and 00000003.log is there"
    (journal / "00000001.log").unlink()
    assert unusable(tmp_path / "state") == "00000001.log is gone, and 00000003.log is there"


def test_files_of_others(device: Device, tmp_path: Path) -> None:
    there = device.held
    device.kill()
    for name in ("old.log", "0000000².log", "notes.snapshot", "1.new"):
        (tmp_path / "state" / "journal" / name).write_text("mine")
    device = Device(tmp_path / "state")
    assert device.held == there
    device.kill()
    assert (tmp_path / "state" / "journal" / "old.log").exists()


@pytest.mark.parametrize("body", [b"{", b'{"role": "", "election": 5}', b'{"role": "\xff"}', b"[]"])
def test_a_record_of_another_version(device: Device, tmp_path: Path, body: bytes) -> None:
    device.kill()
    (log,) = (tmp_path / "state" / "journal").glob("*.log")
    log.write_bytes(log.read_bytes().rstrip(b"\0") + frame_head(Kind.ELECTION, body) + body)
    assert unusable(tmp_path / "state").startswith("it has a record of kind 6 that cannot be read: ")


def test_a_torn_tail_is_said(device: Device, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    device.kill()
    (log,) = (tmp_path / "state" / "journal").glob("*.log")
    whole = log.read_bytes().rstrip(b"\0")
    log.write_bytes(whole + b"\5\0\0\0half")
    caplog.set_level("INFO")
    Device(tmp_path / "state").kill()
    words = f"journal {log.name}: the last record is cut short at byte {len(whole)}; it is ignored"
    assert words in caplog.messages


def test_it_stays_bounded(device: Device, tmp_path: Path) -> None:
    """Snapshots take the place of logs, and objects go that nobody needs."""
    for _ in range(3):
        for _ in range(50):
            device.write([entry(1)])
        assert not device.kept.journal.is_long
        device.snapshot()
    files = sorted(path.name for path in (tmp_path / "state" / "journal").iterdir())
    assert files == ["00000004.log", "00000004.snapshot", "objects"]
    device.kill()
