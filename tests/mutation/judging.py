"""What becomes of a mutant: which check caught it, or why none had to. Runs in processes of its own, one a CPU.

An interpreter's mutant that no packet tells from the right one meets the unit tests, which ask more of it than packets.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import cache
from types import FrameType
from typing import Protocol

from compiler.ir.nodes import Pipeline
from runtime.bpf.chains import Hook
from runtime.bpf.errors import BpfError, CompileError
from runtime.verification.interpreter_level import InterpreterLevel
from runtime.verification.testrun_level import TestRunLevel
from tests.mutation.catalogue import is_worth_running, source
from tests.mutation.checks import checks, first_failing
from tests.mutation.code_faults import applied
from tests.mutation.mutant import ChangedPipeline, CodeMutant, InC, Kind, Mutant, PipelineMutant
from tests.mutation.named import NAMED
from tests.mutation.objects import is_same_code, mutant_object, right_object
from tests.mutation.planting import failing_unit_test

LONGEST_S = 60
"""Of a CPU's time, where a fault makes a loop endless."""


class Fate(Enum):
    CAUGHT = "caught"
    REFUSED = "refused"
    """By the compiler, or by the kernel's verifier: nobody can run it."""
    SAME = "the same program"
    SURVIVED = "not caught"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """`by` names the check that caught it, or who refused it."""

    mutant: str
    kind: Kind
    fate: Fate
    by: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        by = f" by {self.by}" if self.by else ""
        return f"{self.mutant}: {self.fate.value}{by} ({self.seconds:.1f} s)"


class Stuck(BaseException):
    """A mutant takes too long; no `except Exception` of its own may hide it."""


class _Turn(Protocol):
    """A number that processes share."""

    value: int

    def get_lock(self) -> AbstractContextManager[object]: ...


@contextmanager
def judges(processes: int) -> Generator[ProcessPoolExecutor]:
    """Processes to judge in, each pinned to a CPU, with a program of its own loaded."""
    context = multiprocessing.get_context("spawn")
    turn = context.Value("i", 0)
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_take_a_cpu, initargs=(turn,)) as pool:
        yield pool


def submitted(
    pool: ProcessPoolExecutor, mutants: Iterable[Mutant], *, on_interpreter: bool = False
) -> Iterator[tuple[Mutant, Future[Judgement]]]:
    for mutant in mutants:
        if isinstance(mutant, ChangedPipeline):
            yield mutant, pool.submit(_named_judged, mutant.name)
        else:
            yield mutant, pool.submit(judged, mutant, on_interpreter=on_interpreter)


def _named_judged(name: str) -> Judgement:
    """What is written by hand holds functions, which do not travel."""
    return judged(next(mutant for mutant in NAMED if mutant.name == name))


def judged(mutant: Mutant, *, on_interpreter: bool = False) -> Judgement:
    """`on_interpreter`: a pipeline's mutant is run by the interpreter too, in a fraction of a compiler's time."""
    start = time.monotonic()
    try:
        with _at_most(LONGEST_S):
            fate, by = _fate(mutant, on_interpreter)
    except Stuck:
        fate, by = Fate.CAUGHT, f"the clock: it ran for more than {LONGEST_S} s"
    seconds = time.monotonic() - start
    return Judgement(mutant=mutant.name, kind=mutant.kind, fate=fate, by=by, seconds=seconds)


def _fate(mutant: Mutant, on_interpreter: bool) -> tuple[Fate, str]:
    match mutant:
        case CodeMutant():
            return _code_fate(mutant)
        case PipelineMutant() if on_interpreter:
            return _meaning_fate(mutant)
        case _:
            return _program_fate(mutant)


def _meaning_fate(mutant: PipelineMutant) -> tuple[Fate, str]:
    if not is_worth_running(mutant):
        return Fate.REFUSED, "the verifier of the IR"
    by = first_failing(checks(_OtherMeaning(mutant.change(source()))))
    return (Fate.CAUGHT, by) if by else (Fate.SURVIVED, "")


def _program_fate(mutant: InC) -> tuple[Fate, str]:
    if not is_worth_running(mutant):
        return Fate.REFUSED, "the verifier of the IR"
    try:
        elf = mutant_object(mutant, source(), mutant.hook)
    except CompileError:
        return Fate.REFUSED, "the compiler"
    if is_same_code(elf, right_object(source(), mutant.hook)):
        return Fate.SAME, ""
    try:
        level = TestRunLevel(source(), mutant.hook, elf=elf)
    except BpfError:
        return Fate.REFUSED, "the kernel"
    with level:
        by = first_failing(checks(level))
    return (Fate.CAUGHT, by) if by else (Fate.SURVIVED, "")


def _code_fate(mutant: CodeMutant) -> tuple[Fate, str]:
    level = _right_program()
    with applied(mutant):
        by = first_failing(checks(level))
    by = by or failing_unit_test(mutant)
    return (Fate.CAUGHT, by) if by else (Fate.SURVIVED, "")


class _OtherMeaning(InterpreterLevel):
    """Runs another pipeline than the one that it is compared as."""

    def __init__(self, other: Pipeline) -> None:
        self._other = other
        super().__init__(source())

    def clear(self) -> None:
        right, self.pipeline = self.pipeline, self._other
        super().clear()
        self.pipeline = right


@cache
def _right_program() -> TestRunLevel:
    return TestRunLevel(source(), Hook.TC)


@contextmanager
def _at_most(seconds: int) -> Generator[None]:
    def give_up(number: int, frame: FrameType | None) -> None:
        raise Stuck

    before = signal.signal(signal.SIGPROF, give_up)
    # Again and again: where the signal meets a callback of the collector, Python passes the exception over.
    signal.setitimer(signal.ITIMER_PROF, seconds, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _take_a_cpu(turn: _Turn) -> None:
    with turn.get_lock():
        number, turn.value = turn.value, turn.value + 1
    cpus = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpus[number % len(cpus)]})
