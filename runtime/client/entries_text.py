"""The entries of a device as P4Runtime text, the form that clients of P4Runtime read and write by hand."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf import text_format

from compiler.ir.entries import Entries
from compiler.ir.nodes import Pipeline
from compiler.span import NOWHERE
from runtime.client.contents import Contents
from runtime.client.plan import Entity, difference
from runtime.client.rendering import Renderer

HEADER = """\
# proto-file: p4/v1/p4runtime.proto
# proto-message: p4.v1.WriteRequest
"""


def entries_text(pipeline: Pipeline, entries: Entries, device_id: int) -> str:
    """A WriteRequest that fills an empty device, in an order that it accepts; each update under a comment."""
    contents, renderer = Contents(pipeline), Renderer(pipeline)
    parts = [HEADER, f"device_id: {device_id}\n"]
    steps = difference(Entries(), entries).steps
    for step, update in zip(steps, contents.updates(steps), strict=True):
        parts.extend(_comment(renderer, step.entity))
        parts.append(f"updates {{\n{_indented(text_format.MessageToString(update))}}}\n")
    return "".join(parts)


def _comment(renderer: Renderer, entity: Entity) -> Iterator[str]:
    yield f"\n# {renderer.name(entity)} {renderer.content(entity)}\n"
    if entity.span != NOWHERE:
        yield f"# {entity.span}\n"


def _indented(text: str) -> str:
    return "".join(f"  {line}\n" for line in text.splitlines())
