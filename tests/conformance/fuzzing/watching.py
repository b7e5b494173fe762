"""What a device's process holds: descriptors, threads, memory. It must not go on growing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

GROWTH_MIB = 48
"""Allocators keep what they had once; a leak of a few kilobytes a batch is far above this after some minutes."""

GROWTH_THREADS = 8
"""Pools get their threads when they first have so much to do at once: asyncio's six (with two CPUs), gRPC's a few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    descriptors: int
    threads: int
    memory_mib: float

    def growth_since(self, before: Held) -> str | None:
        """In words, None when it is no more than it should be."""
        if self.descriptors > before.descriptors + 2:
            return f"{self.descriptors} descriptors are open, {before.descriptors} were"
        if self.threads > before.threads + GROWTH_THREADS:
            return f"{self.threads} threads run, {before.threads} did"
        if self.memory_mib > before.memory_mib + GROWTH_MIB:
            return f"{self.memory_mib:.0f} MiB are resident, {before.memory_mib:.0f} were"
        return None


def held_by(pid: int) -> Held:
    process = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return Held(
        descriptors=len(list((process / "fd").iterdir())),
        threads=int(status["Threads"]),
        memory_mib=int(status["VmRSS"].split()[0]) / 1024,
    )
