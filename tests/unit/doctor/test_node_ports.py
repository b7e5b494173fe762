"""What the doctor says of node ports and of the ports that a kernel picks."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.doctor.nodeports import node_port_findings


@pytest.mark.parametrize(
    ("picked", "reserved", "detail"),
    [
        ("32768\t60999\n", "\n", ""),
        (
            "30000\t32767\n",
            "\n",
            "2768 of 30000 to 32767 may be picked for the host's own connections (30000 to 32767)",
        ),
        ("32767 60999", "", "1 of 30000 to 32767 may be picked for the host's own connections (32767 to 60999)"),
        ("1024 65535", "8080,30000-32767,40000", ""),
        ("1024 65535", "30000-31000,31002-32767", "1 of 30000 to 32767 may be picked for the host's own "),
        ("1024 29999", "", ""),
    ],
)
def test_ports_that_may_be_picked(tmp_path: Path, picked: str, reserved: str, detail: str) -> None:
    (tmp_path / "ip_local_port_range").write_text(picked)
    (tmp_path / "ip_local_reserved_ports").write_text(reserved)
    (found,) = node_port_findings(tmp_path)
    assert found.present is not bool(detail)
    assert not found.needed
    assert detail in found.detail
    assert "reserved_ports=30000-32767" in found.remedy


def test_this_machine_can_be_asked() -> None:
    (found,) = node_port_findings()
    assert found.detail
