"""Faults of the interpreter's own Python, made in its syntax trees and put into the running functions, never on disk.

A mutant changes one node inside a function. `applied` swaps the function's code object for the changed one, so every
reference to the function runs it, and puts the right one back. Left out are assertions of ours (`strict=True`,
`InternalError`), which nothing right ever meets, and the words of traces, which are for people.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from types import CodeType, FunctionType, ModuleType
from typing import cast

from tests.mutation.mutant import CodeMutant
from tests.mutation.sites import Path, numbered

_PACKAGE = "compiler.ir.interpreter"
MODULES = (
    "compiler.ir.hashing",
    "compiler.ir.maglev",
    *(
        f"{_PACKAGE}.{name}"
        for name in (
            "checksums",
            "entrycheck",
            "evaluation",
            "execution",
            "learning",
            "matching",
            "model",
            "packet",
            "rewriting",
            "run",
            "selection",
        )
    ),
)
_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_DROPPED = (ast.Expr, ast.Assign, ast.AugAssign, ast.Raise, ast.Delete, ast.Continue)
_SKIPPED = frozenset({"returns", "annotation", "decorator_list", "args", "pattern"})
"""Parts of a function that are no code of its body; another default is set where the function is made."""


def code_mutants(module: str) -> Iterator[CodeMutant]:
    tree = source_tree(module)
    short = module.removeprefix("compiler.ir.").removeprefix("interpreter.")
    found = ((f"{short}.{function}: {fault}", (function, path, node)) for function, fault, path, node in _found(tree))
    for name, (function, path, node) in numbered(found):
        yield CodeMutant(name=name, module=module, function=function, path=path, node=node)


def source_tree(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(importlib.import_module(module)))


@contextmanager
def applied(mutant: CodeMutant) -> Generator[None]:
    """The function has the fault. Raises as the compiler does for what is no Python."""
    changed = compile(mutant.change(source_tree(mutant.module)), sys.modules[mutant.module].__file__ or "", "exec")
    function = _function(sys.modules[mutant.module], mutant.function)
    right = function.__code__
    function.__code__ = _code_of(changed, mutant.function)
    try:
        yield
    finally:
        function.__code__ = right


def _function(module: ModuleType, name: str) -> FunctionType:
    found: object = module
    for part in name.split("."):
        found = inspect.getattr_static(found, part)
    found = found.fget if isinstance(found, property) else getattr(found, "__func__", found)
    assert isinstance(found, FunctionType), name
    return found


def _code_of(code: CodeType, name: str) -> CodeType:
    for part in name.split("."):
        code = next(c for c in code.co_consts if isinstance(c, CodeType) and c.co_name == part)
    return code


def _found(tree: ast.Module) -> Iterator[tuple[str, str, Path, ast.AST]]:
    """Function, fault, path from the module on, and what stands there then."""
    for function, path, node in _functions(tree.body, "", ("body",)):
        for at, statement in enumerate(node.body):
            if not (at == 0 and _is_doc(statement)):
                yield from ((function, *found) for found in _walk(statement, (*path, "body", at)))


def _functions(body: list[ast.stmt], before: str, path: Path) -> Iterator[tuple[str, Path, ast.FunctionDef]]:
    for at, statement in enumerate(body):
        if isinstance(statement, ast.ClassDef):
            yield from _functions(statement.body, f"{before}{statement.name}.", (*path, at, "body"))
        elif isinstance(statement, ast.FunctionDef):
            yield f"{before}{statement.name}", (*path, at), statement


def _walk(node: ast.AST, path: Path) -> Iterator[tuple[str, Path, ast.AST]]:
    if not _is_assertion(node):
        yield from ((fault, path, changed) for fault, changed in _faults(node))
    for name, value in ast.iter_fields(node):
        if name in _SKIPPED or isinstance(node, ast.JoinedStr) or _is_assertion(node):
            continue
        if isinstance(value, ast.AST):
            yield from _walk(value, (*path, name))
        elif isinstance(value, list):
            for at, inner in enumerate(cast("list[object]", value)):
                if isinstance(inner, ast.AST):
                    yield from _walk(inner, (*path, name, at))


def _faults(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node, _DROPPED):
        yield "drop a statement", ast.Pass()
    match node:
        case ast.Compare(left=left, ops=[operator], comparators=comparators):
            yield "comparison", ast.Compare(left, [_COMPARISONS[type(operator)]()], comparators)
        case ast.Compare(left=left, ops=[first, *rest], comparators=comparators):
            yield "comparison", ast.Compare(left, [_COMPARISONS[type(first)](), *rest], comparators)
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
            yield "arithmetic", ast.BinOp(left, _OPERATORS[type(operator)](), right)
        case ast.AugAssign(target=target, op=operator, value=value) if type(operator) in _OPERATORS:
            yield "arithmetic", ast.AugAssign(target, _OPERATORS[type(operator)](), value)
        case ast.BoolOp(op=operator, values=values):
            yield "logic", ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
        case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
            yield "negation", operand
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield "swap a choice", ast.IfExp(test, orelse, body)
        case ast.If(test=test, body=body, orelse=orelse):
            yield "negation", ast.If(ast.UnaryOp(ast.Not(), test), body, orelse)
        case ast.Constant(value=bool() as value):
            yield "boundary", ast.Constant(not value)
        case ast.Constant(value=int() as value):
            yield "boundary", ast.Constant(value + 1)
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield "return", ast.Return(ast.Constant(None))
        case ast.Call(func=ast.Name(id="min" | "max" | "any" | "all" as name) as called, args=args, keywords=keywords):
            other = {"min": "max", "max": "min", "any": "all", "all": "any"}[name]
            yield "other function", ast.Call(ast.Name(other, called.ctx), args, keywords)
        case _:
            return


def _is_doc(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_assertion(node: ast.AST) -> bool:
    match node:
        case ast.keyword(arg="strict") | ast.Raise(exc=ast.Call(func=ast.Name(id="InternalError"))):
            return True
        case _:
            return False
