"""One measured start: from the request to pull until the containers have answered, and until their work is done."""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench.containers.contents import PORTS, Content
from bench.containers.link import NODE
from bench.containers.node import STARGZ, TURNOUT, Machines
from runtime.lab.netns import inside, processes_in
from tests.images.cri import Pod

_ANSWER_S = 300.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """`is_pulled`: the image is there before, unpacked, and only memory is cold. `is_copied`: what the trace names is
    read ahead, and the rest fetched."""

    name: str
    key: str
    """Its name as an option."""
    snapshotter: str
    is_pulled: bool = False
    is_copied: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is measured round by round. `caches` are cold or warm."""

    image: str
    rate_mbit: int
    count: int
    caches: str
    way: str

    @property
    def order(self) -> tuple[object, ...]:
        """Of tables and pictures, ways apart."""
        return self.image, -self.rate_mbit, self.count, self.caches


WAYS: Sequence[Way] = (
    Way(name="overlayfs, pulled", key="pulled", snapshotter="overlayfs"),
    Way(name="turnout, volumes elsewhere", key="elsewhere", snapshotter=TURNOUT),
    Way(name="turnout, read ahead", key="ahead", snapshotter=TURNOUT, is_copied=True),
    Way(name="stargz, lazily pulled", key="stargz", snapshotter=STARGZ),
    Way(name="overlayfs, there before", key="before", snapshotter="overlayfs", is_pulled=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Seconds since the request: to the first container's answer, the last one's, and until all work was done; what had
    passed over the link by the last answer and by the end; CPU time and memory of the node's processes."""

    first_s: float
    last_s: float
    work_s: float
    answer_mb: float
    work_mb: float
    cpu_s: float
    memory_mb: float


class Starter:
    """Numbers pods, so that no two have a name."""

    def __init__(self, machines: Machines) -> None:
        self._machines, self._made = machines, 0

    def start(self, way: Way, content: Content, count: int, *, is_warm: bool) -> Start:
        """Everything is as before when it returns. `is_warm`: the same containers have run and gone shortly before, and
        nothing was dropped from memory."""
        cri, image = self._machines.cri(way.snapshotter), self._machines.image(content, way.snapshotter)
        if way.snapshotter == TURNOUT:
            self._machines.restart_agent(copies=way.is_copied)
        if way.snapshotter == STARGZ:
            self._machines.restart_stargz()
        try:
            if way.is_pulled or is_warm:
                cri.pull(image)
            if is_warm:
                self._started(way, content, count, is_warm=True)
            return self._started(way, content, count, is_warm=is_warm)
        finally:
            self._machines.forget(way.snapshotter)

    def _started(self, way: Way, content: Content, count: int, *, is_warm: bool) -> Start:
        """In pods that are there before, and gone afterwards."""
        pods = [self._pod(way) for _ in range(count)]
        try:
            return self._measured(way, content, pods, is_warm=is_warm)
        finally:
            for pod in pods:
                self._machines.cri(way.snapshotter).remove_pod(pod)

    def _pod(self, way: Way) -> Pod:
        self._made += 1
        return self._machines.cri(way.snapshotter).run_pod(f"pod-{self._made}", self._machines.folder / "logs")

    def _measured(self, way: Way, content: Content, pods: Sequence[Pod], *, is_warm: bool) -> Start:
        cri, link = self._machines.cri(way.snapshotter), self._machines.link
        image = self._machines.image(content, way.snapshotter)
        os.sync()
        if not is_warm:
            Path("/proc/sys/vm/drop_caches").write_text("3\n")
        before_mb, before_cpu, begun = link.megabytes(), _cpu_s(), time.perf_counter()
        if not (way.is_pulled or is_warm):
            cri.pull(image)

        def answered(pod: Pod, port: int) -> float:
            cri.run(pod, "container", image, *content.command(port))
            inside(NODE, lambda: _ask(port, "/"))
            return time.perf_counter() - begun

        def worked(port: int) -> float:
            inside(NODE, lambda: [_ask(port, path) for path in content.work])
            return time.perf_counter() - begun

        with ThreadPoolExecutor(len(pods)) as threads:
            answers = list(threads.map(answered, pods, PORTS))
            answer_mb, cpu_s, memory_mb = link.megabytes() - before_mb, _cpu_s() - before_cpu, _memory_mb()
            works = list(threads.map(worked, PORTS[: len(pods)]))
        return Start(
            first_s=min(answers),
            last_s=max(answers),
            work_s=max(works),
            answer_mb=answer_mb,
            work_mb=link.megabytes() - before_mb,
            cpu_s=cpu_s,
            memory_mb=memory_mb,
        )


def _ask(port: int, path: str) -> None:
    """Until it is answered. Raises SystemExit when that takes too long, or the answer is another than 200."""
    deadline = time.monotonic() + _ANSWER_S
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
        except OSError as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"bench.images: port {port} does not answer: {error}") from error
            time.sleep(0.005)
            continue
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise SystemExit(f"bench.images: {path} is answered {answer.status}")
        return


def _cpu_s() -> float:
    """User and system time of all that runs on the node, with children that have ended."""
    return sum(sum(map(int, fields[11:15])) for fields in _stats()) / _TICKS


def _stats() -> list[list[str]]:
    found: list[list[str]] = []
    for pid in processes_in([NODE]):
        try:
            found.append(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split())
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended meanwhile
    return found


def _memory_mb() -> float:
    """What the node's processes hold by themselves: not files, which the kernel may drop."""
    total = 0
    for pid in processes_in([NODE]):
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))
    return total / 1024
