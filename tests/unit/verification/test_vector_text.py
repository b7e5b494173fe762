"""Vectors survive their file; what is no vector is refused by words that name the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.ir.entries import ActionCall, Exact, Lpm, MatchValue, Optional, Range, TableEntry, Ternary
from compiler.ir.formats import match_to_text
from compiler.ir.interpreter import VerdictKind
from compiler.ir.names import Names
from compiler.ir.tables import MatchKind
from compiler.pipeline.assembly import pipeline
from runtime.verification.entry_data import text_to_match
from runtime.verification.shop import CLIENT_PORT, WEB_1_PORT, device_entries
from runtime.verification.shop_frames import vectors
from runtime.verification.vector import Accepted, PacketIn, Sweep, Vector, Wait, Write, WriteKind
from runtime.verification.vector_text import InvalidVector, read_vector, text_to_vector, vector_to_text, write_vector

NAMES = Names(pipeline())


def every_step() -> Vector:
    shop = device_entries("A")
    frame = next(iter(vectors()))[2]
    accepted = (
        Accepted(verdict=VerdictKind.FORWARD, egress_port=WEB_1_PORT, packet=frame),
        Accepted(verdict=VerdictKind.DROP, drop_reason="no_backend"),
    )
    return Vector(
        name="every step",
        about="What a file can say.",
        slots=16,
        start_ms=7,
        entries=shop,
        steps=(
            PacketIn(port=CLIENT_PORT, frame=frame),
            PacketIn(port=CLIENT_PORT, frame=frame, gso_size=1000, is_settled=False, accepted=accepted, about="big"),
            Wait(ms=30_000),
            Sweep(),
            Write(kind=WriteKind.DELETE, change=shop.table_entries[0]),
            Write(kind=WriteKind.INSERT, change=shop.table_entries[0]),
            Write(kind=WriteKind.MODIFY, change=shop.groups[0]),
            Write(kind=WriteKind.MODIFY, change=shop.members[0]),
        ),
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "every-step.yaml"
    write_vector(path, every_step(), NAMES)
    assert read_vector(path, NAMES) == every_step()


def test_a_file_is_for_people() -> None:
    route = next(e for e in device_entries("A").table_entries if e.table == "route_ipv4")
    vector = Vector(name="a route", steps=(Write(kind=WriteKind.INSERT, change=route), Wait(ms=5)))
    assert vector_to_text(vector, NAMES) == (
        "name: a route\n"
        "steps:\n"
        "- insert:\n"
        "    table: route_ipv4\n"
        "    match:\n"
        "      network: '1'\n"
        "      dst: 10.0.0.10/32\n"
        "    call:\n"
        "      action: via\n"
        "      arguments:\n"
        "        nexthop: '10'\n"
        "- wait_ms: 5\n"
    )


@pytest.mark.parametrize(
    ("kind", "match", "form"),
    [
        (MatchKind.EXACT, Exact(value=7), ""),
        (MatchKind.EXACT, Exact(value=0x0200_0000_0010), "mac"),
        (MatchKind.LPM, Lpm(value=0x0A00_0000, prefix_len=8), "ipv4"),
        (MatchKind.LPM, Lpm(value=0xFD00 << 112, prefix_len=64), "ipv6"),
        (MatchKind.TERNARY, Ternary(value=0x0A00_0001, mask=0xFF00_00FF), "ipv4"),
        (MatchKind.RANGE, Range(low=80, high=90), ""),
        (MatchKind.OPTIONAL, Optional(value=None), ""),
        (MatchKind.OPTIONAL, Optional(value=3), ""),
    ],
)
def test_matches_survive(kind: MatchKind, match: MatchValue, form: str) -> None:
    assert text_to_match(kind, match_to_text(match, form)) == match


INSERT = "name: x\nsteps:\n- insert: {{table: {table}, match: {match}, {action}}}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", ": Input should be a valid dictionary or instance of VectorData"),
        ("about: no name\n", "name: Field required"),
        ("name: x\nentres: []\n", "entres: Extra inputs are not permitted"),
        ("name: x\nsteps: [{packet: 0g, port: 1}]\n", "non-hexadecimal number found in fromhex() arg at position 1"),
        (
            INSERT.format(table="neighbor", match="{hop: 1}", action="group: 1"),
            "table neighbor takes nexthop; given are hop",
        ),
        (
            INSERT.format(table="neighbor", match="{nexthop: 1}", action="group: 1, member: 2"),
            "an entry of table neighbor has one of call, member and group",
        ),
        (
            INSERT.format(table="neighbor", match="{nexthop: 1}", action="call: {action: via}"),
            "action via takes nexthop; given are none",
        ),
        (
            INSERT.format(table="neighbor", match="{nexthop: here}", action="group: 1"),
            "'here' does not appear to be an IPv4 or IPv6 address",
        ),
    ],
)
def test_what_is_no_vector(text: str, message: str) -> None:
    with pytest.raises(InvalidVector) as refused:
        text_to_vector(text, NAMES)
    assert str(refused.value) == message


def test_an_unknown_name_is_told_with_those_that_are(tmp_path: Path) -> None:
    path = tmp_path / "old.yaml"
    path.write_text(INSERT.format(table="neighbour", match="{}", action="group: 1"))
    tables = ", ".join(table.name for table in pipeline().tables)
    with pytest.raises(InvalidVector) as refused:
        read_vector(path, NAMES)
    assert str(refused.value) == f"{path}: the pipeline has no table 'neighbour'; it has {tables}"


def test_an_entry_that_is_only_named() -> None:
    """What is deleted is told whole, as a file has no other way to name it."""
    entry = TableEntry(
        table="route_ipv4",
        matches=(Exact(value=1), Lpm(value=0x0A000000, prefix_len=8)),
        action=ActionCall(action="via", arguments=(1,)),
    )
    vector = Vector(name="x", steps=(Write(kind=WriteKind.DELETE, change=entry),))
    assert text_to_vector(vector_to_text(vector, NAMES), NAMES) == vector
