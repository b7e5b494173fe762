"""A text of policies divided into parts that can be read by themselves: at the lines that begin a document.

A line `---` begins one wherever it stands (YAML 1.1, section 4.3.1): in a block scalar too, and within brackets or
quotes it is a mistake. So what is before it and what follows say the same alone as together, but for what this module
looks for: directives, which are of the next document, and aliases, which are counted through a whole file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

_START: Final = re.compile(r"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_RARE_BREAKS: Final = ("\x85", "\u2028", "\u2029")
"""Line breaks for YAML that are not counted here, nor is a carriage return alone."""


@dataclass(frozen=True, slots=True)
class Part:
    """Whole lines of a file from `line` on, which counts from 0. `digest` is that of the text alone."""

    path: str
    line: int
    text: str
    digest: str

    @property
    def placed_text(self) -> str:
        """The text where it stands in its file, so that what is read of it has the same spans."""
        return "\n" * self.line + self.text


def digest_of(*texts: str) -> str:
    """Of texts of which none is a beginning of another's end: what they are is told apart by their lengths."""
    made = hashlib.blake2b(digest_size=16)
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        made.update(len(data).to_bytes(8, "big"))
        made.update(data)
    return made.hexdigest()


def divided(path: str, text: str) -> list[Part] | None:
    """The parts in order, together the whole text; None for one that is to be read as a whole."""
    if text.startswith("%") or "\n%" in text or any(rare in text for rare in _RARE_BREAKS):
        return None
    if text.count("\r") != text.count("\r\n"):
        return None
    parts: list[Part] = []
    starts = [0, *(found.start() for found in _START.finditer(text) if found.start()), len(text)]
    line = 0
    for start, end in pairwise(starts):
        piece = text[start:end]
        if "*" in piece and "&" in piece:
            return None
        parts.append(Part(path, line, piece, digest_of(piece)))
        line += piece.count("\n")
    return parts


def joined(parts: Sequence[Part]) -> Part:
    """Parts that follow each other as one, which is not identified by a digest."""
    first = parts[0]
    return Part(first.path, first.line, "".join(part.text for part in parts), "")
