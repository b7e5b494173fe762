"""Packets to and from controllers in the v1model program: headers in front of frames that cross the CPU port.

BMv2's P4Runtime server puts a packet-out's metadata in front of its frame and takes a packet-in's off again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from compiler.ir.controller import (
    CPU_PORT,
    EGRESS_PORT,
    PACKET_IN,
    PACKET_OUT,
    PADDING,
    SUBMIT_TO_INGRESS,
    ControllerHeader,
)
from compiler.ir.nodes import Pipeline
from compiler.printers.p4.annotations import comment, renamed
from compiler.printers.p4.identifiers import Identifiers
from compiler.printers.p4.view import DeclarationView, Lines, StateView

_DOCS = {
    PACKET_IN: "In front of a frame on its way to the controller.",
    PACKET_OUT: "In front of a frame that comes from the controller.",
}
_FRAME, _FROM_CONTROLLER = "frame", "from_controller"
"""What the first states are called."""


@dataclass(frozen=True, kw_only=True)
class ControllerPrinter:
    pipeline: Pipeline
    ids: Identifiers

    def constants(self) -> tuple[DeclarationView, ...]:
        if not self.pipeline.controller_headers:
            return ()
        words = "The controller: BMv2 is started with --cpu-port, and this number."
        return (DeclarationView(comment=comment(words), lines=(f"const bit<9> CPU_PORT = {CPU_PORT};",)),)

    def types(self) -> tuple[DeclarationView, ...]:
        return tuple(self._type(name, header) for name, header in self.pipeline.controller_headers.items())

    def headers(self) -> Lines:
        return tuple(f"{self.ids.controller_types[name]} {name};" for name in self.pipeline.controller_headers)

    def states(self, states: tuple[StateView, ...], start: Lines) -> tuple[StateView, ...]:
        """The parser, which first takes a packet-out's header off; `start` is what the first state does before all."""
        header = self.pipeline.packet_out
        if header is None:
            return states
        taken = {view.name for view in states}
        frame, controller = (_free(name, taken) for name in (_FRAME, _FROM_CONTROLLER))
        first = StateView(
            comment=(),
            name="start",
            lines=(
                *start,
                "transition select(standard.ingress_port) {",
                f"    CPU_PORT: {controller};",
                f"    default: {frame};",
                "}",
            ),
        )
        return (
            first,
            StateView(comment=comment(_DOCS[PACKET_OUT]), name=controller, lines=_behind(header, frame)),
            replace(states[0], name=frame, lines=states[0].lines[len(start) :]),
            *states[1:],
        )

    def received(self) -> Lines:
        """What is done with a packet-out before all else."""
        header = self.pipeline.packet_out
        if header is None:
            return ()
        out = f"hdr.{PACKET_OUT}"
        port = next(field for field in header.fields if field.name == EGRESS_PORT)
        given = f"(bit<{port.width_bits}>){out}.{EGRESS_PORT}" if port.type else f"{out}.{EGRESS_PORT}"
        sent = (f"standard.egress_spec = (bit<9>){given};", f"{out}.setInvalid();", "exit;")
        if SUBMIT_TO_INGRESS not in header.names:
            return (f"if ({out}.isValid()) {{", *(f"    {line}" for line in sent), "}")
        return (
            f"if ({out}.isValid()) {{",
            f"    if ({out}.{SUBMIT_TO_INGRESS} == 0) {{",
            *(f"        {line}" for line in sent),
            "    }",
            f"    {out}.setInvalid();",
            "}",
        )

    def _type(self, name: str, header: ControllerHeader) -> DeclarationView:
        fields = (
            f"    {'@padding ' if f.name.startswith(PADDING) else ''}@id({f.id}) {renamed(f.name, own)}"
            f"{f.type or f'bit<{f.width_bits}>'} {own};"
            for f in header.fields
            for own in (self.ids.controller_fields[name, f.name],)
        )
        lines = (f'@controller_header("{name}")', f"header {self.ids.controller_types[name]} {{", *fields, "}")
        return DeclarationView(comment=comment(header.doc or _DOCS[name]), lines=lines)


def _behind(header: ControllerHeader, frame: str) -> Lines:
    """A frame that goes out as it is needs no parsing."""
    extract = f"packet.extract(hdr.{PACKET_OUT});"
    if SUBMIT_TO_INGRESS not in header.names:
        return (extract, "transition accept;")
    select = f"transition select(hdr.{PACKET_OUT}.{SUBMIT_TO_INGRESS}) {{"
    return (extract, select, f"    1: {frame};", "    default: accept;", "}")


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name
