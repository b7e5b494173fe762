"""`turnout image serve`: where it listens, as it is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from agents.storage.wire.errors import ImageError
from agents.storage.wire.remotes import Server
from cli.main import app


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("10.0.0.1", "nbd://10.0.0.1:10809"),
        ("10.0.0.1:9", "nbd://10.0.0.1:9"),
        ("fd00::1", "nbd://[fd00::1]:10809"),  # as a Pod is told its node's address
        ("[fd00::1]:9", "nbd://[fd00::1]:9"),
    ],
)
def test_addresses(text: str, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def listens(_: Path, listen: Server, tls: object) -> None:
        assert tls is None
        raise ImageError(f"asked for {listen}")

    def handles(*_: object) -> None:
        """This process has handlers of its own."""

    monkeypatch.setattr("cli.imageserving.VolumeServer", listens)
    monkeypatch.setattr("cli.imageserving.signal.signal", handles)
    done = CliRunner().invoke(app, ["image", "serve", "--listen", text, "--store", str(tmp_path)])
    assert (done.exit_code, done.stderr) == (1, f"turnout: error: asked for {where}\n")
