"""Packets on two CPUs while a test does something else."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from runtime.bpf.testrun import pinned_to_cpu


@contextmanager
def sending(send: Callable[[], None]) -> Generator[None]:
    """`send` is called again and again on each, for as long as the block takes."""
    is_over = threading.Event()

    def run(cpu: int) -> None:
        with pinned_to_cpu(cpu):
            while not is_over.is_set():
                send()

    threads = [threading.Thread(target=run, args=(cpu,)) for cpu in sorted(os.sched_getaffinity(0))[:2]]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
