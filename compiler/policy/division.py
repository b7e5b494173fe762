"""A text of policies divided into parts that can be read by themselves: its documents, or the items of a printed list.

A line `---` begins a document wherever it stands (YAML 1.1, section 4.3.1): in a block scalar too, and within brackets
or quotes it is a mistake. The same is true of a line `- ` within a list that begins where lines do, as `kubectl get -o
yaml` prints it, but that quotes may go on there; then a part alone has no end, which is a mistake as well. So parts of
which nothing is to be said, and what they say, are the same alone as together, but for what this module looks for:
directives, which are of the next document, and aliases, which are of others and counted through a whole file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from compiler.policy.document import MappingNode, Node, SequenceNode

_DOCUMENT: Final = re.compile(r"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_ITEM: Final = re.compile(r"^- ", re.MULTILINE)
_BREAK: Final = re.compile(r"^(?:---|\.\.\.)", re.MULTILINE)
"""Where a text may be more than one document."""
_LIST_BEGINS: Final = "apiVersion: v1\nitems:\n"
_LIST_ENDS: Final = tuple(f'kind: List\nmetadata:\n  resourceVersion: ""\n{more}' for more in ("", '  selfLink: ""\n'))
"""What kubectl prints around several objects."""
_ALIAS: Final = re.compile(r"(?<![0-9A-Za-z_./*])\*[0-9A-Za-z_-]")
"""And what looks like one: not what wildcards look like."""
_RARE_BREAKS: Final = ("\x85", "\u2028", "\u2029")
"""Line breaks for YAML that are not counted here, nor is a carriage return alone."""
_ABOVE_ITEMS: Final = "items:\n"


@dataclass(frozen=True, slots=True)
class Part:
    """Whole lines of a file from `line` on, which counts from 0. `digest` is that of the text, and of `is_item`."""

    path: str
    line: int
    text: str
    digest: str
    is_item: bool = False

    @property
    def placed_text(self) -> str:
        """The text where it stands in its file, so that what is read of it has the same spans and depths."""
        if self.is_item:
            return "\n" * (self.line - 1) + _ABOVE_ITEMS + self.text
        return "\n" * self.line + self.text

    def objects(self, documents: Sequence[Node]) -> Sequence[Node] | None:
        """What in the documents of this part's text may be objects; None where an item ends the list it is in."""
        if not self.is_item:
            return documents
        match documents:
            case [MappingNode(entries=entries)] if [*entries] == ["items"]:
                found = entries["items"].value
                return found.items if isinstance(found, SequenceNode) else None
            case _:
                return None


def digest_of(*texts: str) -> str:
    """Of texts, which are told apart by their lengths."""
    made = hashlib.blake2b(digest_size=16)
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        made.update(len(data).to_bytes(8, "big"))
        made.update(data)
    return made.hexdigest()


def divided(path: str, text: str) -> list[Part] | None:
    """The parts in order, with all that is in the text; None for one that is to be read as a whole."""
    if text.startswith("%") or "\n%" in text or any(rare in text for rare in _RARE_BREAKS):
        return None
    if text.count("\r") != text.count("\r\n") or ("*" in text and _ALIAS.search(text)):
        return None
    end = next((end for end in _LIST_ENDS if text.endswith(f"\n{end}")), "")
    if end and text.startswith(f"{_LIST_BEGINS}- ") and not _BREAK.search(text):
        return _parts(path, text, _ITEM, len(_LIST_BEGINS), len(text) - len(end), is_item=True)
    return _parts(path, text, _DOCUMENT, 0, len(text), is_item=False)


def _parts(path: str, text: str, begins: re.Pattern[str], first: int, last: int, *, is_item: bool) -> list[Part]:
    found = [start.start() for start in begins.finditer(text, first, last)]
    parts, line, kind = list[Part](), text.count("\n", 0, first), "item" if is_item else "document"
    for start, end in pairwise([first, *(start for start in found if start > first), last]):
        piece = text[start:end]
        parts.append(Part(path, line, piece, digest_of(kind, piece), is_item))
        line += piece.count("\n")
    return parts


def joined(parts: Sequence[Part]) -> Part:
    """Parts that follow each other as one, which is not identified by a digest."""
    first = parts[0]
    return Part(first.path, first.line, "".join(part.text for part in parts), "", first.is_item)
