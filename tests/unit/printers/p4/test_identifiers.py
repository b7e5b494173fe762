"""Names become legal P4, each its own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.ir.headers import Field
from compiler.pipeline.portable import portable_pipeline
from compiler.printers.p4.identifiers import KEYWORDS, PARAMETERS, Scope, identifiers
from compiler.span import InternalError


@pytest.mark.parametrize("name", ["table", "error", "in", "type"])
def test_a_keyword_gets_an_underscore(name: str) -> None:
    assert Scope().allocate(name) == f"{name}_"


def test_a_field_may_be_called_type() -> None:
    assert Scope(members=True).allocate("type") == "type"


@pytest.mark.parametrize("name", ["", "1st", "a-b", "a.b", "größe", "a b"])
def test_what_cannot_be_a_name_is_refused(name: str) -> None:
    with pytest.raises(InternalError, match="cannot be a name in P4"):
        Scope().allocate(name)


_NAMES = st.from_regex(r"[a-z][a-z_]{0,3}", fullmatch=True) | st.sampled_from(sorted(KEYWORDS)) | st.just("error_")


@given(st.lists(_NAMES, unique=True))
def test_names_stay_apart(names: list[str]) -> None:
    given_out = Scope(PARAMETERS).allocate_all(names)
    assert len(set(given_out.values())) == len(names)
    assert not {*given_out.values()} & {*KEYWORDS, *PARAMETERS}


def test_a_copy_leaves_the_scope_alone() -> None:
    scope = Scope()
    assert scope.copy().allocate("length") == "length"
    assert scope.allocate("length") == "length"
    assert scope.allocate("length") == "length_"


def test_a_table_and_an_action_of_one_name_stay_apart() -> None:
    whole = portable_pipeline()
    actions = tuple(replace(action, name="port") if action.name == "answer" else action for action in whole.actions)
    ids = identifiers(replace(whole, actions=actions))
    assert ids.tables["port"] == "port"
    assert ids.actions["port"] == "port_"


def test_metadata_leaves_the_scope_open_for_more() -> None:
    whole = portable_pipeline()
    ids = identifiers(replace(whole, metadata=(*whole.metadata, Field(name="sums", width_bits=1))))
    assert ids.metadata_scope.copy().allocate("sums") == "sums_"


def test_digests_and_learning_actions_are_named_after_store_and_table() -> None:
    ids = identifiers(portable_pipeline())
    assert ids.digests == {f"connections_ipv{v}": f"learn_connections_ipv{v}" for v in (4, 6)}
    assert ids.learners["flow_ipv4"] == "learn_flow_ipv4"
