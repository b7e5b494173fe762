"""What a mutant is: one fault, in the pipeline that is printed, in the C, or in the interpreter.

A mutant is a value that can be sent to another process. Its name says where the fault is and what kind of fault it is,
and stays the same as long as that place has as many sites of the kind.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from compiler.ir.nodes import Pipeline
from compiler.ir.text import to_text
from runtime.bpf.chains import Hook
from tests.mutation.sites import Path, changed_lines, with_at

PRINTED = "pipeline.bpf.c"
"""The file of a mutant of the printed C; the others are headers."""


class Kind(Enum):
    """What has the fault."""

    PIPELINE = "the pipeline that is printed"
    C = "the printed C and its headers"
    INTERPRETER = "the interpreter"


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineMutant:
    """`value` instead of what is at `path`. Only what is printed comes from it, the interpreter runs the right one."""

    name: str
    path: Path
    value: object
    hook: Hook = Hook.TC

    @property
    def kind(self) -> Kind:
        return Kind.PIPELINE

    def change(self, pipeline: Pipeline) -> Pipeline:
        return with_at(pipeline, self.path, self.value)

    def shown(self, pipeline: Pipeline) -> str:
        return changed_lines(to_text(pipeline), to_text(self.change(pipeline)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedPipeline:
    """As `PipelineMutant`, written by hand: `change` makes the other pipeline."""

    name: str
    change: Callable[[Pipeline], Pipeline]
    hook: Hook = Hook.TC

    @property
    def kind(self) -> Kind:
        return Kind.PIPELINE

    def shown(self, pipeline: Pipeline) -> str:
        return changed_lines(to_text(pipeline), to_text(self.change(pipeline)))


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMutant:
    """`old` stands in `file` after `after` characters, and becomes `new`."""

    name: str
    file: str
    after: int
    old: str
    new: str
    hook: Hook = Hook.TC

    @property
    def kind(self) -> Kind:
        return Kind.C

    def change(self, text: str) -> str:
        end = self.after + len(self.old)
        assert text[self.after : end] == self.old, f"{self.name}: {self.file} has changed"
        return text[: self.after] + self.new + text[end:]

    def shown(self, text: str) -> str:
        return changed_lines(text, self.change(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class SubstitutedText:
    """As `TextMutant`, written by hand: `old` stands once in `file`, or is replaced `everywhere`."""

    name: str
    file: str
    old: str
    new: str
    everywhere: bool = False
    hook: Hook = Hook.TC

    @property
    def kind(self) -> Kind:
        return Kind.C

    def change(self, text: str) -> str:
        times = text.count(self.old)
        assert times == 1 or (times and self.everywhere), f"{self.name}: {self.file} has this {times} times"
        return text.replace(self.old, self.new)

    def shown(self, text: str) -> str:
        return changed_lines(text, self.change(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeMutant:
    """Another node at `path` (fields and indices of the syntax tree) in the function `function` of `module`."""

    name: str
    module: str
    function: str
    path: Path
    node: ast.AST

    @property
    def kind(self) -> Kind:
        return Kind.INTERPRETER

    def change(self, tree: ast.Module) -> ast.Module:
        """A changed copy."""
        changed = copy.deepcopy(tree)
        *way, last = self.path
        at: Any = changed
        for step in way:
            at = at[step] if isinstance(step, int) else getattr(at, step)
        if isinstance(last, int):
            at[last] = self.node
        else:
            setattr(at, last, self.node)
        return ast.fix_missing_locations(changed)

    def shown(self, tree: ast.Module) -> str:
        return changed_lines(ast.unparse(tree), ast.unparse(self.change(tree)))


InC = PipelineMutant | ChangedPipeline | TextMutant | SubstitutedText
"""What is compiled and loaded."""
Mutant = InC | CodeMutant
