"""What the kernel target needs in tests: the pipeline's object, and a namespace with ports."""

from __future__ import annotations

import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from finsy.proto import p4r

from compiler.ir.nodes import Pipeline
from compiler.printers.bundle import write_bundle
from compiler.printers.ebpf.printing import INCLUDE, print_c
from compiler.printers.p4info import p4info
from runtime.bpf.toolchain import compile_c

PORTS = {1: "up1", 16: "rep16", 17: "rep17"}
ADDRESS = "10.0.0.{}"
"""Of the far end of a port."""


@cache
def compiled_tc(pipeline: Pipeline) -> bytes:
    return compile_c(print_c(pipeline), name="pipeline.bpf.c", include_dirs=[INCLUDE], defines={"TURNOUT_TC": "1"})


def config_of(pipeline: Pipeline, target: str) -> p4r.ForwardingPipelineConfig:
    """A configuration that the target takes."""
    tc = compiled_tc(pipeline) if target == "kernel" else None
    return p4r.ForwardingPipelineConfig(p4info=p4info(pipeline), p4_device_config=write_bundle(pipeline, tc=tc))


@dataclass(frozen=True, kw_only=True)
class Topology:
    """A namespace with the ports of `PORTS`, and one behind each; there the veth is `eth0`, 02:00:00:00:00:PORT."""

    prefix: str

    @property
    def namespace(self) -> str:
        return f"{self.prefix}-dpu"

    def behind(self, port: int) -> str:
        return f"{self.prefix}-far{port}"

    def set_link(self, port: int, *, is_up: bool) -> None:
        """As when the cable of a port is pulled, or put in again."""
        _ip("-n", self.behind(port), "link", "set", "eth0", "up" if is_up else "down")

    @property
    def arguments(self) -> list[str]:
        return [part for number, name in PORTS.items() for part in ("--port", f"{number}={name}")]


@contextmanager
def topology(prefix: str) -> Generator[Topology]:
    """Made for the block; a prefix is used by one at a time."""
    made = Topology(prefix=prefix)
    _remove(made)
    try:
        _ip("netns", "add", made.namespace)
        for number in PORTS:
            _ip("netns", "add", made.behind(number))
            add_port(made, number)
        yield made
    finally:
        _remove(made)


def add_port(made: Topology, number: int) -> None:
    """Its interface, and that of the far end: at first, and when it was removed."""
    interface, far = PORTS[number], made.behind(number)
    _ip("link", "add", interface, "netns", made.namespace, "type", "veth", "peer", "eth0", "netns", far)
    # Without an address of its own making, nothing is sent but what a test sends.
    _ip("-n", far, "link", "set", "eth0", "addrgenmode", "none")
    _ip("-n", far, "link", "set", "eth0", "address", f"02:00:00:00:00:{number:02x}", "up")
    _ip("-n", far, "address", "add", f"{ADDRESS.format(number)}/24", "dev", "eth0")
    _ip("-n", far, "route", "add", "default", "via", ADDRESS.format(254))
    _ip("-n", made.namespace, "link", "set", interface, "up")


def _remove(made: Topology) -> None:
    for name in (made.namespace, *(made.behind(number) for number in PORTS)):
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
