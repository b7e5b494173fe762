"""What the kernel target needs in tests: the pipeline's object, and a namespace with ports."""

from __future__ import annotations

import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache

from compiler.ir.nodes import Pipeline
from compiler.printers.ebpf.printing import INCLUDE, print_c
from runtime.bpf.toolchain import compile_c

NAMESPACE, FAR = "cfm-dpu", "cfm-far"
PORTS = {1: "up1", 16: "rep16", 17: "rep17"}


@cache
def compiled_tc(pipeline: Pipeline) -> bytes:
    return compile_c(print_c(pipeline), name="pipeline.bpf.c", include_dirs=[INCLUDE], defines={"TURNOUT_TC": "1"})


@contextmanager
def topology() -> Generator[list[str]]:
    """Namespaces `NAMESPACE` and `FAR`, joined by a veth pair for each port; the arguments that name the ports."""
    _remove()
    try:
        for name in (NAMESPACE, FAR):
            _ip("netns", "add", name)
        for interface in PORTS.values():
            _ip("link", "add", interface, "netns", NAMESPACE, "type", "veth", "peer", interface, "netns", FAR)
            _ip("-n", NAMESPACE, "link", "set", interface, "up")
            _ip("-n", FAR, "link", "set", interface, "up")
        yield [part for number, name in PORTS.items() for part in ("--port", f"{number}={name}")]
    finally:
        _remove()


def _remove() -> None:
    for name in (NAMESPACE, FAR):
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
