"""What a service manager hears of a device: how far its start is, that it is ready, that it ends."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from runtime.device.listening import UnixAddress
from runtime.device.modeltarget import ModelTarget
from runtime.device.server import Settings, serve
from runtime.device.supervising import Supervisor
from tests.unit.device.test_opening import PATIENCE_S, Held

STARTS = "STATUS=starts: replays its journal, 3 of 8 updates\nEXTEND_TIMEOUT_USEC=60000000"
ENDS = "STOPPING=1\nSTATUS=ends"
COMMAND = (sys.executable, "-c", "from cli.main import main; main()", "device", "run")


class Manager:
    """The socket that `NOTIFY_SOCKET` names."""

    def __init__(self, address: str | bytes) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(PATIENCE_S)
        self._socket.bind(address)

    def hears(self) -> str:
        return self._socket.recv(4096).decode()

    def until(self, message: str) -> list[str]:
        """What comes before a message."""
        return list(iter(self.hears, message))

    def has_more(self) -> bool:
        self._socket.setblocking(False)
        try:
            self.hears()
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        self._socket.close()


def test_a_path_and_a_name_without_one(tmp_path: Path) -> None:
    name = f"turnout-{os.getpid()}"
    for bound, given in ((f"{tmp_path}/n", f"{tmp_path}/n"), (f"\0{name}", f"@{name}")):
        manager = Manager(bound)
        Supervisor(given).ready("unix:/d.sock")
        assert manager.hears() == "READY=1\nSTATUS=serves unix:/d.sock"
        manager.close()


def test_words_of_several_lines_are_one_status(tmp_path: Path) -> None:
    manager = Manager(f"{tmp_path}/n")
    Supervisor(f"{tmp_path}/n").ready("a\nREADY=0")
    assert manager.hears() == "READY=1\nSTATUS=serves a READY=0"
    manager.close()


@pytest.mark.parametrize("address", [None, ""])
def test_without_a_manager_nothing_is_said(address: str | None, caplog: pytest.LogCaptureFixture) -> None:
    Supervisor(address).stopping()
    assert caplog.messages == []


def test_a_manager_that_is_not_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Supervisor(f"{tmp_path}/n").stopping()
    assert caplog.messages == [f"the service manager does not hear (No such file or directory): {ENDS}"]
    assert caplog.records[0].levelno == logging.WARNING


def test_a_manager_that_does_not_read_holds_up_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    manager = Manager(f"{tmp_path}/n")
    supervisor = Supervisor(f"{tmp_path}/n")
    while not caplog.messages:
        supervisor.stopping()
    assert caplog.messages == [f"the service manager does not hear (Resource temporarily unavailable): {ENDS}"]
    manager.close()


def test_an_address_that_is_no_unix_socket(caplog: pytest.LogCaptureFixture) -> None:
    Supervisor("vsock:2:1").stopping()
    assert caplog.messages == [
        "NOTIFY_SOCKET is vsock:2:1, which is no unix socket: nobody is told when the device is ready"
    ]


def test_only_a_start_that_goes_on_is_given_more_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.device.supervising.TELL_S", 0)
    manager, words = Manager(f"{tmp_path}/n"), iter(["a", "a", "a", "b"])

    async def follow() -> None:
        following = asyncio.create_task(Supervisor(f"{tmp_path}/n").follow(lambda: next(words, "b")))
        for _ in range(20):
            await asyncio.sleep(0)
        following.cancel()

    asyncio.run(follow())
    told = [manager.hears().splitlines()[0] for _ in range(2)]
    assert told == ["STATUS=starts: a", "STATUS=starts: b"]
    assert not manager.has_more()
    manager.close()


@pytest.mark.slow
def test_a_start_from_its_first_step_to_its_end(tmp_path: Path) -> None:
    address, held, manager = f"unix:{tmp_path}/d.sock", Held(), Manager(f"{tmp_path}/n")
    settings = Settings(name="d", device_id=1, addresses=(UnixAddress(path=tmp_path / "d.sock"),))
    ready, before = list[str](), list[str]()

    def watch() -> None:
        manager.until(STARTS)
        held.goes_on.set()
        before.extend(manager.until(f"READY=1\nSTATUS=serves {address}"))
        os.kill(os.getpid(), signal.SIGTERM)

    watching = threading.Thread(target=watch)
    watching.start()
    supervisor = Supervisor(f"{tmp_path}/n")
    asyncio.run(serve(settings, ModelTarget(hash_seed=1), held.beginning, ready.append, supervisor))
    watching.join()
    assert ready == [address]
    assert all(message.startswith("STATUS=starts: ") for message in before)
    assert manager.hears() == ENDS
    assert not manager.has_more()
    manager.close()


@pytest.mark.slow
def test_one_that_ends_before_it_has_started_is_never_ready(tmp_path: Path) -> None:
    held, manager = Held(), Manager(f"{tmp_path}/n")
    settings = Settings(name="d", device_id=1, addresses=(UnixAddress(path=tmp_path / "d.sock"),))
    ready = list[str]()

    def watch() -> None:
        manager.until(STARTS)
        os.kill(os.getpid(), signal.SIGTERM)

    watching = threading.Thread(target=watch)
    watching.start()
    supervisor = Supervisor(f"{tmp_path}/n")
    asyncio.run(serve(settings, ModelTarget(hash_seed=1), held.beginning, ready.append, supervisor))
    watching.join()
    assert ready == []
    assert not any(message.startswith("READY") for message in manager.until(ENDS))
    assert not manager.has_more()
    manager.close()


@pytest.mark.slow
def test_a_process_that_was_told_where(tmp_path: Path) -> None:
    manager = Manager(f"{tmp_path}/n")
    listen = f"unix:{tmp_path}/d.sock"
    arguments = ["--name", "d", "--target", "model", "--listen", listen, "--state-dir", f"{tmp_path}/state"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [*COMMAND, *arguments], env={**os.environ, "NOTIFY_SOCKET": f"{tmp_path}/n"}, stdout=log, stderr=log
        )
    manager.until(f"READY=1\nSTATUS=serves {listen}")
    process.send_signal(signal.SIGTERM)
    assert manager.hears() == ENDS
    assert process.wait(PATIENCE_S) == 0
    manager.close()
