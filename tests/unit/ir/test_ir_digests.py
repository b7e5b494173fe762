"""Digests in the IR: what the verifier refuses, the text form, what P4Info and v1model say."""

# ruff: noqa: E501  a row of a table is one line

from __future__ import annotations

import pytest

from compiler.diagnostic import Code
from compiler.ir.interpreter import Interpreter, Model, SentDigest, trace_to_text
from compiler.ir.text import from_text, to_text
from compiler.ir.verifier import codes, verify
from compiler.printers.p4.printing import print_pna, print_v1model
from compiler.printers.p4.refusals import UnprintableError
from compiler.printers.p4info import p4info
from compiler.printers.v1model_p4info import v1model_p4info
from tests.pipelines.digests import TEXT, digests

SENT = "digest mac_learn { src = ethernet.src  port = meta.ingress_port }"
ROWS = [
    ("id", "0x17000001", "0x12000009", codes.BAD_ID, "digest mac_learn has the id 0x12000009"),
    ("same id", "0x17000002", "0x17000001", codes.DUPLICATE_ID, "digest mac_learn and digest odd_type have it"),
    ("same name", "state start", "digest 0x17000003 mac_learn { port: 16  src: 48 } state start", codes.DUPLICATE_NAME, "'mac_learn' names more than one digest"),
    ("same field", "port: 16  src: 48", "src: 16  src: 48", codes.DUPLICATE_NAME, "'src' names more than one field of digest mac_learn"),
    ("no fields", "{ port: 16  src: 48 }", "{ }", codes.BAD_HEADER, "digest mac_learn has no fields"),
    ("too wide", "wide: 64", "wide: 129", codes.BAD_HEADER, "digest odd_type has no fields, or one that is not 1 to 128 bits wide"),
    ("unknown", SENT, SENT.replace("mac_learn", "mac_lern"), codes.UNKNOWN_NAME, "there is no digest 'mac_lern'"),
    ("unknown field", SENT, SENT.replace("src =", "source ="), codes.UNKNOWN_NAME, "digest mac_learn has no field 'source'"),
    ("twice", SENT, SENT.replace("port =", "src = 1:48  src ="), codes.BAD_ARGUMENTS, "a field of digest mac_learn is given twice"),
    ("width", SENT, SENT.replace("= ethernet.src", "= ethernet.type"), codes.WIDTH, "the value of digest mac_learn.src is 16 bits wide"),
    ("never sent", SENT, "", codes.UNUSED, "digest mac_learn is never sent"),
    ("in an action", "meta.egress_port = param.port", f"meta.egress_port = param.port {SENT}", codes.MISPLACED_STATEMENT, "SendDigest stands in an action"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "code", "message"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_one_mistake(old: str, new: str, code: Code, message: str) -> None:
    assert old in TEXT
    found = verify(from_text(TEXT.replace(old, new, 1)))
    assert any(message in d.message and d.code == code for d in found), [str(diagnostic) for diagnostic in found]


def test_reads_back_equal() -> None:
    text = to_text(digests())
    assert from_text(text) == digests()
    assert "/// Where an unknown address is.\ndigest 0x17000001 mac_learn { port: 16  src: 48 }\n" in text
    assert f"      {SENT}\n" in text


def test_a_packet_goes_on_behind_a_digest() -> None:
    interpreter = Interpreter(Model(digests()), clock=lambda: 0, random=lambda _: 0)
    outcome = interpreter.process(16, bytes(6) + (5).to_bytes(6, "big") + b"\x99\x99")
    assert outcome.drop_reason == "unknown_destination"
    assert outcome.digests == (
        SentDigest(digest="mac_learn", values=(16, 5)),
        SentDigest(digest="odd_type", values=(0x9999, 5, 1)),
    )
    assert "digest mac_learn (port=16, src=5)\n" in trace_to_text(outcome.trace)


def test_p4info_has_a_structure_for_each() -> None:
    info = p4info(digests())
    assert [(d.preamble.id, d.preamble.name, d.type_spec.struct.name) for d in info.digests] == [
        (0x17000001, "mac_learn", "mac_learn"),
        (0x17000002, "odd_type", "odd_type"),
    ]
    members = info.type_info.structs["mac_learn"].members
    assert [(m.name, m.type_spec.bitstring.bit.bitwidth) for m in members] == [("port", 16), ("src", 48)]
    assert [d.preamble.id >> 24 for d in v1model_p4info(digests()).digests] == [0x17, 0x17]


def test_v1model_sends_a_structure() -> None:
    text = print_v1model(digests())
    assert "/// Where an unknown address is.\nstruct mac_learn {\n    bit<16> port;\n    bit<48> src;\n}\n" in text
    assert "digest<mac_learn>(1, { meta.ingress_port, hdr.ethernet.src });\n" in text


def test_pna_refuses() -> None:
    with pytest.raises(UnprintableError, match=r"PNA cannot say it: digest mac_learn$"):
        print_pna(digests())
