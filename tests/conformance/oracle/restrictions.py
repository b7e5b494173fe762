"""Restrictions in P4Info, for the part of p4-constraints that the pipelines here use: no `->` within parentheses.

Each is turned into Python, condition by condition, and asked with the numbers of an entry.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

_ANNOTATION = re.compile(r'@(?:entry|action)_restriction\("(.*)"\)', re.DOTALL)
_MAC = re.compile(r"mac\('([0-9a-f:]*)'\)")
_NAME = re.compile(r"(?:[a-z_]+)?(?:::[a-z_]+)?")
_WORDS = {"&&": " and ", "||": " or "}
Numbers = Mapping[str, int]
"""Of an entry: parts of its keys by `key::part`, the value of an exact key and of a parameter also by its name."""


def restriction_of(annotations: Iterable[str]) -> str:
    """The text, "" without one."""
    return next((match[1] for text in annotations if (match := _ANNOTATION.fullmatch(text))), "")


def fulfils(text: str, numbers: Numbers) -> bool:
    return all(condition(numbers) for condition in _conditions(text))


@cache
def _conditions(text: str) -> tuple[Callable[[Numbers], bool], ...]:
    return tuple(_condition(clause) for clause in text.split(";") if clause.strip())


def _condition(clause: str) -> Callable[[Numbers], bool]:
    *premises, conclusion = (_compiled(part) for part in clause.split("->"))

    def holds(numbers: Numbers) -> bool:
        asked: dict[str, Any] = {"n": numbers}
        return not all(eval(premise, asked) for premise in premises) or bool(eval(conclusion, asked))

    return holds


def _compiled(text: str) -> Any:
    text = _MAC.sub(lambda match: f"0x{match[1].replace(':', '')}", text)
    parts = (_part(word) for word in re.findall(r"&&|\|\||[!<>=]+|0x[0-9a-f]+|[0-9]+|[a-z_:]+|[()]", text))
    return compile("".join(parts), "<restriction>", "eval")


def _part(word: str) -> str:
    return _WORDS.get(word) or (f"n[{word!r}]" if word[0].isalpha() or word[0] in "_:" else word)
