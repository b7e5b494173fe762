"""Entries of source ranges: one a range, for addresses that clients outside call, and one for all others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.entries.test_entering import compiled, lines

EIP = (Path(__file__).parents[3] / "examples" / "eip.yaml").read_text()
TYPE = "  type: LoadBalancer\n"


def shown(ranges: str, table: str, device: str = "dpu-a") -> list[tuple[str, str]]:
    """Source and action of the entries of service shop/web's port 80, of its external address."""
    found = compiled(EIP.replace(TYPE, f"{TYPE}  sourceRanges: {ranges}\n", 1), device)
    assert [d for d in found.diagnostics if d.severity.value == "error"] == []
    family = table.rpartition("_")[2]
    address = "address=203.0.113.10 " if family == "ipv4" else "address=2001:db8:113::10 "
    (service,) = lines(found, f"service_{family}", address, "port=80 ")
    number = service.partition("service_id=")[2].partition(",")[0]
    held = [line.split() for line in lines(found, table, f"service_id={number} ")]
    return [(words[2].partition("=")[2], words[4].removesuffix(f"_source_{family}()")) for words in held]


@pytest.mark.parametrize("device", ["dpu-a", "dpu-b"])
def test_ranges_that_are_allowed_leave_out_all_others(device: str) -> None:
    ranges = '{allow: [198.51.100.0/24, 192.0.2.7/32, "2001:db8::/32"]}'
    assert shown(ranges, "source_range_ipv4", device) == [
        ("0.0.0.0/0", "deny"),
        ("192.0.2.7/32", "admit"),
        ("198.51.100.0/24", "admit"),
    ]
    assert shown(ranges, "source_range_ipv6", device) == [("::/0", "deny"), ("2001:db8::/32", "admit")]


def test_ranges_that_are_denied_let_all_others_in() -> None:
    assert shown("{deny: [198.51.100.0/24]}", "source_range_ipv4") == [("198.51.100.0/24", "deny")]
    assert shown("{deny: [198.51.100.0/24]}", "source_range_ipv6") == []


def test_ranges_of_one_family_alone_leave_out_the_other() -> None:
    assert shown("{allow: [198.51.100.0/24]}", "source_range_ipv6") == [("::/0", "deny")]


def test_everybody_may_be_allowed_but_for_some() -> None:
    ranges = "{allow: [0.0.0.0/0], deny: [198.51.100.0/24]}"
    assert shown(ranges, "source_range_ipv4") == [("0.0.0.0/0", "admit"), ("198.51.100.0/24", "deny")]


def test_addresses_inside_have_none() -> None:
    text = EIP.replace(TYPE, f"{TYPE}  sourceRanges: {{deny: [198.51.100.0/24]}}\n", 1)
    found = compiled(text, "dpu-a")
    assert len(lines(found, "source_range_ipv4")) == 2, "one a port of the external address"
