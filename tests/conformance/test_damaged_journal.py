"""A device whose journal is damaged, on a disk that is full, or may not be written: what it says, and what it keeps."""

from __future__ import annotations

import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from finsy.proto import p4r

from runtime.client.devicestatus import read_status
from runtime.device.journal.framing import HEAD_SIZE, HEADER, Frame
from runtime.device.journal.records import Kind
from runtime.device.journal.scanning import scan
from tests.conformance.client import Client, RpcRefusedError
from tests.conformance.conftest import TARGETS
from tests.conformance.kernel import Topology
from tests.conformance.killing import Killable
from tests.conformance.serving import ports_of, serving, talking
from tests.conformance.talking import Talk
from tests.conformance.test_failing import CONTINUE, request_for
from tests.conformance.writing import State, held

WRITES = 20


@pytest.fixture(params=TARGETS)
def ports(request: pytest.FixtureRequest) -> Iterator[Topology | None]:
    with ports_of(request.param, "cfj") as made:
        yield made


@pytest.fixture
def device(ports: Topology | None, tmp_path: Path) -> Iterator[Killable]:
    """Running, with a pipeline; in the kernel with a service and a backend that echoes, too."""
    with serving(tmp_path, ports) as made:
        yield made


@pytest.fixture
def talk(device: Killable, ports: Topology | None) -> Iterator[Talk | None]:
    del device
    with talking(ports) as made:
        yield made


def write_some(device: Killable) -> State:
    """One entry a Write; what is written."""
    client = device.primary(100)
    state: State = {}
    for number in range(WRITES):
        wanted: State = {("arp", number): (number,)}
        client.write_request(request_for(wanted, state, CONTINUE))
        state |= wanted
    client.close()
    return state


def log_of(device: Killable) -> Path:
    return max((device.state / "journal").glob("*.log"))


def writes_in(log: Path) -> list[tuple[int, Frame]]:
    """Where each Write begins."""
    at, found = len(HEADER), list[tuple[int, Frame]]()
    for frame in scan(log.read_bytes()).frames:
        if frame.kind == Kind.WRITE:
            found.append((at, frame))
        at += HEAD_SIZE + len(frame.body)
    return found


def flip(log: Path, at: int) -> None:
    data = bytearray(log.read_bytes())
    data[at] ^= 0x10
    log.write_bytes(data)


def held_by(device: Killable) -> State:
    reader = Client(device.address)
    found = held(reader)
    reader.close()
    return found


def test_a_bit_of_one_write(device: Killable, talk: Talk | None) -> None:
    """It alone is lost, and told to who asks; the others are there, on every start."""
    state = write_some(device)
    device.kill()
    log = log_of(device)
    at, frame = writes_in(log)[-5]
    flip(log, at + HEAD_SIZE + len(frame.body) - 2)
    size = HEAD_SIZE + len(frame.body)
    words = f"journal {log.name}: damaged at byte {at}: {size} bytes are lost, what is behind them is there"
    del state["arp", WRITES - 5]
    for _ in range(2):
        device.start()
        assert f"ERROR {words}\n" in device.said
        assert words in read_status(device.address).start.remarks
        assert held_by(device) == state
        device.kill()
    device.start()
    client = device.primary(101)
    wanted: State = {("arp", WRITES - 5): (1,)}
    client.write_request(request_for(wanted, state, CONTINUE))
    client.close()
    assert held_by(device) == state | wanted
    assert talk is None or talk.goes_on()


def test_a_bit_of_a_length(device: Killable, talk: Talk | None) -> None:
    state = write_some(device)
    device.kill()
    log = log_of(device)
    at, _ = writes_in(log)[-5]
    flip(log, at + 2)
    device.start()
    assert f"journal {log.name}: damaged at byte {at}: a length, which is put right; nothing is lost" in device.said
    assert held_by(device) == state
    assert talk is None or talk.goes_on()


def test_cut_anywhere(device: Killable, talk: Talk | None) -> None:
    """What lies before the cut is there, also when one start after the other finds its log cut."""
    state = write_some(device)
    last: State = {("arp", WRITES - 1): state.pop(("arp", WRITES - 1))}
    for election_id, left in enumerate((1, HEAD_SIZE - 1, HEAD_SIZE, HEAD_SIZE + 3, -1), 101):
        device.kill()
        log = log_of(device)
        at, frame = writes_in(log)[-1]
        log.write_bytes(log.read_bytes()[: at + left % (HEAD_SIZE + len(frame.body))])
        device.start()
        assert f"journal {log.name}: the last record is cut short at byte {at}; it is ignored" in device.said
        assert held_by(device) == state
        assert talk is None or talk.goes_on()
        client = device.primary(election_id)
        client.write_request(request_for(last, state, CONTINUE))
        client.close()


