"""How people write the numbers of keys and parameters: addresses and MAC addresses, by `Key.format`."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from compiler.ir.entries import Exact, Lpm, MatchValue, Optional, Range, Ternary

FORMATS = ("", "ipv4", "ipv6", "mac")


def number_to_text(value: int, form: str = "") -> str:
    """`value` as an address, a MAC address or a decimal number."""
    match form:
        case "ipv4":
            return str(IPv4Address(value))
        case "ipv6":
            return str(IPv6Address(value))
        case "mac":
            return ":".join(f"{byte:02x}" for byte in value.to_bytes(6, "big"))
        case _:
            return str(value)


def match_to_text(match_value: MatchValue, form: str = "") -> str:
    """A match as in `10.0.0.0/8`, `1&&&0xf`, `80..90`; `*` for anything."""
    match match_value:
        case Exact(value=value):
            return number_to_text(value, form)
        case Lpm(value=value, prefix_len=prefix_len):
            return f"{number_to_text(value, form)}/{prefix_len}"
        case Ternary(value=value, mask=mask):
            return f"{number_to_text(value, form)}&&&{mask:#x}"
        case Range(low=low, high=high):
            return f"{number_to_text(low, form)}..{number_to_text(high, form)}"
        case Optional(value=value):
            return "*" if value is None else number_to_text(value, form)
