"""Pipelines and policies with a fault in them; stories of made-up clusters are played on the interpreter alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from compiler.entries.desired import Desired, compile_entries
from compiler.ir.entries import Entries
from compiler.ir.nodes import Pipeline
from compiler.ir.statements import Apply, If, Statement
from compiler.policy.policyset import Device, PolicySet
from runtime.verification.cluster import Levels
from runtime.verification.findings import Violation
from runtime.verification.policies.plan import DEVICES
from runtime.verification.stories import Story

SLOTS = 16
NO_LEVELS: Levels = dict.fromkeys(DEVICES, ())
Body = tuple[Statement, ...]
Faulty = Callable[[PolicySet], PolicySet]


def in_action(name: str, change: Callable[[Body], Body]) -> Callable[[Pipeline], Pipeline]:
    """Of IPv4, where each family has its own."""

    def changed(whole: Pipeline) -> Pipeline:
        names = [action.name for action in whole.actions if action.name.removesuffix("_ipv4") == name]
        assert names, name
        return replace(
            whole,
            actions=tuple(replace(a, body=change(a.body)) if a.name in names else a for a in whole.actions),
        )

    return changed


def in_control(name: str, change: Callable[[Body], Body]) -> Callable[[Pipeline], Pipeline]:
    def changed(whole: Pipeline) -> Pipeline:
        assert any(control.name == name for control in whole.controls), name
        controls = (replace(c, body=change(c.body)) if c.name == name else c for c in whole.controls)
        return replace(whole, controls=tuple(controls))

    return changed


def without(word: str) -> Callable[[Body], Body]:
    """Without the assignments to metadata of this name."""
    return lambda body: tuple(statement for statement in body if f"name='{word}'" not in repr(statement))


def within(body: Body, change: Callable[[If], Body | None]) -> Body:
    """Conditions replaced, at any depth, by what is given for them; None leaves one as it is."""
    return tuple(made for statement in body for made in _changed(statement, change))


def _changed(statement: Statement, change: Callable[[If], Body | None]) -> Body:
    match statement:
        case If(then=then, otherwise=otherwise):
            given = change(statement)
            inside = replace(statement, then=within(then, change), otherwise=within(otherwise, change))
            return (inside,) if given is None else given
        case Apply(on_hit=on_hit, on_miss=on_miss):
            return (replace(statement, on_hit=within(on_hit, change), on_miss=within(on_miss, change)),)
        case _:
            return (statement,)


def with_faulty_policies(monkeypatch: pytest.MonkeyPatch, change: Faulty) -> None:
    """Devices get what other policies ask for."""

    def compiled(policies: PolicySet, device: Device, previous: Entries | None = None) -> Desired:
        return compile_entries(change(policies), device, previous)

    monkeypatch.setattr("runtime.verification.fabric.compile_entries", compiled)


def played(story: Story, changed: Pipeline) -> None:
    story.run(NO_LEVELS, changed)


def is_found(stories: Iterable[Story], changed: Pipeline) -> bool:
    """Whether a story finds what must not be; that too few packets arrive, or too many, is no such thing."""
    for story in stories:
        try:
            played(story, changed)
        except Violation as problem:
            if "packets arrived" not in str(problem):
                return True
    return False
