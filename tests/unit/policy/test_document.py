"""YAML with positions: limits, odd input, and the scalars of Kubernetes."""

from __future__ import annotations

import math

import pytest

from compiler.diagnostic import Report
from compiler.policy import codes
from compiler.policy.document import MAX_DEPTH, node_to_plain, read_documents
from compiler.policy.loading import load_text
from compiler.policy.located import locate
from compiler.policy.scalar import resolve_plain


def plain_of(text: str) -> object:
    report = Report()
    (document,) = read_documents("p", text, report)
    assert report.sorted() == ()
    return node_to_plain(document)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((word, True) for word in ("y", "Y", "yes", "True", "ON")),
        *((word, False) for word in ("n", "No", "FALSE", "off")),
        *((word, None) for word in ("", "~", "null", "NULL")),
        ("010", 8),
        ("0o10", 8),
        ("0x1F", 31),
        ("0b101", 5),
        ("-0b101", -5),
        ("1_000", 1000),
        ("089", 89.0),
        ("+7", 7),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("18446744073709551615", 18446744073709551615),
        ("18446744073709551616", 18446744073709551616.0),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("10.1.0.0/16", "10.1.0.0/16"),
        ("02:00:00:00:00:01", "02:00:00:00:00:01"),
        ("yEs", "yEs"),
        ("-", "-"),
        ("0x", "0x"),
        ("١", "١"),
    ],
)
def test_plain_scalars_as_kubernetes_reads_them(text: str, value: object) -> None:
    found = resolve_plain(text)
    assert (found, type(found)) == (value, type(value))


def test_special_floats_and_digits_without_end() -> None:
    assert math.isnan(resolve_plain(".nan"))  # pyright: ignore[reportArgumentType]
    assert resolve_plain("-.inf") == -math.inf
    assert resolve_plain("9" * 5000) == math.inf


def test_quotes_and_tags_make_strings() -> None:
    assert plain_of("{a: 'no', b: !!str 010, c: ! 5, d: \"1\"}") == {"a": "no", "b": "010", "c": "5", "d": "1"}


def test_merge_keys_and_aliases() -> None:
    text = "base: &b {x: 1, z: [2]}\nover: {<<: *b, x: 3}\nboth: {<<: [{x: 9}, *b]}\n"
    assert plain_of(text) == {"base": {"x": 1, "z": (2,)}, "over": {"x": 3, "z": (2,)}, "both": {"x": 9, "z": (2,)}}


def test_positions_count_characters() -> None:
    report = Report()
    (document,) = read_documents("p", "語: {ü: [1,\n  zwei]}\n", report)
    assert [str(locate(document, path)[1]) for path in (("語",), ("語", "ü"), ("語", "ü", 1))] == [
        "p:1:1",
        "p:1:5",
        "p:2:3",
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_endings_and_byte_order_mark(end: str) -> None:
    loaded = load_text("\ufeff" + end.join(["kind: Network", "apiVersion: nope", ""]))
    assert [(d.code, d.span.line) for d in loaded.diagnostics] == [(codes.UNKNOWN_API_VERSION, 2)]


def code_of(text: str) -> list[str]:
    return [diagnostic.code.id for diagnostic in load_text(text).diagnostics]


def test_depth_is_limited() -> None:
    assert code_of("[" * 100_000) == ["E0007"]
    assert code_of("a: " + "[" * (MAX_DEPTH + 1)) == ["E0007"]
    assert code_of("\n".join("  " * level + "a:" for level in range(200))) == ["E0007"]


def test_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert code_of("\n".join(lines)) == ["E0006"]


@pytest.mark.parametrize("text", ["a: *a", "a: &a [*a]", "&a {b: *a}"])
def test_aliases_of_nothing_or_themselves(text: str) -> None:
    assert code_of(text) == ["E0004"]


@pytest.mark.parametrize("text", ["a: \0", "a: \x1b[31m", "a: \ud800", "a: \ufffe", "a\ufeff: b"])
def test_control_characters(text: str) -> None:
    loaded = load_text(text)
    assert [d.code for d in loaded.diagnostics] == [codes.CONTROL_CHARACTER]
    assert "\x1b" not in loaded.render()


def test_empty_files_are_fine() -> None:
    for text in ("", "---\n", "# nothing\n", "---\n---\n...\n", "~"):
        assert load_text(text).diagnostics == ()
