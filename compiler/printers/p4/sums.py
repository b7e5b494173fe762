"""The checksum work of a pipeline in the words of a program: the fields of `sums_t`, the complements made in front of
the pipeline, the conditions and lists of what is computed behind it. Both profiles print it from this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from compiler.ir.names import Names
from compiler.ir.nodes import Pipeline
from compiler.printers.p4.checksums import Group, RewritePlan, Update, rewrite_plan
from compiler.printers.p4.cutting import Computation, computations
from compiler.printers.p4.expressions import sized
from compiler.printers.p4.identifiers import Identifiers, Scope
from compiler.printers.p4.paths import header_sets
from compiler.printers.p4.view import Lines


@dataclass(frozen=True, slots=True, kw_only=True)
class SumView:
    """One checksum to set: when, where, and over which list."""

    comment: str
    condition: str
    data: Lines
    target: str


@dataclass(frozen=True, kw_only=True)
class Sums:
    """Names of the flags and complements, as `meta.sums.x`."""

    plan: RewritePlan
    computed: tuple[Computation, ...]
    updates: Mapping[str, str]
    """The flag that a rewrite sets, by holder."""
    computes: Mapping[str, str]
    """The flag that a push sets, by holder; only for headers that may also be parsed."""
    complements: Mapping[Group, str]
    field: str
    """The field of the metadata that holds them all."""

    def flag(self, name: str) -> str:
        return f"meta.{self.field}.{name}"

    def declarations(self) -> Lines:
        flags = tuple(f"bit<1> {name};" for name in (*self.updates.values(), *self.computes.values()))
        groups = tuple(f"bit<{group.width_bits}> {name};" for group, name in self.complements.items())
        return (*flags, *groups)


def sums(pipeline: Pipeline, ids: Identifiers) -> Sums:
    plan, computed, scope = rewrite_plan(pipeline), computations(pipeline), Scope()
    parsed = frozenset[str]().union(*header_sets(pipeline))
    flagged = dict.fromkeys(c.holder for c in computed if c.holder in parsed)
    return Sums(
        plan=plan,
        computed=computed,
        updates={holder: scope.allocate(f"update_{holder}") for holder in plan.holders},
        computes={holder: scope.allocate(f"compute_{holder}") for holder in flagged},
        complements={g: scope.allocate(f"not_{g.name}") for _, groups in plan.complements for g in groups},
        field=ids.metadata_scope.copy().allocate("sums"),
    )


@dataclass(frozen=True, kw_only=True)
class SumPrinter:
    names: Names
    ids: Identifiers
    sums: Sums

    def complements(self) -> Lines:
        """Remember what RFC 1624 needs of the packet as it came."""
        lines: list[str] = []
        for header, groups in self.sums.plan.complements:
            lines.append(f"if ({self._valid(header)}) {{")
            lines += (f"    {self._complement(group)} = ~{self._joined(group)};" for group in groups)
            lines.append("}")
        return tuple(lines)

    def all(self) -> tuple[SumView, ...]:
        """In the order in which they must be made."""
        updates = tuple(self._update(update) for update in self.sums.plan.updates)
        fixes = tuple(self._zero_fix(holder, group) for holder, group in self.sums.plan.zero_fixes)
        return (*updates, *fixes, *(self._computation(c) for c in self.sums.computed))

    def _update(self, update: Update) -> SumView:
        target = self._field(update.holder, update.field)
        checks = [self._valid(name) for name in (update.holder, *update.present)]
        checks += [f"!{self._valid(name)}" for name in update.absent]
        checks.append(f"{self.sums.flag(self.sums.updates[update.holder])} == 1")
        if update.zero_is_none:
            checks.append(f"{target} != 0")
        own = next(g for g in self.sums.complements if g.header == update.holder and g.fields == (update.field,))
        old = tuple(self._complement(group) for group in (own, *update.groups))
        new = tuple(self._field(g.header, name) for g in update.groups for name in g.fields)
        return SumView(
            comment=f"{update.holder}, where it was rewritten (RFC 1624)",
            condition=" && ".join(checks),
            data=(sized(0xFFFF, 16), *old, *new),
            target=target,
        )

    def _zero_fix(self, holder: str, group: Group) -> SumView:
        target = self._field(holder, group.fields[0])
        was_there = f"{self._complement(group)} != 0xffff"
        flag = f"{self.sums.flag(self.sums.updates[holder])} == 1"
        return SumView(
            comment=f"{holder}: 0 says that there is no checksum, so one that has become 0 is sent as 0xffff (RFC 768)",
            condition=f"{self._valid(holder)} && {flag} && {was_there} && {target} == 0",
            data=(sized(0, 16),),
            target=target,
        )

    def _computation(self, computation: Computation) -> SumView:
        checks = [self._valid(name) for name in (computation.holder, *computation.present)]
        flag = self.sums.computes.get(computation.holder)
        if flag is not None:
            checks.append(f"{self.sums.flag(flag)} == 1")
        behind = f" of {computation.present[0]}" if computation.present else ""
        return SumView(
            comment=f"{computation.holder}{behind}, where it was pushed",
            condition=" && ".join(checks),
            data=tuple(self._part(part) for part in computation.data),
            target=self._field(computation.holder, computation.field),
        )

    def _part(self, part: tuple[str, str] | tuple[int, int]) -> str:
        match part:
            case (str(header), str(name)):
                return self._field(header, name)
            case (int(value), int(width)):
                return sized(value, width)
            case _:
                raise AssertionError(part)

    def _joined(self, group: Group) -> str:
        fields = [self._field(group.header, name) for name in group.fields]
        return fields[0] if len(fields) == 1 else f"({' ++ '.join(fields)})"

    def _complement(self, group: Group) -> str:
        return self.sums.flag(self.sums.complements[group])

    def _valid(self, header: str) -> str:
        return f"hdr.{self.ids.headers[header]}.isValid()"

    def _field(self, header: str, name: str) -> str:
        return f"hdr.{self.ids.headers[header]}.{self.ids.fields[self.names.headers[header].type, name]}"
