"""The values of a StorageSteering that no other kind has: classes (DSCP) and rates."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import PlainValidator, WithJsonSchema

from compiler.diagnostic import did_you_mean
from compiler.policy import codes
from compiler.policy.scalar import describe, shortened
from compiler.policy.values import refusal

CLASSES: Final = {
    "BE": 0,
    "LE": 1,
    **{f"CS{number}": number << 3 for number in range(1, 8)},
    **{f"AF{queue}{drop}": queue << 3 | drop << 1 for queue in range(1, 5) for drop in range(1, 4)},
    "EF": 46,
    "VA": 44,
}
"""Names of the IANA registry "Differentiated Services Field Codepoints" (RFC 2474, 2597, 3246, 5865, 8622)."""
MAX_DSCP: Final = 63
MIN_RATE_BPS: Final = 1_000_000
MAX_RATE_BPS: Final = 1_000_000_000_000
MIN_BURST: Final = 65_536
"""A device counts what the kernel gives it at once, which is up to 64 KiB of a connection (GRO, TSO)."""
MAX_BURST: Final = 1 << 32
_UNITS: Final = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}


def _parse_class(value: object) -> int:
    expected = "a number from 0 to 63, or a name such as 'AF41', 'CS3' or 'EF'"
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value <= MAX_DSCP:
            raise refusal(f"{value} is out of range", expected=expected)
        return value
    if not isinstance(value, str):
        raise refusal(f"found {describe(value)}", expected=expected, code=codes.WRONG_TYPE)
    if value not in CLASSES:
        raise refusal(
            f"'{shortened(value)}' is not a class", expected=expected, hint=did_you_mean(value, tuple(CLASSES))
        )
    return CLASSES[value]


def _parse_rate(value: object) -> int:
    """Bits a second: a number, or one with a decimal unit as in '2.5G'."""
    expected = "bits a second, from '1M' to '1000G', such as 250000000, '250M' or '2.5G'"
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise refusal(f"found {describe(value)}", expected=expected, code=codes.WRONG_TYPE)
    match = re.fullmatch(r"([0-9]{1,13})(?:\.([0-9]{1,9}))?([kMG]?)", str(value), re.ASCII)
    if match is None:
        raise refusal(f"'{shortened(str(value))}' is not a rate", expected=expected)
    whole, fraction, unit = match[1], match[2] or "", match[3]
    rate = int(whole + fraction) * _UNITS[unit] // 10 ** len(fraction)
    if not MIN_RATE_BPS <= rate <= MAX_RATE_BPS:
        raise refusal(f"'{value}' is out of range", expected=expected)
    return rate


_TEXT_OR_NUMBER: Final = {
    "x-kubernetes-int-or-string": True,
    "anyOf": [{"type": "integer"}, {"type": "string"}],
}
ClassValue = Annotated[int, PlainValidator(_parse_class), WithJsonSchema(_TEXT_OR_NUMBER)]
"""A DSCP, 0 to 63."""
RateValue = Annotated[int, PlainValidator(_parse_rate), WithJsonSchema(_TEXT_OR_NUMBER)]
"""Bits a second."""
