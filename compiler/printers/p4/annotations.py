"""Annotations that carry ids, control plane names, documentation and formats into P4Info."""

from __future__ import annotations

from compiler.ir.tables import Reference
from compiler.printers.p4.view import Lines
from compiler.span import InternalError

FORMATS = {"ipv4": "@format(IPV4_ADDRESS)", "ipv6": "@format(IPV6_ADDRESS)", "mac": "@format(MAC_ADDRESS)"}
"""By `Key.format`: how clients show and read a value (P4Runtime specification, section 6.1)."""


def quoted(text: str) -> str:
    """A P4 string. Quotes and backslashes are refused: p4c carries them into P4Info escaped twice."""
    if '"' in text or "\\" in text or "\n" in text:
        raise InternalError(f"the documentation {text!r} cannot be printed as a P4 string")
    return f'"{text}"'


def preamble(number: int, name: str, doc: str) -> Lines:
    """Id, name without the prefix of its control, and documentation."""
    lines = (f'@id(0x{number:08x}) @name(".{name}")',)
    return (*lines, f"@brief({quoted(doc)})") if doc else lines


def renamed(name: str, identifier: str) -> str:
    """What a declaration with that identifier needs in front for the control plane to know it by its name."""
    return "" if name == identifier else f'@name("{name}") '


def restriction(kind: str, text: str) -> Lines:
    """`@entry_restriction` or `@action_restriction`, none where there is no text."""
    return (f"@{kind}_restriction({quoted(text)})",) if text else ()


def shown_and_referred(form: str, references: tuple[Reference, ...]) -> list[str]:
    """What else P4Info says of a key or a parameter."""
    shown = [FORMATS[form]] if form else []
    return [*shown, *(f"@refers_to({one.table}, {one.field})" for one in references)]


def comment(text: str) -> Lines:
    return (f"/// {text}",) if text else ()
