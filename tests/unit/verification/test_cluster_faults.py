"""A pipeline with a fault in what concerns clients outside: stories of made-up clusters do not get to their end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from compiler.ir.nodes import Pipeline
from compiler.ir.statements import Statement
from compiler.pipeline.assembly import pipeline
from compiler.pipeline.notation import assign, meta
from runtime.verification.cluster import Levels
from runtime.verification.findings import Violation
from runtime.verification.levels import small
from runtime.verification.policies.plan import DEVICES
from runtime.verification.stories import OUTSIDE, Story

SLOTS = 16
NO_LEVELS: Levels = dict.fromkeys(DEVICES, ())
Body = tuple[Statement, ...]


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


FAULTS = {
    "who is denied is let in": in_action("deny_source", lambda _: ()),
    "who is allowed is not": in_action("admit_source", lambda _: (assign(meta("not_admitted"), 1),)),
    "all enter the first network": in_action("enter_from_outside", lambda body: (*body, assign(meta("network"), 1))),
    "all enter the second network": in_action("enter_from_outside", lambda body: (*body, assign(meta("network"), 2))),
    "answers know no way back": in_action("enter_from_outside", without("source_nexthop")),
    "the other device is not told where it came in": in_action("enter_from_outside", without("signature")),
    "the other device does not remember where it came in": in_control("remember_entrance_ipv4", lambda _: ()),
    "answers come from the backend's address": in_action("translate_reply", without("new_src_ipv4")),
    "answers come from the backend's port": in_action("translate_reply", without("new_src_port")),
}


def played(story: Story, changed: Pipeline) -> None:
    story.run(NO_LEVELS, changed)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str) -> None:
    changed = FAULTS[fault](small(pipeline(), SLOTS))
    found: list[str] = []
    for story in OUTSIDE:
        try:
            played(story, changed)
        except Violation as problem:
            found.append(str(problem))
    assert any("packets arrived" not in text for text in found), "by what holds of every packet, not by counting"


@pytest.mark.parametrize("story", OUTSIDE, ids=lambda story: story.name)
def test_without_a_fault_nothing_is_found(story: Story) -> None:
    played(story, small(pipeline(), SLOTS))
