"""What must hold for every packet, held against outcomes made by hand."""

from __future__ import annotations

import pytest

from compiler.ir.interpreter import Outcome, VerdictKind
from runtime.verification import invariants
from runtime.verification.findings import Violation
from runtime.verification.malformed.bases import base_frames
from runtime.verification.malformed.catalogue import BY_NAME
from runtime.verification.sequences import SHOP
from runtime.verification.shop import CLIENT_PORT

SOLICITATION = next(base.frame for base in base_frames() if base.name == "nd")
SYN = next(base.frame for base in base_frames() if base.name == "syn v4")


def wrong(frame: bytes, by: int) -> bytes:
    """With a number added to the last word, which a checksum covers."""
    return frame[:-2] + (int.from_bytes(frame[-2:], "big") + by).to_bytes(2, "big")


def answered(question: bytes, answer: bytes) -> None:
    outcome = Outcome(verdict=VerdictKind.REPLY, packet=answer, egress_port=CLIENT_PORT)
    invariants.check(SHOP, CLIENT_PORT, question, outcome)


def test_an_answer_is_right_or_as_wrong_as_its_solicitation() -> None:
    answered(SOLICITATION, SOLICITATION)
    answered(wrong(SOLICITATION, 3), wrong(SOLICITATION, 3))
    with pytest.raises(Violation, match="a wrong answer"):
        answered(SOLICITATION, wrong(SOLICITATION, 3))
    with pytest.raises(Violation, match="a wrong answer"):
        answered(wrong(SOLICITATION, 2), wrong(SOLICITATION, 3))


def test_an_error_is_right_whatever_it_is_about() -> None:
    error = BY_NAME["ICMP error"](SYN, 2)
    wrong_header = BY_NAME["ipv4: checksum"](error, 3)
    answered(SYN, error)
    with pytest.raises(Violation, match="a wrong answer"):
        answered(BY_NAME["ipv4: checksum"](SYN, 3), wrong_header)
