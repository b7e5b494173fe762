"""What the kernel target needs in tests: the pipeline's object, and a namespace with ports."""

from __future__ import annotations

import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache

from compiler.ir.nodes import Pipeline
from compiler.printers.ebpf.printing import INCLUDE, print_c
from runtime.bpf.toolchain import compile_c

NAMESPACE = "cfm-dpu"
FAR = "cfm-far{}"
"""One namespace behind each port, its end of the veth named `eth0` with MAC 02:00:00:00:00:PORT."""
PORTS = {1: "up1", 16: "rep16", 17: "rep17"}
ADDRESS = "10.0.0.{}"
"""Of the far end of a port."""


@cache
def compiled_tc(pipeline: Pipeline) -> bytes:
    return compile_c(print_c(pipeline), name="pipeline.bpf.c", include_dirs=[INCLUDE], defines={"TURNOUT_TC": "1"})


@contextmanager
def topology() -> Generator[list[str]]:
    """Namespace `NAMESPACE` with the ports, and one behind each; the arguments that name the ports."""
    _remove()
    try:
        _ip("netns", "add", NAMESPACE)
        for number, interface in PORTS.items():
            far = FAR.format(number)
            _ip("netns", "add", far)
            _ip("link", "add", interface, "netns", NAMESPACE, "type", "veth", "peer", "eth0", "netns", far)
            _ip("-n", far, "link", "set", "eth0", "address", f"02:00:00:00:00:{number:02x}", "up")
            _ip("-n", far, "address", "add", f"{ADDRESS.format(number)}/24", "dev", "eth0")
            _ip("-n", far, "route", "add", "default", "via", ADDRESS.format(254))
            _ip("-n", NAMESPACE, "link", "set", interface, "up")
        yield [part for number, name in PORTS.items() for part in ("--port", f"{number}={name}")]
    finally:
        _remove()


def _remove() -> None:
    for name in (NAMESPACE, *(FAR.format(number) for number in PORTS)):
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
