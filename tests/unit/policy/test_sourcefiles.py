"""Files, directories, and what cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.policy import codes, sourcefiles
from compiler.policy.loading import load

NETWORK = """apiVersion: turnout.dev/v1alpha1
kind: Network
metadata: {{name: {0}}}
spec: {{vni: {1}, cidrs: [10.0.0.0/8]}}
"""


def test_directories_are_read_recursively_and_in_order(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.yml").write_text(NETWORK.format("b", 2))
    (tmp_path / "a.yaml").write_text(NETWORK.format("a", 1))
    (tmp_path / "c.json").write_text(
        '{"apiVersion": "turnout.dev/v1alpha1", "kind": "Network",\n\t"metadata": {"name": "c"},\n'
        '\t"spec": {"vni": 3, "cidrs": ["10.0.0.0/8"]}}'
    )
    (tmp_path / "notes.txt").write_text("{{{")
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "a.yaml").write_text(NETWORK.format("a", 1))
    (tmp_path / "loop").symlink_to(tmp_path)
    loaded = load([tmp_path, tmp_path / "a.yaml", tmp_path / "sub" / ".." / "a.yaml"])
    assert loaded.diagnostics == ()
    assert list(loaded.sources) == [str(tmp_path / name) for name in ("a.yaml", "c.json", "sub/b.yml")]
    assert [network.name for network in loaded.policies.networks] == ["a", "b", "c"]


def test_what_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "latin.yaml").write_bytes(b"a: 1\nb: \xff\n")
    (tmp_path / "utf16.yaml").write_bytes("a: 1".encode("utf-16"))
    (tmp_path / "large.yaml").write_bytes(b"#" * 2000)
    monkeypatch.setattr(sourcefiles, "MAX_BYTES", 1000)
    names = ("empty", "latin.yaml", "utf16.yaml", "large.yaml", "missing.yaml", "nul\0.yaml")
    loaded = load([tmp_path / name for name in names])
    found = {Path(d.span.path).name: (d.code, d.span.line, d.span.column) for d in loaded.diagnostics}
    assert found == {
        "empty": (codes.NO_POLICIES, 1, 1),
        "latin.yaml": (codes.NOT_UTF8, 2, 4),
        "utf16.yaml": (codes.NOT_UTF8, 1, 1),
        "large.yaml": (codes.TOO_LARGE, 1, 1),
        "missing.yaml": (codes.UNREADABLE, 1, 1),
        "nul\0.yaml": (codes.UNREADABLE, 1, 1),
    }
    assert loaded.is_refused
    assert "No such file or directory" in loaded.render()
