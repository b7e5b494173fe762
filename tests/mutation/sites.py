"""Sites in a tree of frozen dataclasses: every part of it by its path, and the tree with another part there."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

Path = tuple[str | int, ...]
"""Names of fields and indices of tuples, from the root."""
Root = TypeVar("Root")
_WORDS = frozenset({"span", "doc", "name", "id", "format", "version"})
"""What people read, and what a control plane calls a thing: no target does anything by it."""


def walk(part: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """The part and all inside it, outer ones first."""
    yield path, part
    if isinstance(part, tuple):
        for index, inner in enumerate(cast("tuple[object, ...]", part)):
            yield from walk(inner, (*path, index))
    elif is_dataclass(part):
        for field in fields(part):
            if field.name not in _WORDS:
                yield from walk(getattr(part, field.name), (*path, field.name))


def with_at(root: Root, path: Path, value: object) -> Root:
    """The same tree with `value` at the path."""
    return cast("Root", _with_at(root, path, value))


def _with_at(part: object, path: Path, value: object) -> object:
    if not path:
        return value
    first, *rest = path
    if isinstance(first, int):
        parts = cast("tuple[object, ...]", part)
        return (*parts[:first], _with_at(parts[first], tuple(rest), value), *parts[first + 1 :])
    inner = _with_at(getattr(part, first), tuple(rest), value)
    return cast("object", replace(cast("Any", part), **{first: inner}))


def numbered(named: Iterable[tuple[str, Root]]) -> Iterator[tuple[str, Root]]:
    """Names made unique by how often each was there before."""
    seen: Counter[str] = Counter()
    for name, thing in named:
        seen[name] += 1
        yield f"{name} {seen[name]}", thing


def changed_lines(before: str, after: str) -> str:
    """The lines that differ, as a diff without what surrounds them."""
    old, new = before.splitlines(), after.splitlines()
    same = next(
        (at for at, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), min(len(old), len(new))
    )
    both = min(len(old), len(new)) - same
    tail = next((at for at in range(both) if old[-1 - at] != new[-1 - at]), both)
    lines = difflib.unified_diff(old[same : len(old) - tail], new[same : len(new) - tail], lineterm="", n=0)
    return "\n".join(f"{line[0]} {line[1:].strip()}" for line in lines if line[:2] not in ("--", "++", "@@"))
