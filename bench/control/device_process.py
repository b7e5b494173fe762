"""A device as a process of its own, which can be killed and started again on what it left, and a client to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from pathlib import Path
from types import TracebackType

import grpc
from finsy.proto import p4r, p4r_grpc

from bench.report.machine import ROOT

COMMAND = (sys.executable, "-c", "from cli.main import main; main()", "device", "run")
OPTIONS = (
    ("grpc.max_metadata_size", 4 << 20),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
)
END_S = 60
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")


class Device:
    """Of the kernel target it has no ports: its tables are what is asked for. At the end nothing of it is left."""

    def __init__(self, target: str, folder: Path) -> None:
        self._log, self.state = folder / "device.log", folder / "state"
        self.address = f"unix:{folder}/d.sock"
        self._arguments = ["--name", "bench", "--target", target, "--listen", self.address]
        self._arguments += ["--state-dir", str(self.state)]
        self._process: subprocess.Popen[str] | None = None

    def start(self, *more: str) -> float:
        """Returns how many seconds it took until clients could connect. Raises RuntimeError with what it said."""
        begun = time.perf_counter()
        with self._log.open("w") as errors:
            self._process = subprocess.Popen(
                [*COMMAND, *self._arguments, *more], stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT
            )
        assert self._process.stdout is not None
        if not self._process.stdout.readline().startswith("ready "):
            self._end(signal.SIGKILL)
            raise RuntimeError(self._log.read_text())
        return time.perf_counter() - begun

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def __enter__(self) -> Device:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, tb: TracebackType | None) -> None:
        if self._process is not None:
            self.kill()
        self.start("--ephemeral", "--clean")
        self._end(signal.SIGTERM)

    def _end(self, by: signal.Signals) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.send_signal(by)
        self._process.wait(timeout=END_S)
        self._process.stdout.close()
        self._process = None

    def memory_mb(self) -> float:
        """What it holds in memory; its BPF maps are the kernel's."""
        return int(self._proc("statm").split()[1]) * _PAGE / 1e6

    def peak_memory_mb(self) -> float:
        """The most that it has held in memory so far."""
        return _kilobytes(self._proc("status"), "VmHWM:") / 1000

    def maps_mb(self) -> float:
        """What the kernel has reserved for its BPF maps."""
        assert self._process is not None
        sizes: dict[str, int] = {}
        for path in Path(f"/proc/{self._process.pid}/fdinfo").iterdir():
            fields = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
            if "map_id" in fields:
                sizes[fields["map_id"]] = int(fields["memlock"])
        return sum(sizes.values()) / 1e6

    def cpu_s(self) -> float:
        """User and system time so far."""
        fields = self._proc("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def journal_mb(self) -> float:
        return sum(path.stat().st_size for path in self.state.glob("journal/*")) / 1e6

    def _proc(self, name: str) -> str:
        assert self._process is not None
        return Path(f"/proc/{self._process.pid}/{name}").read_text()


def _kilobytes(status: str, field: str) -> int:
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(field))


class Client:
    """The primary of a device; blocking."""

    def __init__(self, address: str, *, election_id: int = 1) -> None:
        self._channel = grpc.insecure_channel(address, options=OPTIONS)
        self._stub = p4r_grpc.P4RuntimeStub(self._channel)
        self._election_id = p4r.Uint128(low=election_id)
        self._ended = threading.Event()
        first = p4r.StreamMessageRequest()
        first.arbitration.device_id = 1
        first.arbitration.election_id.CopyFrom(self._election_id)

        def sent() -> Generator[p4r.StreamMessageRequest]:
            yield first
            self._ended.wait()

        self._stream = self._stub.StreamChannel(sent())
        next(self._stream)

    def set_config(self, config: p4r.ForwardingPipelineConfig) -> None:
        request = p4r.SetForwardingPipelineConfigRequest(
            device_id=1,
            election_id=self._election_id,
            config=config,
            action=p4r.SetForwardingPipelineConfigRequest.VERIFY_AND_COMMIT,
        )
        self._stub.SetForwardingPipelineConfig(request)

    def write(self, updates: list[p4r.Update]) -> float:
        """Seconds until the answer. What making the request takes is the client's affair, and not counted."""
        request = p4r.WriteRequest(device_id=1, election_id=self._election_id, updates=updates)
        begun = time.perf_counter()
        self._stub.Write(request)
        return time.perf_counter() - begun

    def count(self, table_id: int) -> int:
        """Reads all entries of a table."""
        request = p4r.ReadRequest(device_id=1)
        request.entities.add().table_entry.table_id = table_id
        return sum(len(answer.entities) for answer in self._stub.Read(request))

    def close(self) -> None:
        self._ended.set()
        self._channel.close()
