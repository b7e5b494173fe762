"""`turnout device certs`: the files, their modes, and that nothing is overwritten."""

from __future__ import annotations

import stat
from pathlib import Path

from typer.testing import CliRunner, Result

from cli.main import app


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["device", "certs", str(folder), *arguments])


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_all_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    made = run(folder, "--client", "alice", "--host", "dpu-a", "--host", "10.0.0.1")
    names = ["ca.key", "ca.pem", "server.key", "server.pem", "alice.key", "alice.pem"]
    assert (made.exit_code, made.stdout.split()) == (0, [str(folder / name) for name in names])
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_another_client_later(tmp_path: Path) -> None:
    run(tmp_path, "--client", "alice")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert run(tmp_path, "--client", "bob").exit_code == 0
    assert set(listed(tmp_path)) - set(before) == {"bob.key", "bob.pem"}
    assert all((tmp_path / name).read_bytes() == content for name, content in before.items())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    run(tmp_path, "--client", "alice")
    before = listed(tmp_path)
    again = run(tmp_path, "--client", "bob", "--client", "alice")
    assert (again.exit_code, again.stderr) == (
        1,
        f"turnout: error: nothing is written, since these are there already: {tmp_path}/alice.pem, "
        f"{tmp_path}/alice.key\n",
    )
    assert listed(tmp_path) == before
    assert run(tmp_path).stderr == (
        f"turnout: error: {tmp_path} has everything already: name a --client, or remove what is to be renewed\n"
    )


def test_a_certificate_is_renewed_by_the_same_authority(tmp_path: Path) -> None:
    run(tmp_path)
    before = (tmp_path / "server.pem").read_bytes()
    for name in ("server.pem", "server.key"):
        (tmp_path / name).unlink()
    assert run(tmp_path).exit_code == 0
    assert (tmp_path / "server.pem").read_bytes() != before


def test_refusals(tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    assert run(folder, "--client", "ca").stderr == (
        "turnout: error: client name 'ca': there is another file of this name\n"
    )
    assert run(folder, "--client", "a", "--client", "a").stderr == (
        "turnout: error: client name 'a': there is another file of this name\n"
    )
    assert not folder.exists()
    (tmp_path / "file").touch()
    assert run(tmp_path / "file").stderr == f"turnout: error: {tmp_path}/file: file exists\n"
    folder.mkdir()
    folder.chmod(0o777)
    assert run(folder).stderr == f"turnout: error: everybody may replace files in {folder}: choose another folder\n"
    folder.chmod(0o700)
    (folder / "ca.key").write_text("nothing")
    (folder / "ca.pem").write_text("nothing")
    assert run(folder).stderr.startswith(f"turnout: error: {folder}/ca.pem and {folder}/ca.key: no certificate and key")
