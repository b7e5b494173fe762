"""Lines of C in the making."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager


class Lines:
    """Lines with the indentation of where they stand, starting inside a function."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._depth = 1
        self.alone = False
        """Whether what is added next is all of its block, so that it needs no braces of its own."""

    def add(self, *lines: str) -> None:
        self._lines += ("\t" * self._depth + line if line else "" for line in lines)

    def extend(self, lines: Iterable[str]) -> None:
        self.add(*lines)

    @contextmanager
    def block(self, head: str = "") -> Generator[None]:
        """Braces around what is added inside; `head` is an `if` or nothing."""
        if not head and self.alone:
            yield
            return
        self.add(f"{head} {{" if head else "{")
        self._depth += 1
        yield
        self._depth -= 1
        self.add("}")

    @contextmanager
    def otherwise(self, head: str = "") -> Generator[None]:
        """An `else` for the block that was just closed, with an `if` of its own or without."""
        if self._lines[-1] != "\t" * self._depth + "}":
            raise AssertionError("else stands behind a block")
        self._lines[-1] += f" else {head} {{" if head else " else {"
        self._depth += 1
        yield
        self._depth -= 1
        self.add("}")

    def done(self) -> tuple[str, ...]:
        return tuple(self._lines)
