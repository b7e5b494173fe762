"""Packets to and from controllers in the IR: what the verifier refuses, and what the interpreter makes of a packet."""

# ruff: noqa: E501  a row of a table is one line

from __future__ import annotations

import pytest

from compiler.diagnostic import Code
from compiler.ir.entries import ActionCall, Exact, TableEntry
from compiler.ir.interpreter import Interpreter, Model, Outcome, VerdictKind, trace_to_text
from compiler.ir.text import TextError, from_text, to_text
from compiler.ir.verifier import codes, verify
from tests.pipelines.controllers import TEXT, controllers

IN = "packet_in 0x04000001 { 1 ingress_port: 16  2 reason: 6  4 entropy: 10 }"
OUT = "packet_out 0x04000002 { 1 egress_port: 16  2 submit_to_ingress: 1  3 unused: 7 }"
PUNT = "punt full controller_full { reason = meta.reason  ingress_port = meta.ingress_port }"
ROWS = [
    ("no packet_in", IN, "", codes.MISSING_PART, "a packet goes to the controller, but the pipeline has no packet_in"),
    ("id", "0x04000001", "0x01000009", codes.BAD_ID, "packet_in has the id 0x01000009"),
    ("same id", "0x04000002", "0x04000001", codes.DUPLICATE_ID, "packet_in and packet_out have it"),
    ("field id", "2 reason", "1 reason", codes.DUPLICATE_ID, "id of a field of packet_in 0x1: ingress_port and reason"),
    ("field name", "4 entropy", "4 reason", codes.DUPLICATE_NAME, "'reason' names more than one field of packet_in"),
    ("no whole bytes", "entropy: 10", "entropy: 9", codes.BAD_HEADER, "packet_in is 31 bits wide"),
    ("no port", "egress_port: 16  2", "unused_port: 16  2", codes.MISSING_PART, "packet_out has no field 'egress_port'"),
    ("submit", "submit_to_ingress: 1  3 unused: 7", "submit_to_ingress: 8", codes.WIDTH, "submit_to_ingress is 8 bits"),
    ("means nothing", "3 unused: 7", "3 queue: 7", codes.BAD_HEADER, "a field 'queue', which means nothing"),
    ("unknown field", "punt full controller_full { reason", "punt full controller_full { raison", codes.UNKNOWN_NAME, "packet_in has no field 'raison'"),
    ("twice", "{ reason = meta.reason  ingress_port", "{ ingress_port = 1  ingress_port", codes.BAD_ARGUMENTS, "a field of packet_in is given twice"),
    ("width", "reason = meta.reason", "reason = meta.fate", codes.WIDTH, "the value of packet_in.reason is 8 bits wide"),
    ("reason", "punt full controller_full", "punt full nothing", codes.UNKNOWN_NAME, "there is no drop reason 'nothing'"),
    ("in an action", "meta.src = param.src", "meta.src = param.src punt full controller_full { }", codes.MISPLACED_STATEMENT, "Punt stands in an action"),
    ("behind it", PUNT, f"{PUNT} reply", codes.UNREACHABLE, "no path reaches this Reply"),
    ("header", "header ethernet: ethernet", "header packet_in: ethernet header ethernet: ethernet", codes.DUPLICATE_NAME, "'packet_in' names more than one header"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "code", "message"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_one_mistake(old: str, new: str, code: Code, message: str) -> None:
    assert old in TEXT
    found = verify(from_text(TEXT.replace(old, new, 1)))
    assert any(message in d.message and d.code == code for d in found), [str(diagnostic) for diagnostic in found]


def test_reads_back_equal() -> None:
    assert from_text(to_text(controllers())) == controllers()
    assert f"{IN}\n" in to_text(controllers())
    assert f"{OUT}\n" in to_text(controllers())
    assert f"        {PUNT}\n" in to_text(controllers())


def test_there_is_one_of_each() -> None:
    with pytest.raises(TextError) as refused:
        from_text(TEXT.replace(OUT, IN))
    assert refused.value.diagnostic.message == "the pipeline has a packet_in already"


def processed(frame: bytes) -> Outcome:
    model = Model(controllers())
    call = ActionCall(action="to_controller", arguments=(37, 0x55))
    model.insert(TableEntry(table="destination", matches=(Exact(value=1),), action=call))
    return Interpreter(model, clock=lambda: 0, random=lambda _: 0).process(16, frame)


def test_the_controller_is_told_what_the_pipeline_says() -> None:
    frame = bytes((0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 9, 8, 0)) + b"rest"
    outcome = processed(frame)
    assert outcome == Outcome(
        verdict=VerdictKind.PUNT,
        packet=frame[:11] + b"\x55" + frame[12:],
        drop_reason="controller_full",
        packet_in=(16, 37, 0),
        trace=outcome.trace,
    )
    assert trace_to_text(outcome.trace).splitlines()[-1] == "to the controller (ingress_port=16, reason=37, entropy=0)"
