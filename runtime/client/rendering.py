"""Plans and entries as people read them: `+ service_ipv4 network=1 address=10.96.0.10 ... -> to_service_ipv4(...)`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from compiler.ir.entries import (
    ActionCall,
    Group,
    GroupRef,
    Member,
    MemberRef,
    MeterConfig,
    TableEntry,
    WeightedMember,
)
from compiler.ir.formats import match_to_text, number_to_text
from compiler.ir.nodes import Pipeline
from compiler.ir.tables import Action, Table
from compiler.span import NOWHERE
from runtime.client.plan import Entity, Kind, Step


class Renderer:
    """Knows the names and formats of one pipeline."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._tables: Mapping[str, Table] = {table.name: table for table in pipeline.tables}
        self._actions: Mapping[str, Action] = {action.name: action for action in pipeline.actions}

    def step(self, step: Step) -> str:
        """One line; a changed entity shows what it was and what it becomes, and the policy that wants it."""
        if step.kind is Kind.MODIFY and step.before is not None:
            text = f"{self.name(step.entity)} {self.content(step.before)} => {self.content(step.entity)}"
        else:
            text = f"{self.name(step.entity)} {self.content(step.entity)}"
        origin = "" if step.entity.span == NOWHERE else f"   # {step.entity.span}"
        return f"{step.kind} {text}{origin}"

    def name(self, entity: Entity) -> str:
        match entity:
            case Member(selector=selector, id=number):
                return f"{selector} member {number}"
            case Group(selector=selector, id=number):
                return f"{selector} group {number}"
            case TableEntry(table=table, matches=matches):
                keys = self._tables[table].keys
                shown = (f"{k.name}={match_to_text(m, k.format)}" for k, m in zip(keys, matches, strict=True))
                return " ".join((table, *shown))
            case _:
                assert_never(entity)

    def content(self, entity: Entity) -> str:
        match entity:
            case Member(action=action):
                return f"-> {self.action(action)}"
            case TableEntry(action=action, meter=meter):
                return f"-> {self.action(action)}{_meter(meter)}"
            case Group(members=members):
                return f"= {{{', '.join(map(_member, members))}}}"
            case _:
                assert_never(entity)

    def action(self, action: ActionCall | MemberRef | GroupRef) -> str:
        match action:
            case ActionCall(action=name, arguments=arguments):
                params = self._actions[name].params
                shown = (f"{p.name}={number_to_text(v, p.format)}" for p, v in zip(params, arguments, strict=True))
                return f"{name}({', '.join(shown)})"
            case MemberRef(member_id=number):
                return f"member {number}"
            case GroupRef(group_id=number):
                return f"group {number}"
            case _:
                assert_never(action)


def _meter(meter: MeterConfig | None) -> str:
    return "" if meter is None else f" rate {meter.cir} burst {meter.cburst}"


def _member(member: WeightedMember) -> str:
    weight = f"*{member.weight}" if member.weight != 1 else ""
    return f"{member.member_id}{weight}" + (f" (port {member.watched_port})" if member.watched_port else "")
