"""`turnout agent storage` as a process that can be killed, and the snapshots API over its socket."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2

from agents.storage.snapshotservice import SERVICE
from agents.storage.wire import snapshots_pb2 as wire

_START_S = 60
FOLDERS = ("snapshots", "quotas", "volumes", "attached", "disks", "pool", "exports")
"""Of the snapshotter's root: what is in them belongs to a snapshot."""
_RESPONSES: dict[str, tuple[Any, Any]] = {
    "Prepare": (wire.PrepareSnapshotRequest, wire.MountsResponse),
    "View": (wire.PrepareSnapshotRequest, wire.MountsResponse),
    "Mounts": (wire.KeyRequest, wire.MountsResponse),
    "Commit": (wire.CommitSnapshotRequest, empty_pb2.Empty),
    "Remove": (wire.KeyRequest, empty_pb2.Empty),
    "Stat": (wire.KeyRequest, wire.InfoResponse),
    "Update": (wire.UpdateSnapshotRequest, wire.InfoResponse),
    "Usage": (wire.KeyRequest, wire.UsageResponse),
    "Cleanup": (wire.CleanupRequest, empty_pb2.Empty),
}


class Agent:
    """Its folders are in `folder`; `root` has the snapshots, `store` converted images. `more` is further options."""

    def __init__(self, folder: Path, *more: str | Path) -> None:
        self._more = more
        self.folder, self.root, self.store = folder, folder / "snapshots", folder / "images"
        self.socket = folder / "s.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def command(self, socket: Path) -> list[str]:
        program = str(Path(sys.executable).with_name("turnout"))
        options = ["--root", self.root, "--listen", socket, "--store", self.store, *self._more]
        return [program, "agent", "storage", *map(str, options)]

    def start(self) -> None:
        with (self.folder / "agent.log").open("ab") as log:
            self._process = subprocess.Popen(self.command(self.socket), stdout=log, stderr=log)
        with self._channel() as channel:
            try:
                grpc.channel_ready_future(channel).result(_START_S)
            except grpc.FutureTimeoutError as error:
                raise AssertionError((self.folder / "agent.log").read_text()) from error

    @property
    def log(self) -> str:
        return (self.folder / "agent.log").read_text()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(_START_S)

    def end(self) -> int:
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(_START_S)

    def daemon(self) -> int | None:
        """Process id of the storage daemon, where one runs. One that has not written down its number yet does not."""
        try:
            number = int((self.root / "daemon.pid").read_text())
            state = (Path("/proc") / str(number) / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return None
        return number if "(qemu-storage" in state and ") Z " not in state else None

    def end_daemon(self) -> None:
        """kill -9, as a crash would. Whoever asks for disks meanwhile may have started the next one already."""
        number = self.daemon()
        if number is not None:
            os.kill(number, signal.SIGKILL)
            wait_until(lambda: self.daemon() != number, "the storage daemon does not die")

    def _channel(self) -> Any:
        return grpc.insecure_channel(f"unix:{self.socket}", options=(("grpc.use_local_subchannel_pool", 1),))

    def call(self, method: str, **fields: Any) -> Any:
        """One call; the answer, or the code and text that it was refused with raised as Refused."""
        request, response = _RESPONSES[method]
        with self._channel() as channel:
            ask = channel.unary_unary(
                f"/{SERVICE}/{method}",
                request_serializer=request.SerializeToString,
                response_deserializer=response.FromString,
            )
            try:
                return ask(request(**fields), timeout=_START_S, wait_for_ready=True)
            except grpc.RpcError as error:
                raise Refused(error) from None

    def infos(self, *filters: str) -> list[Any]:
        with self._channel() as channel:
            ask = channel.unary_stream(
                f"/{SERVICE}/List",
                request_serializer=wire.ListSnapshotsRequest.SerializeToString,
                response_deserializer=wire.ListSnapshotsResponse.FromString,
            )
            try:
                return [info for part in ask(wire.ListSnapshotsRequest(filters=filters)) for info in part.info]
            except grpc.RpcError as error:
                raise Refused(error) from None

    def names(self, *filters: str) -> list[str]:
        return [info.name for info in self.infos(*filters)]

    def left(self) -> list[str]:
        """Everything below the root that belongs to a snapshot."""
        return sorted(str(Path(name) / one) for name in FOLDERS for one in os.listdir(self.root / name))  # noqa: PTH208


class Refused(Exception):  # noqa: N818 a call is refused; nothing went wrong
    def __init__(self, error: Any) -> None:
        super().__init__(error.code().name, error.details())

    @property
    def code(self) -> str:
        return self.args[0]

    @property
    def text(self) -> str:
        return self.args[1]


@contextmanager
def running_agent(folder: Path, *more: str | Path) -> Generator[Agent]:
    agent = Agent(folder, *more)
    agent.start()
    try:
        yield agent
    finally:
        agent.end()
        agent.end_daemon()
        for target in mounted_below(folder):
            subprocess.run(["umount", "--lazy", target], check=False)


def mounted_below(folder: Path) -> list[str]:
    """Mount points, the innermost first."""
    rows = (line.split(" ")[1] for line in Path("/proc/self/mounts").read_text().splitlines())
    return sorted((place for place in rows if place.startswith(f"{folder}/")), reverse=True)


def loops_below(folder: Path) -> list[str]:
    """Files behind loop devices. One that is being taken down may still be listed for a moment."""
    listed = subprocess.run(
        ["losetup", "--list", "--noheadings", "--output", "BACK-FILE"], capture_output=True, text=True
    )
    return [line for line in listed.stdout.splitlines() if line.startswith(f"{folder}/")]


@contextmanager
def mounted(mounts: Any, target: Path) -> Generator[Path]:
    """Mount what the API said, as containerd does."""
    target.mkdir(exist_ok=True)
    for mount in mounts.mounts:
        _mount(mount.type, mount.source, mount.options, target)
    try:
        yield target
    finally:
        subprocess.run(["umount", str(target)], check=True)


def _mount(kind: str, source: str, options: Sequence[str], target: Path) -> None:
    if kind == "bind":
        subprocess.run(["mount", "--bind", source, str(target)], check=True)
        if "ro" in options:
            subprocess.run(["mount", "-o", "remount,ro,bind", str(target)], check=True)
        return
    subprocess.run(["mount", "-t", kind, "-o", ",".join(options), source, str(target)], check=True)


def forget() -> None:
    """All that memory has of files, of the whole machine."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3\n")


def wait_until(holds: Any, what: str) -> None:
    deadline = time.monotonic() + _START_S
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
