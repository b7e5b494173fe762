"""Every diagnostic about entries is documented, and comes from where it should."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.diagnostic import Code
from compiler.entries import codes
from compiler.entries.desired import compile_entries
from compiler.policy.loading import load_text

ROOT = Path(__file__).parents[3]
ALL_CODES = [value for value in vars(codes).values() if isinstance(value, Code)]
BASE = (ROOT / "examples" / "shop.yaml").read_text()


@pytest.mark.parametrize("code", ALL_CODES, ids=lambda code: code.id)
def test_documented(code: Code) -> None:
    assert f"| {code.id} | {code.name} |" in (ROOT / "docs" / "diagnostics.md").read_text()


def found(text: str, device: str) -> list[tuple[str, str]]:
    loaded = load_text(text)
    assert not loaded.is_refused, loaded.render()
    chosen = next(d for d in loaded.policies.devices if d.name == device)
    return [(d.code.id, d.message) for d in compile_entries(loaded.policies, chosen).diagnostics]


def test_other_subnet_without_a_gateway_mac() -> None:
    text = BASE.replace("192.168.50.2/24", "192.168.51.2/24").replace(
        "mac: 02:00:00:00:50:01", "mac: 02:00:00:00:50:01\n    gateway: 192.168.50.254"
    )
    assert ("W0304", "workload 'shop/web-3' cannot be reached from device 'dpu-a': 'dpu-b' is in another subnet and "
            "'dpu-a' has no gatewayMac") in found(text, "dpu-a")  # fmt: skip


def test_weights_beyond_a_group() -> None:
    text = (ROOT / "examples" / "weighted.yaml").read_text()
    many = "\n".join(f"  - {{address: 10.2.0.{host}, weight: 100}}" for host in range(20, 31))
    assert found(text + "\n" + many + "\n", "dpu-a") == [
        ("E0302", "the weights of the backends add up to 1104; backends_ipv4 takes 1000")
    ]


def test_service_family_without_a_gateway() -> None:
    text = BASE.replace(
        'cidrs: [10.1.0.0/16, "fd00:10:1::/64"]\n---\napiVersion: turnout.dev/v1alpha1\nkind: Node',
        "cidrs: [10.1.0.0/16]\n---\napiVersion: turnout.dev/v1alpha1\nkind: Node",
        1,
    )
    extra = text.replace("  addresses: [10.96.0.10]\n", '  addresses: [10.96.0.10, "fd00:10:96::99"]\n')
    assert [code for code, _ in found(extra, "dpu-a")] == ["W0305"]
