"""Which clients outside a service lets in: `sourceRanges`, and loadBalancerSourceRanges of a Kubernetes Service.

The longest prefix that holds a client decides. Who is in none is let in, unless there are prefixes of such that are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_network
from typing import Annotated, Any, Final

from pydantic import Field

from compiler.diagnostic import Related, Report
from compiler.policy import codes
from compiler.policy.located import Located
from compiler.policy.model import Model
from compiler.policy.policyset import Address, Prefix, SourceRange
from compiler.policy.scalar import shortened
from compiler.policy.values import SourceValue
from compiler.span import Span

MOST_RANGES: Final = 4096


class SourceRanges(Model):
    """At least one of both."""

    allow: Annotated[
        tuple[SourceValue, ...], Field(max_length=MOST_RANGES, description="Then all others may not connect.")
    ] = ()
    deny: Annotated[tuple[SourceValue, ...], Field(max_length=MOST_RANGES)] = ()


def written_ranges(given: SourceRanges | None, located: Located[Any], report: Report) -> tuple[SourceRange, ...]:
    """Those of a DpuService."""
    if given is None:
        return ()
    path = ("spec", "sourceRanges")
    found = [
        SourceRange(prefix=prefix, is_allowed=field == "allow", span=located.at(*path, field, index))
        for field, prefixes in (("allow", given.allow), ("deny", given.deny))
        for index, prefix in enumerate(prefixes)
    ]
    if not found:
        message = "sourceRanges says nothing"
        report.add(codes.MISSING_FIELD, located.key(*path), message, expected="'allow' or 'deny'")
    return distinct(found, report)


def parsed_ranges(
    texts: Sequence[str], located: Located[Any], path: tuple[str, ...], report: Report, *, is_allowed: bool
) -> tuple[SourceRange, ...]:
    """Those of a Kubernetes Service. As there, spaces around them and bits beyond their lengths mean nothing."""
    found: list[SourceRange] = []
    for index, text in enumerate(texts):
        span = located.at(*path, index)
        prefix = _parsed(text.strip())
        if prefix is None:
            message = f"'{shortened(text)}' is not a prefix"
            report.add(codes.INVALID_VALUE, span, message, expected="an IPv4 or IPv6 prefix such as 192.0.2.0/24")
        else:
            found.append(SourceRange(prefix=prefix, is_allowed=is_allowed, span=span))
    return distinct(found, report)


def _parsed(text: str) -> Prefix | None:
    try:
        return ip_network(text, strict=False) if text.rpartition("/")[2].isdigit() and "/" in text else None
    except ValueError:
        return None


def distinct(found: Iterable[SourceRange], report: Report) -> tuple[SourceRange, ...]:
    """Sorted, each prefix once. One that is allowed and denied is refused: nothing says which it is."""
    by_prefix: dict[Prefix, SourceRange] = {}
    for one in found:
        other = by_prefix.setdefault(one.prefix, one)
        if other.is_allowed != one.is_allowed:
            message = f"{one.prefix} is allowed and denied"
            related = (Related(message="the other one", span=other.span),)
            report.add(codes.CONFLICTING_FIELDS, one.span, message, expected="one of both", related=related)
    return tuple(sorted(by_prefix.values(), key=_order))


def _order(one: SourceRange) -> tuple[int, int, int]:
    return one.prefix.version, int(one.prefix.network_address), one.prefix.prefixlen


def check_ranges(
    service: str, ranges: Sequence[SourceRange], bounded: Iterable[tuple[Address, Span]], report: Report
) -> None:
    """Warn of an address that nobody may call: ranges are allowed, and none of its family is."""
    allowed = [found for found in ranges if found.is_allowed]
    for address, span in bounded if allowed else ():
        if not any(found.prefix.version == address.version for found in allowed):
            whom = f"its source ranges allow no IPv{address.version} client"
            message = f"nobody may call service '{service}' at {address}: {whom}"
            related = (Related(message="the first range that is allowed", span=allowed[0].span),)
            report.add(codes.NOBODY_ALLOWED, span, message, related=related)
