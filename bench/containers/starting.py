"""One measured start: from the request to pull until the containers have answered, and until their work is done."""

from __future__ import annotations

import http.client
import os
import statistics
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.containers.contents import PORTS, Content
from bench.containers.link import NODE
from bench.containers.node import EROFS, STARGZ, TURNOUT, Machines
from bench.containers.processes import cpu_s, listened, memory_mb
from runtime.lab.netns import inside
from tests.images.cri import Pod

_ANSWER_S = 600.0
_PODS_AT_ONCE = 4
"""They are made before and removed after a start, which is not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """`is_pulled`: the image is there before, unpacked, and only memory is cold. Of volumes elsewhere, `is_copied`:
    what the trace names is read ahead, and the rest fetched; `is_here`: they are on the node, whole, before."""

    name: str
    key: str
    """Its name as an option."""
    snapshotter: str
    is_pulled: bool = False
    is_copied: bool = False
    is_here: bool = False


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
    Way(name="turnout, volumes here", key="here", snapshotter=TURNOUT, is_copied=True, is_here=True),
    Way(name="stargz, lazily pulled", key="stargz", snapshotter=STARGZ),
    Way(name="erofs of containerd 2, pulled", key="erofs", snapshotter=EROFS),
    Way(name="overlayfs, there before", key="before", snapshotter="overlayfs", is_pulled=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Seconds since the request: to the first container's answer, the median one's, the last one's, and until all work
    was done. What had passed over the link, CPU time and memory of the node's processes, by the last answer and by the
    end of the work. `took_s` is the whole of it, with what had to be there before and to be gone afterwards."""

    first_s: float
    median_s: float
    last_s: float
    work_s: float
    answer_mb: float
    work_mb: float
    answer_cpu_s: float
    work_cpu_s: float
    answer_memory_mb: float
    work_memory_mb: float
    took_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """So far, and at the moment."""

    link_mb: float
    cpu_s: float
    memory_mb: float


class Starter:
    """Numbers pods, so that no two have a name."""

    def __init__(self, machines: Machines) -> None:
        self._machines, self._made = machines, 0

    def start(self, way: Way, content: Content, count: int, *, is_warm: bool) -> Start:
        """Everything is as before when it returns. `is_warm`: the same containers have run and gone shortly before, and
        nothing was dropped from memory."""
        begun = time.perf_counter()
        cri, image = self._machines.cri(way.snapshotter), self._machines.image(content, way.snapshotter)
        if way.snapshotter == TURNOUT:
            self._machines.restart_agent(copies=way.is_copied, here=way.is_here)
        if way.snapshotter == STARGZ:
            self._machines.restart_stargz()
        try:
            if way.is_pulled or is_warm:
                cri.pull(image)
            if is_warm:
                self._started(way, content, count, is_warm=True)
            started = self._started(way, content, count, is_warm=is_warm)
        finally:
            self._machines.forget(way.snapshotter)
        return replace(started, took_s=time.perf_counter() - begun)

    def _started(self, way: Way, content: Content, count: int, *, is_warm: bool) -> Start:
        with self._pods(way, count) as pods:
            return self._measured(way, content, pods, is_warm=is_warm)

    @contextmanager
    def _pods(self, way: Way, count: int) -> Generator[Sequence[Pod]]:
        """They are there before, and gone afterwards."""
        cri, logs = self._machines.cri(way.snapshotter), self._machines.folder / "logs"
        self._made += count

        def made(number: int) -> Pod:
            return cri.run_pod(f"pod-{number}", logs)

        with ThreadPoolExecutor(_PODS_AT_ONCE) as threads:
            pods = list(threads.map(made, range(self._made - count, self._made)))
            try:
                yield pods
            finally:
                list(threads.map(cri.remove_pod, pods))

    def _measured(self, way: Way, content: Content, pods: Sequence[Pod], *, is_warm: bool) -> Start:
        cri, image = self._machines.cri(way.snapshotter), self._machines.image(content, way.snapshotter)
        ports = PORTS[: len(pods)]
        os.sync()
        if not is_warm:
            Path("/proc/sys/vm/drop_caches").write_text("3\n")
        before, begun = self._taken(way), time.perf_counter()
        if not (way.is_pulled or is_warm):
            cri.pull(image)

        def answered(pod: Pod, port: int) -> float:
            cri.run(pod, "container", image, *content.command(port))
            if not listens[port].wait(_ANSWER_S):
                raise SystemExit(f"bench.images: nobody listens at port {port}")
            inside(NODE, lambda: _ask(port, "/"))
            return time.perf_counter() - begun

        def worked(port: int) -> None:
            inside(NODE, lambda: [_ask(port, path) for path in content.work])

        with ThreadPoolExecutor(len(pods)) as threads:
            with listened(NODE, ports) as listens:
                answers = list(threads.map(answered, pods, ports))
            by_answer, again = self._taken(way), time.perf_counter()
            list(threads.map(worked, ports))
            work_s = time.perf_counter() - again
        by_end = self._taken(way)
        return Start(
            first_s=min(answers),
            median_s=statistics.median(answers),
            last_s=max(answers),
            work_s=max(answers) + work_s,
            answer_mb=by_answer.link_mb - before.link_mb,
            work_mb=by_end.link_mb - before.link_mb,
            answer_cpu_s=by_answer.cpu_s - before.cpu_s,
            work_cpu_s=by_end.cpu_s - before.cpu_s,
            answer_memory_mb=by_answer.memory_mb,
            work_memory_mb=by_end.memory_mb,
            took_s=0.0,
        )

    def _taken(self, way: Way) -> _Taken:
        pids = self._machines.processes(way.snapshotter)
        return _Taken(link_mb=self._machines.link.megabytes(), cpu_s=cpu_s(pids), memory_mb=memory_mb(pids))


def _ask(port: int, path: str) -> None:
    """Raises SystemExit where the answer does not come, or is another than 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
    except OSError as error:
        raise SystemExit(f"bench.images: port {port} does not answer: {error}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise SystemExit(f"bench.images: {path} is answered {answer.status}")
