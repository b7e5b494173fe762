"""The pipeline of `pipelines/referring.ir`, and entries of it as text."""

from __future__ import annotations

from pathlib import Path

from compiler.ir.nodes import Pipeline
from compiler.ir.text import from_text
from compiler.ir.verifier import check

PATH = Path(__file__).parent / "pipelines" / "referring.ir"
ACTIONS = {
    "leave_by": (0x01000001, "port"),
    "resolve": (0x01000002, "mac"),
    "set_next_hop": (0x01000003, "interface", "address"),
    "to_next_hop": (0x01000004, "id"),
    "to_group": (0x01000005, "group"),
    "allow": (0x01000006,),
    "miss": (0x01000007,),
}
HOPS = "action_profile_id: 0x11000003"


def referring_pipeline(version: str = "1") -> Pipeline:
    text = PATH.read_text().replace('version "1"', f'version "{version}"', 1)
    return check(from_text(text, path=PATH.name))


def value(number: int) -> str:
    data = number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big")
    return f'"{"".join(f"{chr(92)}{byte:03o}" for byte in data)}"'


def call(action: str, *arguments: int) -> str:
    number, *_ = ACTIONS[action]
    params = " ".join(f"params {{ param_id: {at} value: {value(one)} }}" for at, one in enumerate(arguments, 1))
    return f"action_id: {number} {params}"


def exact(table: int, *keys: int, action: str = "") -> str:
    match = " ".join(f"match {{ field_id: {at} exact {{ value: {value(key)} }} }}" for at, key in enumerate(keys, 1))
    return f"table_entry {{ table_id: {0x02000000 + table} {match} {f'action {{ {action} }}' if action else ''} }}"


def interface(number: int, port: int = 1) -> str:
    return exact(6, number, action=f"action {{ {call('leave_by', port)} }}")


def neighbor(of: int, address: int) -> str:
    return exact(5, of, address, action=f"action {{ {call('resolve', 2)} }}")


def next_hop(number: int, of: int, address: int) -> str:
    return exact(4, number, action=f"action {{ {call('set_next_hop', of, address)} }}")


def route(dst: int, action: str) -> str:
    lpm = f"match {{ field_id: 1 lpm {{ value: {value(dst)} prefix_len: 32 }} }}"
    return f"table_entry {{ table_id: 0x02000002 {lpm} action {{ action {{ {action} }} }} }}"


def default_route(action: str = "") -> str:
    chosen = f"action {{ action {{ {action} }} }}" if action else ""
    return f"table_entry {{ table_id: 0x02000002 is_default_action: true {chosen} }}"


def member(number: int, action: str) -> str:
    return f"action_profile_member {{ {HOPS} member_id: {number} action {{ {action} }} }}"


def spread(of: int, action: str) -> str:
    return exact(3, of, action=action)


def one_shot(*ids: int) -> str:
    actions = " ".join(f"action_profile_actions {{ action {{ {call('to_next_hop', one)} }} weight: 1 }}" for one in ids)
    return f"action_profile_action_set {{ {actions} }}"


CHAIN = (
    f"INSERT {interface(1)}",
    f"INSERT {neighbor(1, 10)}",
    f"INSERT {next_hop(5, 1, 10)}",
    f"INSERT {route(77, call('to_next_hop', 5))}",
)
