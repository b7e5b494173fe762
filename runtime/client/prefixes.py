"""Entries of a key and a prefix, looked up as a device does: by the key, then by the longest prefix. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefixes(Generic[T]):
    """Of values of `bits` bits. Entries are key, value, length of the prefix, and what it leads to."""

    def __init__(self, bits: int, entries: Iterable[tuple[int, int, int, T]]) -> None:
        self._bits = bits
        found: defaultdict[int, defaultdict[int, dict[int, T]]] = defaultdict(lambda: defaultdict(dict))
        for key, value, length, leads_to in entries:
            found[key][length][value >> (bits - length)] = leads_to
        self._by_key = {key: dict(sorted(by_length.items(), reverse=True)) for key, by_length in found.items()}
        """And by length, the longest first."""

    def longest(self, key: int, value: int) -> T | None:
        """What the longest prefix that holds the value leads to, None where none holds it."""
        for length, by_prefix in self._by_key.get(key, {}).items():
            found = by_prefix.get(value >> (self._bits - length))
            if found is not None:
                return found
        return None
