"""The harness around a program under test: fresh frames, alternating with an empty program. See wrapper.bpf.c."""

from __future__ import annotations

import struct
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from compiler.printers.ebpf.printing import INCLUDE
from runtime.bpf.chains import Hook
from runtime.bpf.object import LoadSettings, load
from runtime.bpf.program import Program
from runtime.bpf.testrun import SkbContext, SkbRun, XdpRun, run_skb, run_xdp
from runtime.bpf.toolchain import compile_c

SOURCE = Path(__file__).with_name("wrapper.bpf.c")
LOOPBACK = 1
"""The interface that test runs come in on."""
_SLOTS = ("target", "nothing", "grow", "shrink")
"""The places of the PROG_ARRAY; all but the first are programs of the wrapper's own."""
_PROGRESS = struct.Struct("=IIQ")
Frames = npt.NDArray[np.uint8]
"""One frame a row, all of one length, a multiple of 8."""


class HarnessError(Exception):
    """Harness and program do not fit; the text is fit to print."""


class Wrapper:
    """Frames for one program, which stays the caller's. Use it as a context."""

    def __init__(self, hook: Hook, target: Program, frames: Frames) -> None:
        count, length = frames.shape
        if length % 8:
            raise ValueError(f"frames are of {length} bytes, not a multiple of 8")
        elf = compile_c(
            SOURCE.read_text(),
            name=SOURCE.name,
            include_dirs=[INCLUDE],
            defines={f"TURNOUT_{hook.name}": "1", "FRAMES": str(count), "FRAME_BYTES": str(length)},
        )
        self._hook = hook
        self._first = frames[0].tobytes()
        self._loaded = load(elf, LoadSettings(name="bench_wrapper"))
        slots = self._loaded.map("programs")
        for slot, name in enumerate(_SLOTS):
            program = target if name == "target" else self._loaded.program(name)
            slots.update_fd(struct.pack("=I", slot), program.fd)
        self.write(frames)

    def __enter__(self) -> Wrapper:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._loaded.close()

    def write(self, frames: Frames) -> None:
        """Replace the frames by as many others, and start with the first."""
        raw = np.ascontiguousarray(frames).tobytes()
        with self._loaded.map("frames").memory() as memory:
            memory[: len(raw)] = raw
        self.rewind()

    def rewind(self) -> None:
        """Start with the first frame again."""
        self._loaded.map("progress").update(_ZERO, _PROGRESS.pack(0, 0, 0))

    def target(self, repeat: int, verdict: int) -> int:
        """Mean nanoseconds of a run, harness included. Raises `HarnessError` when the last run has another verdict."""
        ran = self._run("measure_target", repeat)
        if ran.verdict != verdict:
            raise HarnessError(f"the program says {ran.verdict}, not {verdict}")
        return ran.duration_ns

    def pass_by(self, repeat: int) -> None:
        """Run the program and ask neither for time nor verdict."""
        self._run("measure_target", repeat)

    def nothing(self, repeat: int) -> int:
        """The same with an empty program."""
        return self._run("measure_nothing", repeat).duration_ns

    def restoring(self, repeat: int, change: int) -> float:
        """Nanoseconds of the harness to undo a change of length by 50 bytes (longer 1, shorter -1, none 0)."""
        if not change:
            return 0.0
        changed = self._clocked("grow" if change > 0 else "shrink", repeat)
        return changed - self._clocked("nothing", repeat)

    def _clocked(self, name: str, repeat: int) -> float:
        before = self._progress()[2]
        self._run(f"measure_clocked_{name}", repeat)
        return (self._progress()[2] - before) / repeat

    def _run(self, name: str, repeat: int) -> SkbRun | XdpRun:
        program = self._loaded.program(name).fd
        if self._hook is Hook.XDP:
            ran = run_xdp(program, self._first, repeat=repeat)
        else:
            context = SkbContext(ifindex=LOOPBACK, ingress_ifindex=LOOPBACK)
            ran = run_skb(program, self._first, context, repeat=repeat)
        if lost := self._progress()[1]:
            raise HarnessError(f"{lost} runs of {repeat} had no fresh frame")
        return ran

    def _progress(self) -> tuple[int, int, int]:
        """Position, lost runs, nanoseconds of restoring."""
        raw = self._loaded.map("progress").lookup(_ZERO)
        if raw is None:
            raise HarnessError("the wrapper has no progress map")
        return _PROGRESS.unpack(raw)


_ZERO = struct.pack("=I", 0)
