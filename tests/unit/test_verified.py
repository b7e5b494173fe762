"""The record of a verification: written, read back, and what it says of programs and entries."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from runtime.verified import (
    RecordError,
    Verification,
    VerifiedDevice,
    device_standing,
    program_standing,
    read_verification,
)

PROGRAM = {"pipeline.ir": "aa", "tc.o": "bb", "xdp.o": "cc"}
DEVICE = VerifiedDevice(
    device="dpu-a",
    entries="ee",
    levels=("interpreter", "tc", "XDP"),
    packets=5000,
    flows=700,
    states=1400,
    is_whole=True,
    holds=True,
)
RECORD = Verification(program=PROGRAM, devices=(DEVICE,), seed=0, kernel="6.18.44")


def test_reads_back() -> None:
    assert read_verification(RECORD.to_json()) == RECORD
    assert read_verification(replace(RECORD, date="2026-01-02").to_json()).date == "2026-01-02"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "it is no record of a verification (Expecting value: line 1 column 1 (char 0))"),
        (b"[]", "it is no record of a verification (list indices must be integers or slices, not str)"),
        (b'{"devices": []}', "it is no record of a verification ('format')"),
        (b'{"format": 2}', "its format is 2, this version of Turnout reads 1"),
    ],
)
def test_what_is_no_record_is_refused(data: bytes, told: str) -> None:
    with pytest.raises(RecordError) as refused:
        read_verification(data)
    assert str(refused.value) == told


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(RecordError):
        read_verification(json.dumps({**json.loads(RECORD.to_json()), "more": 1}).encode())


@pytest.mark.parametrize(
    ("record", "program", "told"),
    [
        (RECORD, PROGRAM, "verified on kernel 6.18.44"),
        (replace(RECORD, date="2026-01-02"), PROGRAM, "verified on kernel 6.18.44, 2026-01-02"),
        (RECORD, {"pipeline.ir": "aa"}, "verified on kernel 6.18.44"),
        (RECORD, {**PROGRAM, "tc.o": "b0"}, "not verified: tc.o is not what was verified"),
        (
            replace(RECORD, devices=(replace(DEVICE, holds=False),)),
            PROGRAM,
            "not verified: a counter-example was found for dpu-a",
        ),
        (
            replace(RECORD, program={"pipeline.ir": "aa"}),
            PROGRAM,
            "not verified: tc.o, xdp.o was not run, only the interpreter",
        ),
    ],
)
def test_what_it_says_of_a_program(record: Verification, program: dict[str, str], told: str) -> None:
    assert program_standing(record, program) == told


@pytest.mark.parametrize(
    ("record", "device", "entries", "told"),
    [
        (
            RECORD,
            "dpu-a",
            "ee",
            "verified on kernel 6.18.44: 5000 packets, 700 connections on interpreter; tc; XDP",
        ),
        (
            replace(RECORD, devices=(replace(DEVICE, is_whole=False),)),
            "dpu-a",
            "ee",
            "verified on kernel 6.18.44: 5000 packets, 700 connections on interpreter; tc; XDP, not all that the "
            "policies say",
        ),
        (RECORD, "dpu-a", "e0", "not verified: its entries are not those that were verified"),
        (RECORD, "dpu-b", "ee", "not verified: the record does not speak of this device"),
    ],
)
def test_what_it_says_of_a_device(record: Verification, device: str, entries: str, told: str) -> None:
    assert device_standing(record, PROGRAM, device, entries) == told


def test_another_program_speaks_for_no_device() -> None:
    other = {**PROGRAM, "pipeline.ir": "a0"}
    assert device_standing(RECORD, other, "dpu-a", "ee") == "not verified: pipeline.ir is not what was verified"
