"""Turns of forwarding: packets made at a node's interface to the client, counted and dropped at the server's.

They come in on the node as from a network card: in memory of the kernel's page pool, 64 at a time. All of it runs on
one CPU, the same as other turns do. `bench.kube` says between which ends.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.forwarding.flows import Counted, Datagrams, begun_ns, counted, expected, sending
from bench.forwarding.lanes import WORKLOAD_INTERFACE, Lane, Port, answers_on, calls_on
from bench.lab.places import Way
from bench.lab.programs import ONE_CPU, Outcome, TrafficError, threads_named
from compiler.printers.ebpf.printing import INCLUDE
from runtime.bpf.attach import Hook, attach_tc
from runtime.bpf.namespaces import entered
from runtime.bpf.object import LoadSettings, Object, load
from runtime.bpf.testrun import pinned_to_cpu, send_xdp
from runtime.bpf.toolchain import compile_c

SOURCE = Path(__file__).with_name("flows.bpf.c")
FLOWS = {"forward_1": 1, "forward_4096": 4_096}
"""How many a mode has."""
WARM_UP = max(FLOWS.values())
"""So many packets of a turn do not count: once all flows."""
FIRST_RATE = 500_000
"""Packets a second, before a way has had its first turn."""
_PATIENCE_S, _LOOK_S = 0.5, 0.01
_ZERO = bytes(4)
_SCHEDULED = 2
"""CPUCLOCK_SCHED of the kernel: nanoseconds that the scheduler has counted (clock_getcpuclockid(3))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What comes in at a port, in words for messages as well."""

    name: str
    port: Port
    sent: Datagrams


class Forwarding:
    """Lanes with all flows known as connections."""

    def __init__(self, loaded: Object, lanes: Sequence[Lane]) -> None:
        self._loaded = loaded
        self._softirq = tuple(threads_named(f"ksoftirqd/{ONE_CPU}"))
        self._courses = {(mode, lane.way): _calls(lane, count) for mode, count in FLOWS.items() for lane in lanes}
        self._rates = dict[Course, float]()
        for lane in lanes:
            self._open(lane)

    def turn(self, mode: str, way: Way, milliseconds: int) -> Outcome:
        """Send about so long. Raises `TrafficError`, also when a packet is lost or arrives as it should not."""
        return self._timed(self._courses[mode, way], milliseconds)

    def bare(self, mode: str, way: Way, milliseconds: int) -> Outcome:
        """The same with nothing between, for a way that is direct: packets come in where they are counted."""
        port = Port(namespace=way.server, interface=WORKLOAD_INTERFACE)
        return self._timed(Course(name="no node", port=port, sent=self._courses[mode, way].sent), milliseconds)

    def _open(self, lane: Lane) -> None:
        """A packet of each flow and an answer to it. Ports of fewer flows are among them.

        Both ends have asked for each other before: while a neighbour is sought, nodes keep some hundred packets only.
        """
        count = max(FLOWS.values())
        answers = Course(name=f"{lane.way.name}, answers", port=lane.server_port, sent=answers_on(lane, count))
        self._send(_calls(lane, count), 1, is_shuffled=False)
        self._send(answers, 1, is_shuffled=False)

    def _timed(self, course: Course, milliseconds: int) -> Outcome:
        count = int(self._rates.get(course, FIRST_RATE) * milliseconds / 1000)
        outcome = self._send(course, count, is_shuffled=True)
        self._rates[course] = outcome.per_second
        return outcome

    def _send(self, course: Course, count: int, *, is_shuffled: bool) -> Outcome:
        """So many behind the first ones."""
        total, started = WARM_UP + count, self._loaded.map("sending")
        counters = self._loaded.map("counted")
        started.update(_ZERO, sending(course.sent, warm_up=WARM_UP, is_shuffled=is_shuffled))
        self._loaded.map("expected").update(_ZERO, expected(course.sent, total))
        counters.update(_ZERO, bytes(counters.details.buffer_size))
        cpu_ns = self._run(course, total)
        ns = self._arrived(course, total).ended_ns - begun_ns(started.lookup(_ZERO) or b"")
        return Outcome(count=count, ns=ns, cpu_ns=cpu_ns * count // total, p50=0, p99=0)

    def _run(self, course: Course, total: int) -> int:
        """Nanoseconds of the CPU."""
        with pinned_to_cpu(ONE_CPU), entered(course.port.namespace), _undisturbed():
            program, ifindex = self._loaded.program("send").fd, socket.if_nametoindex(course.port.interface)
            before = self._cpu_ns()
            send_xdp(program, course.sent.frame, ingress_ifindex=ifindex, count=total)
            return self._cpu_ns() - before

    def _cpu_ns(self) -> int:
        return time.thread_time_ns() + sum(time.clock_gettime_ns(~pid << 3 | _SCHEDULED) for pid in self._softirq)

    def _arrived(self, course: Course, total: int) -> Counted:
        end = time.monotonic() + _PATIENCE_S
        while True:
            found = counted(self._loaded.map("counted").lookup(_ZERO) or b"")
            if found[ONE_CPU].ended_ns:
                return found[ONE_CPU]
            if time.monotonic() > end:
                each = ", ".join(f"{one.packets:,}" for one in found)
                raise TrafficError(f"forwarding to {course.name}: {total:,} packets sent, counted by each CPU: {each}")
            time.sleep(_LOOK_S)


@contextmanager
def forwarding(lanes: Sequence[Lane]) -> Generator[Forwarding]:
    """Programs at all ends of these lanes, which are gone afterwards. Raises `TrafficError`."""
    with loaded_flows() as loaded, ExitStack() as undo:
        for space in dict.fromkeys(space for lane in lanes for space in (lane.way.client, lane.way.server)):
            with entered(space):
                ifindex = socket.if_nametoindex(WORKLOAD_INTERFACE)
                undo.callback(attach_tc(loaded.program("count"), ifindex, Hook.INGRESS).close)
        yield Forwarding(loaded, lanes)


def loaded_flows() -> Object:
    """The programs and maps of flows.bpf.c."""
    return load(
        compile_c(SOURCE.read_text(), name=SOURCE.name, include_dirs=[INCLUDE]), LoadSettings(name="bench_flows")
    )


def _calls(lane: Lane, count: int) -> Course:
    return Course(name=lane.way.name, port=lane.client_port, sent=calls_on(lane, count))


@contextmanager
def _undisturbed() -> Generator[None]:
    """Before all that has no priority of real time.

    Where others wait for the CPU, softirqs stop early and leave the rest to ksoftirqd, and queues overflow meanwhile.
    """
    policy, parameter = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError as problem:
        raise TrafficError(f"forwarding needs a priority of real time: {problem}") from problem
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameter)
