"""From a pipeline to what a device loads: the printed C compiled for tc and XDP, and the bundle that carries it.

Compiled objects are kept by `runtime.bpf.toolchain`, so building the same pipeline again takes no compiler's time.
Called by `turnout compile`, `turnout apply` and tests.
"""

from __future__ import annotations

from collections.abc import Mapping

from compiler.ir.nodes import Pipeline
from compiler.ir.walking import clones, multicasts
from compiler.printers.bundle import write_bundle
from compiler.printers.ebpf.printing import INCLUDE, print_c
from runtime.bpf.chains import Hook
from runtime.bpf.toolchain import compile_c

SOURCE_NAME = "pipeline.bpf.c"


def compile_source(source: str, hook: Hook, *, defines: Mapping[str, str] | None = None) -> bytes:
    """The ELF of printed C for one hook. Raises `ToolchainMissing`, `CompileError`."""
    chosen = {f"TURNOUT_{hook.name}": "1", **(defines or {})}
    return compile_c(source, name=SOURCE_NAME, include_dirs=(INCLUDE,), defines=chosen)


def build_objects(pipeline: Pipeline) -> dict[Hook, bytes]:
    """The objects of a pipeline, as a bundle carries them. Raises as `compile_source` does.

    Of one that makes copies of packets there is none for XDP, which cannot send a packet twice.
    """
    source, copies = print_c(pipeline), multicasts(pipeline) or clones(pipeline)
    return {hook: compile_source(source, hook) for hook in Hook if not (copies and hook is Hook.XDP)}


def build_bundle(pipeline: Pipeline, verification: bytes | None = None) -> bytes:
    """The bundle of a pipeline with its objects. Raises as `compile_source` does.

    Comments about policies stay out: they would move the line numbers in the objects, and equal pipelines have equal
    bundles.
    """
    objects = build_objects(pipeline)
    return write_bundle(pipeline, tc=objects[Hook.TC], xdp=objects.get(Hook.XDP), verification=verification)
