"""Seek: the values that are tried, what the interpreter does with them, and what the verifier wants."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.diagnostic import Code
from compiler.ir.interpreter import Interpreter, Model
from compiler.ir.interpreter.trace import Sought
from compiler.ir.nodes import Pipeline
from compiler.ir.seeking import MAX_TRIES, sought
from compiler.ir.text import from_text, to_text
from compiler.ir.verifier import check, codes, verify
from compiler.printers.p4.printing import print_pna, print_v1model
from compiler.printers.p4.refusals import UnprintableError

NUMBERS = st.integers(0, (1 << 32) - 1)
NO_PART = "'ingress_port' is no part of the key of table flow"
SEEK = "seek flow into meta.port from 1024 tries 4 none { drop none }"
TEXT = f"""
/// Frames leave by the port that they came in by, or, where another one has, by one that is free.
pipeline "seeking" version "1" main ingress drops dropped

header_type ethernet {{ dst: 48  src: 48  type: 16 }}
header ethernet: ethernet
metadata {{ ingress_port: 16  port: 16  wide: 32 }}

state start {{ extract ethernet  default -> accept }}

store memory {{
  size 64  ways 4
  profile 1 fresh: timeout_ms 5000 rank 0
  events data
  on fresh data -> fresh
}}

action 0x01000001 miss() {{ }}
action 0x01000002 known(1 port: 16) {{ meta.port = param.port  advance data }}

table 0x02000001 flow {{
  key 1 port: exact(meta.port)
  key 2 wide: exact(meta.wide)
  action known in_entries
  action miss as_default
  default miss
  size 64
  store memory
}}

counter 0x12000001 dropped size 8
/// No value is free.
drop_reason 1 none

control ingress {{
  meta.port = meta.ingress_port
  {SEEK}
  apply flow {{ miss {{ learn flow known(meta.port) profile 1:8 }} }}
  forward meta.port
}}
"""


@cache
def seeking() -> Pipeline:
    return check(from_text(TEXT))


@given(NUMBERS, st.integers(1, 16), st.integers(1, MAX_TRIES), st.data())
def test_values_are_different_and_not_below_the_first(number: int, width: int, tries: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, 1 << width - 1))
    found = list(sought(number, width, first, tries))
    assert len(found) == tries
    assert all(first <= value < 1 << width for value in found)
    if first == 0:
        assert len(set(found)) == min(tries, 1 << width)


def test_values_from_a_number() -> None:
    assert list(sought(0x0002_03FE, 16, 1024, 4)) == [0xFFFE, 0x0401, 0x0404, 0x0407]


def interpreter() -> Interpreter:
    return Interpreter(Model(seeking(), hash_seed=7), clock=lambda: 0, random=lambda _: 5000)


def test_the_present_value_is_taken_where_it_is_free() -> None:
    made = interpreter()
    assert made.process(2000, bytes(60)).egress_port == 2000
    assert made.process(2001, bytes(60)).egress_port == 2001


def test_others_are_tried_one_after_the_other_until_none_is_left() -> None:
    made = interpreter()
    assert [made.process(2000, bytes(60)).egress_port for _ in range(5)] == [2000, 5000, 5001, 5002, 5003]
    outcome = made.process(2000, bytes(60))
    assert outcome.drop_reason == "none"
    (step,) = (step for step in outcome.trace if isinstance(step, Sought))
    assert str(step) == "seek flow (port=5003, wide=0): taken, 5 tried"


def test_a_present_value_may_be_below_the_first() -> None:
    made = interpreter()
    assert [made.process(80, bytes(60)).egress_port for _ in range(2)] == [80, 5000]


def test_text() -> None:
    text = to_text(seeking())
    assert "  seek flow into meta.port from 1024 tries 4 none {\n" in text
    assert from_text(text) == seeking()


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        ("seek flow", "seek flows", codes.UNKNOWN_NAME, "there is no learned table 'flows'"),
        ("meta.port from", "meta.ingress_port from", codes.BAD_ARGUMENTS, NO_PART),
        ("meta.port from", "meta.wide from", codes.WIDTH, "a value of 32 bits is sought"),
        ("from 1024", "from 32769", codes.BAD_CONSTANT, "values from 32769 on are sought"),
        ("tries 4", "tries 0", codes.BAD_CONSTANT, "a value is sought 0 times"),
        ("tries 4", "tries 65", codes.BAD_CONSTANT, "a value is sought 65 times"),
        ("advance data }", f"advance data {SEEK} }}", codes.MISPLACED_STATEMENT, "Seek stands in an action"),
    ],
)
def test_what_the_verifier_refuses(old: str, new: str, code: Code, message: str) -> None:
    assert TEXT.count(old) == 1
    found = verify(from_text(TEXT.replace(old, new)))
    assert (code, message) in {(diagnostic.code, diagnostic.message) for diagnostic in found}


def test_p4_has_nothing_like_it() -> None:
    for printed in (print_v1model, print_pna):
        with pytest.raises(UnprintableError, match="a key without an entry is sought in table flow"):
            printed(seeking())


def test_what_is_done_with_another_value() -> None:
    """And only with another one; by a text that is read as it is written."""
    text = TEXT.replace(SEEK, "seek flow into meta.port from 1024 tries 4 other { meta.wide = 1 } none { drop none }")
    pipeline = check(from_text(text))
    assert from_text(to_text(pipeline)) == pipeline
    model = Model(pipeline, hash_seed=7)
    made = Interpreter(model, clock=lambda: 0, random=lambda _: 5000)
    assert [made.process(2000, bytes(60)).egress_port for _ in range(2)] == [2000, 5000]
    assert [entry.matches[1].value for entry in model.learned("flow")] == [0, 1]
