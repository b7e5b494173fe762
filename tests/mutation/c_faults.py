"""Faults of C text, found by walking the bodies of its functions token by token.

Declarations stay as they are: types and maps are the layout's, which the device shares, and tables of a store are the
pipeline's, which has mutants of its own. So do names and macros that only tell the compiler or the verifier something,
and what is said to a trace, which is empty unless somebody looks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from runtime.bpf.chains import Hook
from tests.mutation.mutant import TextMutant
from tests.mutation.sites import numbered

_IGNORED = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\])*"|^[ \t]*#[^\n]*(?:\\\n[^\n]*)*|asm volatile\([^;]*;', re.S | re.M)
_BODY = re.compile(r"\)\s*\n\{\n(.*?)^\}", re.S | re.M)
_NAME = re.compile(r"FLOW\((\w+)\)\((?!\w+\)\()|\b(\w+)\((?!\w+\)\()")
_STATEMENT = re.compile(
    r"^\t+(?!(?:const|static|struct|union|enum|bool|u8|u16|u32|u64|s32|s64|long|int|case|default)\b)[^\n{}]*;$",
    re.M,
)
_TO_TRACE = ("asked(", "missed(")
_CONDITION = re.compile(r"\b(?:if|while) \(")
_NUMBER = re.compile(r"(?<![\w.])(0x[0-9a-fA-F]+|\d+)(u?l{0,2})\b")
_OPERATOR = re.compile(r"(?<=[\w)\]] )(<<|>>|<=|>=|==|!=|&&|\|\||[-+|&^<>%*])(?= [\w(!~*&-])")
_ASSIGNMENT = re.compile(r"(?<=[\w)\]] )([-+|^&]=)(?= )")
_CHOICE = re.compile(r" \? ([^?:;]+) : ([^?:;,]+?)(?=[;,)])")
_OTHER_OPERATORS = {
    "<": "<=",
    "<=": "<",
    ">": ">=",
    ">=": ">",
    "==": "!=",
    "!=": "==",
    "&&": "||",
    "||": "&&",
    "+": "-",
    "-": "+",
    "*": "+",
    "%": "/",
    "&": "|",
    "|": "&",
    "^": "|",
    "<<": ">>",
    ">>": "<<",
    "+=": "-=",
    "-=": "+=",
    "|=": "&=",
    "&=": "|=",
    "^=": "|=",
}
_PAIRS = (
    ("src", "dst"),
    ("high", "low"),
    ("from", "to"),
    ("packets", "bytes"),
    ("tcp", "udp"),
    ("service_requests", "service_replies"),
    ("version", "pair"),
    ("first", "second"),
)
_WORD = re.compile(r"(?<=[.>_])(?:src|dst|high|low|from|to|packets|bytes|tcp|udp|version|pair)(?=[_\W])")


@dataclass(frozen=True, slots=True)
class _Site:
    """A place in the text, what stands there, and what could."""

    fault: str
    at: int
    old: str
    new: str


def c_mutants(file: str, text: str) -> Iterator[TextMutant]:
    """All of one file. A header of one hook has mutants for that hook, the others for both in turn."""
    hooks = {"packet_tc.h": (Hook.TC,), "packet_xdp.h": (Hook.XDP,)}.get(file, (Hook.TC, Hook.XDP))
    named = ((f"{file} {function}: {site.fault}", site) for function, site in _sites(text))
    for number, (name, site) in enumerate(numbered(named)):
        yield TextMutant(
            name=name, file=file, after=site.at, old=site.old, new=site.new, hook=hooks[number % len(hooks)]
        )


def _sites(text: str) -> Iterator[tuple[str, _Site]]:
    """With the function that each is in."""
    code = _IGNORED.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text)
    for body in _BODY.finditer(code):
        start, end = body.span(1)
        signature = code[: body.start()].rpartition("\n\n")[2]
        for site in _in_body(code, start, end):
            yield _name_in(signature), site


def _name_in(signature: str) -> str:
    found = [first or second for first, second in _NAME.findall(signature)]
    return next((name for name in found if name not in ("SEC", "FLOW", "defined")), "?")


def _in_body(code: str, start: int, end: int) -> Iterator[_Site]:
    yield from _statements(code, start, end)
    for found in _CONDITION.finditer(code, start, end):
        close = _closing(code, found.end())
        inside = code[found.end() : close]
        yield _Site("negate a condition", found.end(), inside, f"!({inside})")
    for found in _NUMBER.finditer(code, start, end):
        if code[: found.start()].endswith(_TO_TRACE):
            continue
        number, suffix = found.groups()
        yield _Site("constant", found.start(), found.group(), f"{int(number, 0) + 1}{suffix}")
    for pattern in (_OPERATOR, _ASSIGNMENT):
        for found in pattern.finditer(code, start, end):
            yield _Site("operator", found.start(), found.group(), _OTHER_OPERATORS[found.group()])
    for found in _CHOICE.finditer(code, start, end):
        one, other = found.groups()
        yield _Site("swap a choice", found.start(), found.group(), f" ? {other} : {one}")
    for found in _WORD.finditer(code, start, end):
        yield _Site("other name", found.start(), found.group(), _other_word(found.group()))


def _statements(code: str, start: int, end: int) -> Iterator[_Site]:
    """Whole statements of one line; one that a condition governs leaves an empty one behind."""
    for found in _STATEMENT.finditer(code, start, end):
        line = found.group()
        before = code[start : found.start()].rstrip()
        is_whole = line.count("(") == line.count(")") and (not before or before[-1] in ";{}:)")
        is_last = not code[found.end() : end].strip()
        if is_whole and not is_last and not line.strip().startswith((".", "break", *_TO_TRACE)):
            stripped = line.strip()
            yield _Site("drop a statement", found.end() - len(stripped), stripped, ";")


def _closing(code: str, at: int) -> int:
    """Where the parenthesis ends in which `at` is."""
    depth = 1
    while depth:
        depth += {"(": 1, ")": -1}.get(code[at], 0)
        at += 1
    return at - 1


def _other_word(word: str) -> str:
    return next(other for pair in _PAIRS for this, other in (pair, pair[::-1]) if this == word)
