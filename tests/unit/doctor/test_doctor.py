"""What the doctor makes of features, tools and rights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from runtime.bpf.features import PROBES, Feature
from runtime.doctor.examination import examine
from runtime.doctor.filesystems import filesystem_findings
from runtime.doctor.findings import Finding, Subject, is_fit
from runtime.doctor.kernel import NEEDED, REMEDIES, finding_of
from runtime.doctor.rights import CAPABILITIES, effective_capabilities, right_findings
from runtime.doctor.shellenvironment import shell_environment, shell_python
from runtime.doctor.tools import TOOLS, Tool, shell_finding, tool_finding

ROOT_OF_6_18 = "Name:\tpytest\nCapInh:\t0000000000000000\nCapEff:\t000001ffffffffff\n"


def finding(name: str, *, present: bool, needed: bool) -> Finding:
    return Finding(
        subject=Subject.TOOL, name=name, present=present, needed=needed, detail="d", disables="x", remedy="r"
    )


@pytest.mark.parametrize(
    ("present", "needed", "state", "fit"),
    [
        (True, True, "ok", True),
        (True, False, "ok", True),
        (False, True, "missing", False),
        (False, False, "absent", True),
    ],
)
def test_only_what_is_needed_decides(present: bool, needed: bool, state: str, fit: bool) -> None:
    one = finding("thing", present=present, needed=needed)
    assert one.state == state
    assert is_fit((finding("other", present=True, needed=True), one)) is fit


def test_names_in_the_doctors_lists_are_names_of_probes() -> None:
    names = {probe.name for probe in PROBES}
    assert names >= NEEDED
    assert names >= set(REMEDIES)


def test_a_feature_becomes_a_finding() -> None:
    feature = Feature(name="tcx", present=False, detail="not known", disables="links")
    assert finding_of(feature) == Finding(
        subject=Subject.KERNEL,
        name="tcx",
        present=False,
        needed=False,
        detail="not known",
        disables="links",
        remedy="a kernel from 6.6 on",
    )


def test_a_tool_that_is_there_and_one_that_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "weigh"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tool_finding(Tool(name="weigh", package="scales", disables="weighing")).detail == str(program)
    absent = tool_finding(Tool(name="measure-nothing", package="rulers", disables="measuring", needed=True))
    assert (absent.state, absent.detail, absent.remedy) == (
        "missing",
        "not found",
        "apt-get install rulers, or ./setup",
    )


def test_tools_have_names_of_their_own() -> None:
    assert len({tool.name for tool in TOOLS}) == len(TOOLS)


def test_the_environment_of_the_shell(tmp_path: Path) -> None:
    environment = shell_environment(tmp_path / ".venv")
    assert environment == tmp_path / ".venv-shell"
    assert shell_python(environment) is None
    assert shell_finding(environment).state == "absent"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin/python").touch()
    assert shell_python(environment) is None, "an environment whose filling was interrupted"
    package = environment / "lib/python3.11/site-packages/p4runtime_sh"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    assert shell_python(environment) == environment / "bin/python"
    assert shell_finding(environment).state == "ok"


def test_capabilities(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text(ROOT_OF_6_18)
    assert [right.state for right in right_findings(status)] == ["ok", "ok", "ok"]
    status.write_text(f"CapEff:\t{1 << 12:016x}\n")
    assert [(right.name, right.state) for right in right_findings(status)] == [
        ("CAP_NET_ADMIN", "ok"),
        ("CAP_SYS_ADMIN", "missing"),
        ("CAP_BPF", "missing"),
    ]
    with pytest.raises(ValueError, match="no line CapEff"):
        effective_capabilities("Name:\tx\n")


def test_file_systems_may_be_modules_that_are_not_loaded_yet(tmp_path: Path) -> None:
    known, modules = tmp_path / "filesystems", tmp_path / "modules"
    known.write_text("nodev\toverlay\n\text4\n")
    found = filesystem_findings(known, tmp_path / "loop-control", modules)
    assert [(one.name, one.state) for one in found] == [
        ("erofs file system", "absent"),
        ("overlay file system", "ok"),
        ("ext4 file system", "ok"),
        ("loop devices", "absent"),
    ]
    module = modules / "kernel" / "fs" / "erofs" / "erofs.ko.xz"
    module.parent.mkdir(parents=True)
    module.touch()
    assert [one.detail for one in filesystem_findings(known, known, modules)] == [
        str(module),
        "built in or loaded",
        "built in or loaded",
        str(known),
    ]


def test_the_whole_machine_is_looked_at() -> None:
    findings = examine()
    names = [one.name for one in findings]
    assert len(set(names)) == len(names)
    expected = {probe.name for probe in PROBES} | {tool.name for tool in TOOLS} | {c.name for c in CAPABILITIES}
    assert set(names) >= expected | {
        "namespaces and veth",
        "bridges",
        "vlan interfaces",
        "p4runtime-shell",
        "loop devices",
    }
    assert all(one.detail and one.disables and one.remedy for one in findings)


def test_the_command_says_what_is_missing_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    findings = (finding("good", present=True, needed=True), finding("wanted", present=False, needed=True))
    monkeypatch.setattr("cli.doctor.examine", lambda: findings)
    run = CliRunner().invoke(app, ["doctor", "--output", "json"])
    assert run.exit_code == 1
    assert [(row["name"], row["state"]) for row in json.loads(run.stdout)] == [("good", "ok"), ("wanted", "missing")]
    assert run.stderr == "wanted: without it: x; remedy: r\nturnout: error: needed and missing: wanted\n"


def test_the_command_is_content_with_what_is_only_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.doctor.examine", lambda: (finding("extra", present=False, needed=False),))
    run = CliRunner().invoke(app, ["doctor"])
    assert run.exit_code == 0
    assert run.stdout.split() == ["SUBJECT", "NAME", "STATE", "DETAIL", "tool", "extra", "absent", "d"]
    assert run.stderr == "extra: without it: x; remedy: r\n"
