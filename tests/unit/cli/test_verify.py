"""`turnout verify` as a command: what it prints, where it notes the result, and with which status it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from compiler.pipeline.assembly import pipeline
from compiler.printers.bundle import read_bundle, write_bundle
from runtime.verification.proof import machine
from runtime.verified import program_digests, program_standing, read_verification

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = str(ROOT / "examples" / "single-node.yaml")
FEW = ("--packets", "60")


@pytest.fixture(autouse=True)
def without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter alone: quick, and the same for everybody."""
    monkeypatch.setattr(machine.os, "geteuid", lambda: 1000)


def run(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["verify", *words])
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.slow
def test_says_what_held_and_what_was_not_run() -> None:
    status, told, explained = run(EXAMPLE, *FEW)
    assert status == 0
    assert explained.splitlines()[-1] == (
        "turnout: the programs were not run, only the interpreter: only root can load programs"
    )
    head, row, _, program = told.splitlines()
    assert head.split() == [
        *("DEVICE", "RESULT", "LEVELS", "PACKETS", "CONNECTIONS"),
        *("STATES", "CALLS", "BACKENDS", "POLICIES"),
    ]
    assert row.split()[:3] == ["dpu-a", "holds", "interpreter"]
    assert row.endswith("2 of 2    not all tried")
    assert program == f"pipeline.ir {program_digests(pipeline())['pipeline.ir']}"


@pytest.mark.slow
def test_json_is_the_record_and_more() -> None:
    status, told, _ = run(EXAMPLE, *FEW, "--output", "json", "--seed", "5", "--date", "2026-01-02")
    plain = json.loads(told)
    assert status == 0
    assert (plain["seed"], plain["date"], plain["kernel"]) == (5, "2026-01-02", "")
    assert plain["not_run"] == "only root can load programs"
    assert (plain["counter_examples"], plain["unreached_backends"]) == ([], {"dpu-a": []})
    assert [(one["device"], one["holds"]) for one in plain["devices"]] == [("dpu-a", True)]


@pytest.mark.slow
def test_notes_the_result_beside_what_was_compiled(tmp_path: Path) -> None:
    (tmp_path / "bundle.zip").write_bytes(write_bundle(pipeline()))
    status, _, _ = run(EXAMPLE, *FEW, "-o", str(tmp_path))
    record = read_verification((tmp_path / "verification.json").read_bytes())
    bundle = read_bundle((tmp_path / "bundle.zip").read_bytes())
    assert status == 0
    assert bundle.verification == (tmp_path / "verification.json").read_bytes()
    assert program_standing(record, program_digests(bundle.pipeline)) == "verified on kernel "


@pytest.mark.slow
def test_a_bundle_of_another_program_gets_no_record(tmp_path: Path) -> None:
    (tmp_path / "bundle.zip").write_bytes(write_bundle(pipeline(), tc=b"other"))
    _, _, explained = run(EXAMPLE, *FEW, "-o", str(tmp_path))
    assert explained.splitlines()[-1] == (
        f"turnout: {tmp_path}/bundle.zip carries no record: not verified: tc.o was not run, only the interpreter"
    )
    assert read_bundle((tmp_path / "bundle.zip").read_bytes()).verification is None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--device", "nope"), "turnout: error: no device 'nope' in these policies; they have: dpu-a\n"),
        (
            ("--device", "dpu-a", "--device", "no"),
            "turnout: error: no device 'no' in these policies; they have: dpu-a\n",
        ),
    ],
)
def test_devices_that_are_not_there(words: tuple[str, ...], told: str) -> None:
    status, _, explained = run(EXAMPLE, *words)
    assert (status, explained) == (1, told)


def test_a_folder_for_the_record_that_is_not_there(tmp_path: Path) -> None:
    """Said before anything is tried."""
    folder = tmp_path / "build"
    status, told, explained = run(EXAMPLE, "-o", str(folder))
    assert (status, told) == (1, "")
    assert explained == f"turnout: error: {folder} is no folder: 'turnout compile -o {folder}' makes it\n"
    assert not folder.exists()


def test_refused_policies_are_not_proved(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("kind: Nothing\n")
    status, told, _ = run(str(path))
    assert (status, told) == (1, "")


def test_wrong_use() -> None:
    assert run(EXAMPLE, "--packets", "0")[0] == 2
    assert run()[0] == 2
