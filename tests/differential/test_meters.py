"""Meters in the kernel against the interpreter: packets of the same nanoseconds get the same colours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from compiler.ir.entries import MeterConfig
from compiler.ir.interpreter import VerdictKind
from compiler.ir.interpreter.matching import NS_PER_MS
from compiler.ir.metering import MAX_RATE, NS_PER_S
from runtime.bpf.chains import Hook
from runtime.verification.interpreter_level import InterpreterLevel
from runtime.verification.testrun_level import TestRunLevel
from runtime.verification.vector import PacketIn
from tests.differential.metered import colors, frame, metered, workload

pytestmark = [pytest.mark.root, pytest.mark.slow]
_PORTS, _WORKLOADS = (1, 2), (0x0A, 0x0B)


class Rig:
    """Both levels, kept in step."""

    def __init__(self, kernel: TestRunLevel) -> None:
        self.kernel = kernel
        self.begin()

    def begin(self) -> None:
        self.interpreter = InterpreterLevel(metered())
        self.levels = (self.interpreter, self.kernel)
        self.kernel.clear()
        self.at(1_000 * NS_PER_S)

    def at(self, now_ns: int) -> None:
        self.now_ns = now_ns
        for level in self.levels:
            level.set_time(*divmod(now_ns, NS_PER_MS))

    def wait(self, ns: int) -> None:
        self.at(self.now_ns + ns)

    def configure(self, meter: str, index: int, config: MeterConfig | None) -> None:
        for level in self.levels:
            level.configure_meter(meter, index, config)

    def send(self, port: int, source: int, length: int) -> tuple[int, int, int]:
        """The colours, on which both levels agree."""
        packet = PacketIn(port=port, frame=frame(source, length))
        wanted, got = (level.process(packet) for level in self.levels)
        assert (got.verdict, got.egress_port) == (wanted.verdict, wanted.egress_port)
        assert got.verdict is VerdictKind.FORWARD
        return colors(got.egress_port)

    def compare_state(self, entries: set[int]) -> None:
        for meter in ("line", "excess"):
            for port in _PORTS:
                tallies = [level.meter_tallies(meter, port) for level in self.levels]
                assert _numbers(tallies[1]) == _numbers(tallies[0])
        for source in entries:
            key = workload(source).key
            assert _numbers(self.kernel.direct_meter_tallies(key)) == _numbers(
                self.interpreter.direct_meter_tallies(key)
            )
            assert self.kernel.seen_ms(key) == self.interpreter.seen_ms(key)


class _Counted(Protocol):
    @property
    def packets(self) -> int: ...

    @property
    def bytes(self) -> int: ...


def _numbers(tallies: tuple[_Counted, ...]) -> list[tuple[int, int]]:
    return [(one.packets, one.bytes) for one in tallies]


@pytest.fixture(scope="module", params=Hook, ids=lambda hook: hook.name)
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with TestRunLevel(metered(), request.param) as kernel:
        yield Rig(kernel)


@dataclass(frozen=True)
class Send:
    port: int
    source: int
    length: int


@dataclass(frozen=True)
class Wait:
    ns: int


@dataclass(frozen=True)
class Configure:
    meter: str
    index: int
    config: MeterConfig | None


@dataclass(frozen=True)
class Write:
    source: int
    config: MeterConfig | None


@dataclass(frozen=True)
class Delete:
    source: int


Step = Send | Wait | Configure | Write | Delete
_RATES = st.one_of(
    st.integers(0, 2_000),
    st.sampled_from([0, 1, 1_000_000, 12_500_000_000, MAX_RATE - 1, MAX_RATE, (1 << 63) - 1]),
    st.integers(0, (1 << 63) - 1),
)
_BURSTS = st.one_of(st.integers(1, 5_000), st.sampled_from([1, 1500, (1 << 62) - 1, (1 << 63) - 1]))
_CONFIGS = st.none() | st.builds(MeterConfig, cir=_RATES, cburst=_BURSTS, pir=_RATES, pburst=_BURSTS, eburst=_BURSTS)
_WAITS = st.one_of(
    st.integers(0, 100), st.integers(0, NS_PER_S), st.sampled_from([0, NS_PER_S, 1 << 40, 1 << 50, (1 << 60)])
)
_STEPS = st.lists(
    st.one_of(
        st.builds(Send, st.sampled_from(_PORTS), st.sampled_from(_WORKLOADS), st.integers(60, 1500)),
        st.builds(Send, st.sampled_from(_PORTS), st.sampled_from(_WORKLOADS), st.integers(60, 1500)),
        st.builds(Wait, _WAITS),
        st.builds(Configure, st.sampled_from(["line", "excess"]), st.sampled_from(_PORTS), _CONFIGS),
        st.builds(Write, st.sampled_from(_WORKLOADS), _CONFIGS),
        st.builds(Delete, st.sampled_from(_WORKLOADS)),
    ),
    max_size=40,
)
_SMALL = MeterConfig(cir=1, cburst=2, pir=2, pburst=3, eburst=4)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([Configure("line", 1, _SMALL), *[Send(1, 10, 60)] * 5, Wait(NS_PER_S), *[Send(1, 10, 60)] * 3])
@given(_STEPS)
def test_any_packets_get_the_colors_of_the_interpreter(rig: Rig, steps: list[Step]) -> None:
    rig.begin()
    entries: set[int] = set()
    for step in steps:
        _take(rig, step, entries)
    rig.compare_state(entries)


def _take(rig: Rig, step: Step, entries: set[int]) -> None:
    match step:
        case Send(port, source, length):
            rig.send(port, source, length)
        case Wait(ns):
            rig.at(min(rig.now_ns + ns, (1 << 62) - 1))
        case Configure(meter, index, config):
            rig.configure(meter, index, config)
        case Write(source, config):
            for level in rig.levels:
                (level.modify if source in entries else level.insert)(workload(source, config))
            entries.add(source)
        case Delete(source):
            if source in entries:
                for level in rig.levels:
                    level.delete(workload(source))
            entries.discard(source)