def test_cut_before_a_later_start(device: Killable) -> None:
    """What lies before the cut is there; where a later start pinned its maps is lost with the rest, so they are new."""
    write_some(device)
    device.kill()
    log = log_of(device)
    places = [at for at, _ in writes_in(log)][-4:]
    for count, at in reversed(list(enumerate(places, WRITES - 4))):
        log.write_bytes(log.read_bytes()[: at + 3 + count])
        for later in set((device.state / "journal").glob("*.log")) - {log}:
            later.unlink()
        device.start()
        assert f"journal {log.name}: the last record is cut short at byte {at}; it is ignored" in device.said
        assert held_by(device) == {("arp", number): (number,) for number in range(count)}
        device.kill()
    device.start()


def refuses(device: Killable, words: str) -> None:
    """To start: exit code 1, one line; the folder is as it was."""
    before = {path: path.read_bytes() for path in (device.state / "journal").rglob("*") if path.is_file()}
    with pytest.raises(AssertionError):
        device.start()
    begin = f"turnout device: error: the journal in {device.state} cannot be used: "
    end = "; nothing is changed, packets pass as they did; --clean begins with nothing"
    assert device.said.splitlines()[-1] == begin + words + end
    assert "Traceback" not in device.said
    after = {path: path.read_bytes() for path in (device.state / "journal").rglob("*") if path.is_file()}
    assert after == before


def test_a_bit_of_more_than_writes(device: Killable, talk: Talk | None) -> None:
    """The start is refused while the device's own record, or a pipeline, cannot be read; it goes on when it can."""
    state = write_some(device)
    device.kill()
    log = log_of(device)
    whole = log.read_bytes()
    at, found = len(HEADER), dict[Kind, int]()
    for frame in scan(whole).frames:
        found.setdefault(Kind(frame.kind), at)
        at += HEAD_SIZE + len(frame.body)
    for kind in (Kind.DEVICE, Kind.CONFIG, Kind.ELECTION):
        flip(log, found[kind] + HEAD_SIZE + 5)
        refuses(device, f"{log.name} is damaged at byte {found[kind]}, and not only writes of entries are lost")
        log.write_bytes(whole)
    log.write_bytes(HEADER[:8] + b"\x07\0\0\0" + whole[len(HEADER) :])
    refuses(device, "its format is 7, this version of Turnout reads 1")
    log.write_bytes(b"\x7fELF" + whole[4:])
    refuses(device, "it is no journal of a Turnout device")
    log.write_bytes(whole)
    assert talk is None or talk.goes_on()
    device.start()
    assert held_by(device) == state


@contextmanager
def disk(path: Path, options: str) -> Generator[None]:
    """A small file system of its own, until the end of the block."""
    path.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def remount(path: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(path)], check=True)


@pytest.fixture
def on_small_disk(ports: Topology | None, tmp_path: Path) -> Iterator[Killable]:
    """As `device`, with its journal on a disk of four megabytes."""
    with disk(tmp_path / "state" / "journal", "size=4m,mode=700"), serving(tmp_path, ports) as made:
        yield made


@pytest.mark.root
def test_a_disk_that_is_full(on_small_disk: Killable) -> None:
    """Writes are refused with RESOURCE_EXHAUSTED, and then the start; nothing that was acknowledged is lost."""
    device, state = on_small_disk, State()
    client = device.primary(100)
    code = ""
    for first in range(0, 50_000, 500):
        wanted: State = {("arp", number): (number,) for number in range(first, first + 500)}
        request = request_for(wanted, state, p4r.WriteRequest.DATAPLANE_ATOMIC)
        for update in request.updates:
            update.entity.table_entry.metadata = bytes(200)
        try:
            client.write_request(request)
        except RpcRefusedError as refusal:
            code, text = refusal.code, refusal.text
            assert (code, text) == ("RESOURCE_EXHAUSTED", "the journal cannot be written: No space left on device")
            break
        state |= wanted
    assert code
    assert state
    assert held(client) == state
    client.close()
    device.kill()
    refuses(device, "[Errno 28] No space left on device")
    remount(device.state / "journal", "size=64m")
    device.start()
    assert held_by(device) == state
    client = device.primary(101)
    more: State = {("arp", 60_000): (1,)}
    client.write_request(request_for(more, state, CONTINUE))
    client.close()
    assert held_by(device) == state | more


@pytest.mark.root
def test_a_disk_that_may_not_be_written(on_small_disk: Killable) -> None:
    device = on_small_disk
    state = write_some(device)
    device.kill()
    remount(device.state / "journal", "ro")
    refuses(device, f"[Errno 30] Read-only file system: '{device.state}/journal/00000002.log'")
    remount(device.state / "journal", "rw")
    device.start()
    assert held_by(device) == state
