"""WWW-Authenticate of a registry (RFC 9110 section 11.6.1; distribution's token authentication)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_PARAMETER: Final = re.compile(r'\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*,?')


@dataclass(frozen=True, slots=True)
class Challenge:
    """`scheme` is bearer or basic, in small letters."""

    scheme: str
    parameters: dict[str, str]


def parse_challenge(value: str) -> Challenge:
    scheme, _, rest = value.strip().partition(" ")
    parameters: dict[str, str] = {}
    position = 0
    while found := _PARAMETER.match(rest, position):
        name, quoted, plain = found.groups()
        parameters[name.lower()] = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        position = found.end()
    return Challenge(scheme.lower(), parameters)
