"""The programs that make traffic: iperf3, and pingpong.c, which is compiled when it is needed."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.lab.places import Variant, inside

SOURCE = Path(__file__).with_name("pingpong.c")
PORT, IPERF_PORT = 7000, 5201
SERVED_PORTS, SERVED_IPERF_PORTS = (7000, 7001), (5201, 5202)
"""Called directly, and by a service."""
END_S = 5.0
PATIENCE_S = 30.0
_CPUS = sorted(os.sched_getaffinity(0))
ONE_CPU, OTHER_CPU = _CPUS[0], _CPUS[-1]
"""Client and server take turns on one CPU: then figures show what the way costs, and not how fast another CPU wakes up.
Only a flood needs both, or the server would not get to read."""


class TrafficError(Exception):
    """A program that did not do its work; the text is fit to print."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What pingpong says: messages answered (flood: received), over which time, and how long answers took."""

    per_second: float
    p50_us: float
    p99_us: float


class Programs:
    """Clients of the servers that run."""

    def __init__(self, pingpong: Path) -> None:
        self._pingpong = pingpong

    def ask(self, mode: str, variant: Variant, seconds: float) -> Answered:
        """`tcp`, `connect`, `udp` or `flood`. Raises `TrafficError`."""
        command = [str(self._pingpong), mode, variant.address, str(PORT), f"{seconds:g}"]
        said = json.loads(_said(on_cpu(OTHER_CPU if mode == "flood" else ONE_CPU, inside(variant.client, command))))
        return Answered(
            per_second=said["count"] / said["seconds"], p50_us=said["p50"] / 1000, p99_us=said["p99"] / 1000
        )

    def stream_gbps(self, variant: Variant, seconds: float) -> float:
        """One TCP connection, as the receiver counts it. Raises `TrafficError`."""
        words = ["iperf3", "-c", variant.address, "-p", str(IPERF_PORT), "-t", f"{max(1, round(seconds))}", "-J"]
        said = json.loads(_said(on_cpu(ONE_CPU, inside(variant.client, words))))
        return said["end"]["sum_received"]["bits_per_second"] / 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One thing that is measured. `measure` takes a variant and seconds; `is_smaller_better` is for the pictures."""

    name: str
    unit: str
    measure: Callable[[Programs, Variant, float], float]
    offloads: bool = True
    is_smaller_better: bool = False


METRICS = (
    Metric(name="TCP, one stream", unit="Gbit/s", measure=Programs.stream_gbps),
    Metric(name="TCP, offloads off", unit="Gbit/s", measure=Programs.stream_gbps, offloads=False),
    Metric(name="requests, one connection", unit="1/s", measure=lambda p, v, s: p.ask("tcp", v, s).per_second),
    Metric(name="requests, a connection each", unit="1/s", measure=lambda p, v, s: p.ask("connect", v, s).per_second),
    Metric(name="UDP, 64 bytes", unit="packets/s", measure=lambda p, v, s: p.ask("flood", v, s).per_second),
    Metric(
        name="UDP round trip, p50",
        unit="us",
        measure=lambda p, v, s: p.ask("udp", v, s).p50_us,
        is_smaller_better=True,
    ),
    Metric(
        name="UDP round trip, p99",
        unit="us",
        measure=lambda p, v, s: p.ask("udp", v, s).p99_us,
        is_smaller_better=True,
    ),
)


def on_cpu(cpu: int, command: Sequence[str]) -> list[str]:
    """The command, kept on one CPU."""
    return ["taskset", "-c", str(cpu), *command]


@contextmanager
def programs(servers: Sequence[str]) -> Generator[Programs]:
    """Both servers in each namespace, and the clients for them. Raises `TrafficError`."""
    if shutil.which("iperf3") is None:
        raise TrafficError("iperf3 is not installed: apt-get install iperf3")
    with TemporaryDirectory(prefix="turnout-bench-") as folder, ExitStack() as undo:
        pingpong = Path(folder) / "pingpong"
        _said([*_compiler(), "-O2", "-o", str(pingpong), str(SOURCE)])
        for namespace in servers:
            served = [[str(pingpong), "serve", str(port)] for port in SERVED_PORTS]
            served += [["iperf3", "-s", "-p", str(port)] for port in SERVED_IPERF_PORTS]
            for command in served:
                undo.callback(_end, _start(on_cpu(ONE_CPU, inside(namespace, command))))
        time.sleep(0.5)
        yield Programs(pingpong)


def _compiler() -> list[str]:
    for name in ("cc", "gcc", "clang"):
        if path := shutil.which(name):
            return [path]
    if importlib.util.find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", "cc"]
    raise TrafficError("no C compiler was found: apt-get install clang, or the Python package ziglang")


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _said(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise TrafficError(f"`{' '.join(command)}`: {problem}") from problem
    if done.returncode:
        raise TrafficError(f"`{' '.join(command)}` failed: {done.stderr.strip() or done.stdout.strip()[-500:]}")
    return done.stdout
