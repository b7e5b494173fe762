"""How a diagnostic looks: carets, long lines, terminals."""

from __future__ import annotations

import pytest

from compiler import diagnostic
from compiler.diagnostic import Code, Diagnostic, did_you_mean, nearest, render_all, sorted_diagnostics, summary
from compiler.span import Span

ERROR = Code(id="E9999", name="test")
WARNING = Code(id="W9998", name="test-warning")


def render(line: str, column: int, end: int | None) -> list[str]:
    span = Span(path="p", line=1, column=column, end_line=1, end_column=end)
    return render_all([Diagnostic(code=ERROR, message="m", span=span)], {"p": line}).split("\n")


@pytest.mark.parametrize(
    ("line", "column", "end", "carets"),
    [
        ("abc", 2, 3, " ^"),
        ("\ta\tb", 4, 5, "\t \t^"),
        ("語b", 2, 3, "  ^"),
        ("語b", 1, 2, "^^"),
        ("e\N{COMBINING ACUTE ACCENT}b", 3, 4, " ^"),
        ("abc", 4, 4, "   ^"),
        ("abc", 2, None, " ^^"),
        ("abc", 99, 200, "   ^"),
    ],
)
def test_carets(line: str, column: int, end: int | None, carets: str) -> None:
    assert render(line, column, end) == [f"p:1:{column}: error[E9999]: m", "    1 | " + line, "      | " + carets]


def test_long_lines_are_cut_around_the_mark() -> None:
    _, text, carets = render("x" * 5000 + "HERE" + "y" * 5000, 5001, 5005)
    assert len(text) < 150
    assert text[carets.index("^") : carets.rindex("^") + 1] == "HERE"


def test_of_a_line_that_is_a_whole_file_only_what_is_shown_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a compact JSON with a mistake in each of its objects takes minutes."""
    looked_at: list[int] = []

    def looking(text: str) -> str:
        looked_at.append(len(text))
        return text

    monkeypatch.setattr(diagnostic, "printable", looking)
    render("x" * 500_000 + "HERE" + "y" * 500_000, 500_001, 500_005)
    assert max(looked_at) < 200


def test_control_characters_do_not_reach_the_terminal() -> None:
    span = Span(path="p\x1b", line=1, column=1, end_column=2)
    text = render_all([Diagnostic(code=ERROR, message="\x1b[2J\u202e", span=span)], {"p\x1b": "\x1b]0;x\x07"})
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_lines_outside_of_the_source_are_left_out() -> None:
    diagnostic = Diagnostic(code=ERROR, message="m", span=Span(path="p", line=7))
    assert render_all([diagnostic], {"p": "x"}) == render_all([diagnostic], {}) == "p:7:1: error[E9999]: m"


def test_order_and_summary() -> None:
    spans = [("b", 1, 1), ("a", 10, 1), ("a", 2, 5), ("a", 2, 4)]
    found = [Diagnostic(code=ERROR, message="m", span=Span(path=p, line=n, column=c)) for p, n, c in spans]
    found.append(Diagnostic(code=WARNING, message="m", span=Span(path="a", line=2, column=4)))
    places = [str(d) for d in sorted_diagnostics(found * 2)]
    assert [place.split(": ")[0] for place in places] == ["a:2:4", "a:2:4", "a:2:5", "a:10:1", "b:1:1"]
    assert summary(found) == "4 errors, 1 warning"


def test_nearest_name() -> None:
    assert nearest("netwrok", ["network", "node"]) == "network"
    assert nearest("NODE", ["network", "node"]) == "node"
    assert nearest("zzz", ["network"]) is None
    assert did_you_mean("zzz", ["b", "a"]) == "known: a, b"
    assert did_you_mean("zzz", []) is None
