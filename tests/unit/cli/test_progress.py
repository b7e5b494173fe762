"""How far long work is: said on a terminal, and to nobody else."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from cli.console import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_is_shown_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Terminal()
    monkeypatch.setattr(sys, "stderr", told)
    monkeypatch.setenv("TERM", "xterm")
    with progress("writing", 40) as bar:
        bar.advance(3)
        bar.reach(30)
        bar.advance()
    assert "writing" in told.getvalue()
    assert "31/40" in told.getvalue()


def test_nobody_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    told = io.StringIO()
    monkeypatch.setattr(sys, "stderr", told)
    with progress("writing", None) as bar:
        bar.advance(3)
        bar.reach(30)
    assert not told.getvalue()


def test_what_apply_does_not_need_is_not_imported() -> None:
    asked = "import sys, cli.main, cli.apply; print(*sorted({'rich', 'cryptography', 'jinja2'} & {*sys.modules}))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
