"""Copies of packets in the v1model program: what the ingress says of them, and what becomes of each in the egress.

BMv2 copies a packet behind the ingress. A clone is parsed anew, and of its metadata only the fields of a field list are
kept; the replicas of a group keep all.
"""

from __future__ import annotations

from dataclasses import dataclass

from compiler.ir.controller import PACKET_IN
from compiler.ir.expressions import Expr
from compiler.ir.nodes import Pipeline
from compiler.ir.statements import Clone, Multicast
from compiler.ir.walking import all_statements, clones
from compiler.printers.p4.expressions import ExpressionPrinter
from compiler.printers.p4.identifiers import Identifiers
from compiler.printers.p4.view import Lines

_FIELD_LIST = 1
_INGRESS_CLONE, _REPLICATION = "1", "5"
"""Values of `instance_type` that BMv2 gives, which v1model.p4 has no names for."""


@dataclass(frozen=True, kw_only=True)
class CopyPrinter:
    """`said` and `cloned` are the metadata of what the copies of groups and clones say to the controller, by its name.

    BMv2 reads a clone's metadata behind the ingress, so they have fields of their own. `not_back` is that of a group's
    copies; empty if none has it.
    """

    pipeline: Pipeline
    said: dict[str, str]
    cloned: dict[str, str]
    not_back: str

    def metadata(self) -> Lines:
        header = self.pipeline.packet_in
        widths = {f.name: f.width_bits for f in header.fields} if header is not None else {}
        return (
            *(f"bit<{widths[name]}> {field};" for name, field in self.said.items()),
            *(f"@field_list({_FIELD_LIST}) bit<{widths[name]}> {field};" for name, field in self.cloned.items()),
            *((f"bit<1> {self.not_back};",) if self.not_back else ()),
        )

    def clone(self, statement: Clone, session: str, expressions: ExpressionPrinter) -> list[str]:
        if not self.cloned:
            return [f"clone(CloneType.I2E, (bit<32>){session});"]
        said = _say(self.cloned, statement.values, expressions)
        return [*said, f"clone_preserving_field_list(CloneType.I2E, (bit<32>){session}, {_FIELD_LIST});"]

    def multicast(
        self, statement: Multicast, group: str, dropped: list[str], expressions: ExpressionPrinter
    ) -> list[str]:
        """Group 0 is no group to BMv2, and the packet would leave as if there were none."""
        said = _say(self.said, statement.values, expressions)
        back = [f"meta.{self.not_back} = 1;"] if statement.not_back else []
        return [
            f"if ({group} == 0) {{",
            *(f"    {line}" for line in dropped),
            "} else {",
            *(f"    {line}" for line in (*said, *back, f"standard.mcast_grp = {group};")),
            "}",
        ]

    def egress(self) -> Lines:
        """What is done with each copy, once it has its port."""
        lines: list[str] = []
        if self.not_back:
            lines += [
                f"if (standard.instance_type == {_REPLICATION} && meta.{self.not_back} == 1",
                "    && standard.egress_port == standard.ingress_port) {",
                "    mark_to_drop(standard);",
                "}",
            ]
        return (*lines, *_to_controller(_REPLICATION, self.said), *_to_controller(_INGRESS_CLONE, self.cloned))


def _to_controller(instance_type: str, said: dict[str, str]) -> Lines:
    if not said:
        return ()
    values = [f"        {name} = meta.{field}" for name, field in said.items()]
    return (
        f"if (standard.instance_type == {instance_type} && standard.egress_port == CPU_PORT) {{",
        f"    hdr.{PACKET_IN} = {{",
        *(f"{value}," for value in values[:-1]),
        values[-1],
        "    };",
        "}",
    )


def _say(fields: dict[str, str], values: tuple[tuple[str, Expr], ...], expressions: ExpressionPrinter) -> list[str]:
    given = dict(values)
    return [
        f"meta.{field} = {expressions.value(given[name]) if name in given else '0'};" for name, field in fields.items()
    ]


def copy_printer(pipeline: Pipeline, ids: Identifiers, sums_field: str) -> CopyPrinter:
    scope = ids.metadata_scope.copy()
    scope.allocate(sums_field)
    names = pipeline.packet_in.names if pipeline.packet_in is not None else ()
    groups = [s for s in all_statements(pipeline) if isinstance(s, Multicast)]
    return CopyPrinter(
        pipeline=pipeline,
        said={name: scope.allocate(f"said_{name}") for name in (names if groups else ())},
        cloned={name: scope.allocate(f"cloned_{name}") for name in (names if clones(pipeline) else ())},
        not_back=scope.allocate("not_back") if any(s.not_back for s in groups) else "",
    )
