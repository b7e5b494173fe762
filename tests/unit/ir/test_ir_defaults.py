"""Default entries of the interpreter's model: which may be modified, and to what."""

from __future__ import annotations

import pytest

from compiler.ir.entries import ActionCall, MemberRef, TableEntry
from compiler.ir.interpreter import InvalidEntry, Model, ModelError, PermissionDenied
from tests.pipelines.fixed import fixed_pipeline

Action = ActionCall | MemberRef


def default_of(table: str, action: Action) -> TableEntry:
    return TableEntry(table=table, matches=(), action=action)


@pytest.mark.parametrize(
    ("table", "action", "error", "text"),
    [
        (
            "kinds",
            ActionCall(action="call_it", arguments=(1,)),
            PermissionDenied,
            "the default action of table kinds is constant",
        ),
        ("ports", MemberRef(member_id=1), InvalidEntry, "the default entry of table ports names an action"),
        (
            "ports",
            ActionCall(action="call_it", arguments=(1,)),
            InvalidEntry,
            "table ports does not offer action 'call_it'",
        ),
        ("ports", ActionCall(action="to"), InvalidEntry, "action to has 1 parameters, not 0"),
    ],
)
def test_a_default_entry_that_is_refused(table: str, action: Action, error: type[ModelError], text: str) -> None:
    model = Model(fixed_pipeline(), hash_seed=0)
    with pytest.raises(error) as refused:
        model.modify(default_of(table, action))
    assert str(refused.value) == text


def test_a_default_entry_that_is_taken() -> None:
    model = Model(fixed_pipeline(), hash_seed=0)
    model.modify(default_of("ports", ActionCall(action="nothing")))
    model.modify(default_of("networks", ActionCall(action="nothing")))
