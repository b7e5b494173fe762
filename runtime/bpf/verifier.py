"""Reading the verifier's log: the line that matters of a refusal, and the statistics of a success. Pure text work."""

from __future__ import annotations

import re
from dataclasses import dataclass

LOG_BRANCHES = 1  # BPF_LOG_LEVEL1: the path that failed
LOG_ALL = 2  # BPF_LOG_LEVEL2: every state
LOG_STATS = 4  # BPF_LOG_STATS

_STATISTICS = re.compile(
    r"^(processed \d+ insns|verification time \d+|stack depth [\d+]+|max_states_per_insn|mark_precise|from \d+ to \d+"
    r"|insns processed|BPF program load failed|regs=|parent |last_idx )"
)
_INSTRUCTION = re.compile(r"^\d+: \([0-9a-f]{2}\) ")
_STATE = re.compile(r"^(\d+: )?(R\d+(_\w+)?=|frame\d+: R\d|; )")
_PROGRESS = re.compile(
    r"^(Validating |Func#\d+ |caller:|callee:|returning from callee|to caller at|propagating |arg#\d+ type|func#\d+ @)"
)
_RECAP = re.compile(r"^(\(truncated|\.\.\.$|-- (BEGIN|END) )")


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierStats:
    """What one load cost. Numbers that the kernel did not tell are 0.

    `instructions` is what the kernel was given, with the functions that the program calls. `stack_depths` has one
    number of bytes for each function (main first); `xlated_bytes` counts 8 for an instruction after the verifier's
    rewrites, `jited_bytes` is machine code. `maps` counts those that its instructions name, dead ones too.
    """

    instructions: int = 0
    processed_insns: int = 0
    insns_limit: int = 0
    verification_us: int = 0
    stack_depths: tuple[int, ...] = ()
    total_states: int = 0
    peak_states: int = 0
    xlated_bytes: int = 0
    jited_bytes: int = 0
    maps: int = 0


def telling_line(log: str) -> str:
    """The line of a refusal's log that says why, empty when the log says nothing.

    The reason is the last line that is neither an instruction, a register state, a source comment, progress, nor one
    of the statistics at the end. The C line that the log names before it (`; return *p; @ file.c:7`) is
    appended; its place is there from 6.9 on.
    """
    lines = [line.strip() for line in log.splitlines()]
    for index in range(len(lines) - 1, -1, -1):
        line = lines[index]
        if line and not _is_noise(line):
            source = _source_before(lines, index)
            return f"{line} (at {source})" if source else line
    return ""


def _is_noise(line: str) -> bool:
    return any(pattern.match(line) for pattern in (_STATISTICS, _INSTRUCTION, _STATE, _PROGRESS, _RECAP))


def _source_before(lines: list[str], index: int) -> str:
    for line in reversed(lines[max(0, index - 40) : index]):
        if line.startswith("; "):
            source, _, place = line[2:].partition(" @ ")
            return f"{place}: `{source.strip()}`" if place else f"`{source.strip()}`"
    return ""


def read_stats(log: str) -> VerifierStats:
    """Statistics out of a log of level `LOG_STATS`. Where a log holds several programs, the last one counts."""
    depths = _last(r"^stack depth ([\d+]+)", log)
    return VerifierStats(
        processed_insns=int(_last(r"^processed (\d+) insns", log) or 0),
        insns_limit=int(_last(r"^processed \d+ insns \(limit (\d+)\)", log) or 0),
        verification_us=int(_last(r"^verification time (\d+) usec", log) or 0),
        stack_depths=tuple(int(depth) for depth in depths.split("+")) if depths else (),
        total_states=int(_last(r" total_states (\d+)", log) or 0),
        peak_states=int(_last(r" peak_states (\d+)", log) or 0),
    )


def _last(pattern: str, log: str) -> str:
    found = re.findall(pattern, log, re.MULTILINE)
    return found[-1] if found else ""
