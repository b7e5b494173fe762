"""The hand-written load balancer of reference.bpf.c, that the pipeline is compared with in the same rounds."""

from __future__ import annotations

import struct
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from bench.packets.addresses import REMOTE_BACKENDS, TARGET_PORT, UNDERLAY_HERE, UNDERLAY_THERE, remote_backend
from compiler.printers.ebpf.printing import INCLUDE
from runtime.bpf.object import LoadSettings, load
from runtime.bpf.program import Program
from runtime.bpf.toolchain import compile_c

SOURCE = Path(__file__).with_name("reference.bpf.c")
NAME = "hand-written, LRU_HASH"
XDP_TX = 3


@contextmanager
def loaded_reference(flows: int) -> Generator[Program]:
    """The program, with room for twice as many connections as flows."""
    elf = compile_c(
        SOURCE.read_text(),
        name=SOURCE.name,
        include_dirs=[INCLUDE],
        defines={"CONNECTIONS": str(max(2 * flows, 1 << 17))},
    )
    with load(elf, LoadSettings(name="bench_reference")) as loaded:
        for number in range(REMOTE_BACKENDS):
            backend = struct.pack("=4I", remote_backend(4, number), TARGET_PORT, UNDERLAY_HERE, UNDERLAY_THERE)
            loaded.map("backends").update(struct.pack("=I", number), backend)
        yield loaded.program("reference")
