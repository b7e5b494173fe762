"""The pipeline of `pipelines/named.ir`, and entries of it as text, by the names that controllers have."""

from __future__ import annotations

from pathlib import Path

from compiler.ir.nodes import Pipeline
from compiler.ir.text import from_text
from compiler.ir.verifier import check

PATH = Path(__file__).parent / "pipelines" / "named.ir"
BEHIND = {16: ",name=web,sdn=0x10010", 17: ",name=cache"}
"""What `--port` says of some ports; port 1 has its interface's name, up1."""
BIG = 0x10000001
"""A class, larger than what packets have room for."""


def named_pipeline(version: str = "1") -> Pipeline:
    text = PATH.read_text().replace('version "1"', f'version "{version}"', 1)
    return check(from_text(text, path=PATH.name))


def number(value: int) -> str:
    data = value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
    return "".join(f"\\{byte:03o}" for byte in data)


def param(at: int, value: str) -> str:
    return f'params {{ param_id: {at} value: "{value}" }}'


def set_vrf(vrf: str) -> str:
    return f"action_id: 0x01000001 {param(1, vrf)}"


def leave_by(port: str, of: int = 1) -> str:
    return f"action_id: 0x01000002 {param(1, port)} {param(2, number(of))}"


def exact(at: int, value: str) -> str:
    return f'match {{ field_id: {at} exact {{ value: "{value}" }} }}'


def port(name: str, vrf: str) -> str:
    return f"table_entry {{ table_id: 0x02000001 {exact(1, name)} action {{ action {{ {set_vrf(vrf)} }} }} }}"


def default_vrf(vrf: str) -> str:
    return f"table_entry {{ table_id: 0x02000001 is_default_action: true action {{ action {{ {set_vrf(vrf)} }} }} }}"


def vrf(name: str) -> str:
    return f"table_entry {{ table_id: 0x02000003 {exact(1, name)} action {{ action {{ action_id: 0x01000004 }} }} }}"


def route(of: str, dst: int, action: str) -> str:
    key = f"{exact(1, of)} {exact(2, number(dst))}"
    return f"table_entry {{ table_id: 0x02000002 {key} action {{ action {{ {action} }} }} }}"


def member(at: int, action: str) -> str:
    return f"action_profile_member {{ action_profile_id: 0x11000004 member_id: {at} action {{ {action} }} }}"


def spread(of: int | None, action: str) -> str:
    match = "" if of is None else f'match {{ field_id: 1 optional {{ value: "{number(of)}" }} }}'
    return f"table_entry {{ table_id: 0x02000004 priority: 1 {match} action {{ {action} }} }}"
