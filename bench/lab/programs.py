"""The programs that make traffic: ask.c and answer.c, compiled when they are needed, both on one CPU."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from select import select
from tempfile import TemporaryDirectory
from typing import IO

from bench.lab.places import DIRECT_PORT, SERVED_PORT, Way, inside

SOURCES = Path(__file__).parent
END_S = 5.0
PATIENCE_S = 20.0
ONE_CPU = min(os.sched_getaffinity(0))
"""Client and server take turns on it: then figures show what the way costs, and not how fast another CPU wakes up."""


class TrafficError(Exception):
    """A program that did not do its work; the text is fit to print."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Of one turn. `count` is in requests, datagrams or bytes; latencies are 0 where nothing is answered one by one."""

    count: int
    ns: int
    cpu_ns: int
    """What client, server and the CPU's softirq thread ran, measured by the scheduler."""
    p50: int
    p99: int

    @property
    def per_second(self) -> float:
        return self.count * 1e9 / self.ns


class Programs:
    """Clients of the servers that run, by namespace."""

    def __init__(self, clients: Mapping[str, subprocess.Popen[str]], servers: Mapping[str, int]) -> None:
        self._clients = clients
        self._servers = servers
        self._softirq = tuple(threads_named(f"ksoftirqd/{ONE_CPU}"))

    def turn(self, mode: str, way: Way, milliseconds: int) -> Outcome:
        """Let the way's client send for so long. Raises `TrafficError`."""
        client = self._clients[way.client]
        pids = " ".join(map(str, (self._servers[way.server], *way.between, *self._softirq)))
        _stream(client.stdin).write(f"{mode} {way.address} {way.port} {milliseconds} {pids}\n")
        _stream(client.stdin).flush()
        return Outcome(**json.loads(_line(client, f"{mode} to {way.name}")))


@contextmanager
def programs(servers: Sequence[str], clients: Sequence[str]) -> Generator[Programs]:
    """A server in each of the first namespaces and a client in each of the second. Raises `TrafficError`."""
    with TemporaryDirectory(prefix="turnout-bench-") as folder, ExitStack() as undo:
        answer, ask = (_compiled(name, Path(folder)) for name in ("answer", "ask"))
        serving = {space: _started(undo, space, [str(answer), str(DIRECT_PORT), str(SERVED_PORT)]) for space in servers}
        for space, process in serving.items():
            _line(process, f"server in {space}")
        asking = {space: _started(undo, space, [str(ask)]) for space in clients}
        yield Programs(asking, {space: process.pid for space, process in serving.items()})


def _compiled(name: str, folder: Path) -> Path:
    made = folder / name
    command = [*_compiler(), "-O2", "-o", str(made), str(SOURCES / f"{name}.c")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise TrafficError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
    return made


def _compiler() -> list[str]:
    for name in ("cc", "gcc", "clang"):
        if path := shutil.which(name):
            return [path]
    if importlib.util.find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", "cc"]
    raise TrafficError("no C compiler was found: apt-get install clang, or the Python package ziglang")


def _started(undo: ExitStack, namespace: str, command: Sequence[str]) -> subprocess.Popen[str]:
    """Neither taskset nor nsenter stay: the process is the command's own."""
    whole = ["taskset", "-c", str(ONE_CPU), *inside(namespace, command)]
    process = subprocess.Popen(whole, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    undo.callback(_end, process)
    return process


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def _line(process: subprocess.Popen[str], what: str) -> str:
    """What the process says next. Raises `TrafficError` with its last words when it ends, or says nothing."""
    said = _stream(process.stdout)
    if not select([said], [], [], PATIENCE_S)[0]:
        raise TrafficError(f"{what}: no answer for {PATIENCE_S:g} s")
    if line := said.readline():
        return line
    process.wait()
    raise TrafficError(f"{what}: {_stream(process.stderr).read().strip()}")


def _stream(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise TrafficError("a program runs without its pipes")
    return pipe


def threads_named(name: str) -> Iterator[int]:
    """Process ids of kernel threads; none in a container that does not see them."""
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            found = comm.read_text().strip()
        except OSError:
            continue  # ended meanwhile
        if found == name:
            yield int(comm.parent.name)
