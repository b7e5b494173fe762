"""What the kernel refuses of a map, as what a controller is told."""

from __future__ import annotations

import errno
from collections.abc import Generator
from contextlib import contextmanager

from runtime.bpf.errors import KernelRefusal
from runtime.device.refusals import exhausted, internal


@contextmanager
def refusals_of(what: str) -> Generator[None]:
    """Around changes of a map; `what` names the table or counter. Raises RESOURCE_EXHAUSTED, INTERNAL."""
    try:
        yield
    except KernelRefusal as refusal:
        if refusal.errno in (errno.E2BIG, errno.ENOSPC):
            raise exhausted(f"{what}: the kernel's map is full") from refusal
        if refusal.errno == errno.ENOMEM:
            raise exhausted(f"{what}: the kernel has no memory for another entry") from refusal
        raise internal(f"{what}: {refusal}") from refusal
