"""containerd's filters: what they let through, and where they go wrong."""

from __future__ import annotations

import pytest

from agents.storage.translate.filters import parse_filters
from agents.storage.wire.snapshots import Info, InvalidSnapshotError, Kind

INFO = Info(
    name='default/1/a "b"',
    parent="sha256:12",
    kind=Kind.COMMITTED,
    created_ns=0,
    updated_ns=0,
    labels={"containerd.io/snapshot.ref": "sha256:34", "a.b": "ü"},
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "kind==committed",
        "kind!=active,parent==sha256:12",
        'name=="default/1/a \\"b\\""',
        'name==`default/1/a "b"`',
        'labels."containerd.io/snapshot.ref"==sha256:34,parent=="sha256:12"',
        'labels."containerd.io/snapshot.ref"',
        "labels.a.b",
        'labels.a.b=="\\u00fc"',
        'labels.a.b=="\\xc3\\xbc"',
        'labels.a.b=="\\303\\274"',
        'labels.a.b=="\\U000000fc"',
        "labels.none!=x",
        "name~=^default/[0-9]",
        'name~="a .b.$"',
        "other!=x",
    ],
)
def test_lets_through(text: str) -> None:
    assert parse_filters([text])(INFO)


@pytest.mark.parametrize(
    "text",
    ["kind==active", "labels.none", "labels.none==x", "name~=^x", "name~=(", "other", "kind==committed,parent==x"],
)
def test_holds_back(text: str) -> None:
    assert not parse_filters([text])(INFO)


def test_any_of_several_is_enough() -> None:
    assert parse_filters(["kind==active", "kind==committed"])(INFO)
    assert parse_filters([])(INFO)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind=active", "filter 'kind=active', column 5: expected ==, != or ~="),
        ("kind==", "filter 'kind==', column 7: expected a value"),
        ("==x", "filter '==x', column 1: expected a field"),
        ("kind==a b", "filter 'kind==a b', column 8: expected ','"),
        ('name=="a', "filter 'name==\"a', column 7: expected the end of the quoted text"),
        ('name=="\\q"', "filter 'name==\"\\q\"', column 11: unknown escape '\\q'"),
        ('name=="\\777"', "filter 'name==\"\\777\"', column 13: '\\777' is more than a byte"),
        ('name=="\\ud800"', "filter 'name==\"\\ud800\"', column 15: 0xd800 is no character"),
        ("kind==a,", "filter 'kind==a,', column 9: expected a field"),
    ],
)
def test_mistakes_name_the_place(text: str, message: str) -> None:
    with pytest.raises(InvalidSnapshotError) as refused:
        parse_filters([text])
    assert str(refused.value) == message
