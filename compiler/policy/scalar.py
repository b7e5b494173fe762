"""Which value a plain YAML scalar has, as Kubernetes reads it.

kubectl and the API server use sigs.k8s.io/yaml, whose rules are YAML 1.1 with changes: `no`, `on` and `y` are
booleans, `010` is octal and `0o10` too, sexagesimal numbers (`1:30`) and dates stay strings. PyYAML's own resolver
differs in the last three and in `y`, so it is not used.
"""

from __future__ import annotations

import re
from typing import Final

Scalar = str | int | float | bool | None

_WORDS: Final[dict[str, bool | float | None]] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **{word: float("nan") for word in (".nan", ".NaN", ".NAN")},
    **{word: float("inf") for word in (".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF")},
    **{word: float("-inf") for word in ("-.inf", "-.Inf", "-.INF")},
}
_INTEGER: Final = re.compile(
    r"[-+]?(?:0[xX](?P<x>[0-9a-fA-F]+)|0[bB](?P<b>[01]+)|0[oO]?(?P<o>[0-7]+)|(?P<d>0|[1-9][0-9]*))"
)
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_BASES: Final = (("d", 10), ("x", 16), ("o", 8), ("b", 2))
_NUMBER_STARTS: Final = frozenset("+-.0123456789")
_LONGEST_NUMBER: Final = 128
"""Longer digits are a float: none fits 64 bits, and Python refuses to read integers of thousands of digits."""


def resolve_plain(text: str) -> Scalar:
    """The value of an unquoted scalar without a tag."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    digits = text.replace("_", "")
    integer = _INTEGER.fullmatch(digits)
    if integer is not None and len(digits) <= _LONGEST_NUMBER:
        value = _integer(integer)
        return value if -(1 << 63) <= value < 1 << 64 else float(value)
    if _FLOAT.fullmatch(digits):
        return float(digits)
    return text


def _integer(match: re.Match[str]) -> int:
    sign = -1 if match.group().startswith("-") else 1
    name, base = next(pair for pair in _BASES if match.group(pair[0]) is not None)
    return sign * int(match.group(name), base)


def describe(value: object) -> str:
    """How a message names the type of a value that came from a file."""
    match value:
        case None:
            return "nothing (null)"
        case bool():
            return f"the boolean {str(value).lower()}"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the string '{shortened(value)}'"
        case dict():
            return "a mapping"
        case _:
            return "a list"


def shortened(text: str) -> str:
    """Text from a file as messages quote it: one line, at most 60 characters."""
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:57] + "..."
