"""Entries by name: calls of the pipeline's actions and keys of its tables, with every name checked.

A name that the pipeline does not have is a mistake of ours, never of the policies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address

from compiler.ir.entries import (
    ActionCall,
    EntryKey,
    Exact,
    GroupRef,
    Lpm,
    MatchValue,
    MemberRef,
    Range,
    TableEntry,
    Ternary,
)
from compiler.ir.nodes import Pipeline
from compiler.ir.tables import Action, MatchKind, Table
from compiler.span import InternalError, Span

Number = int | IPv4Address | IPv6Address
_WHOLE = (Ternary, Range)
"""Given as they are matched. A tuple: a union would be made anew for each field of each entry."""


def mac_number(mac: str) -> int:
    """A MAC address in colon form as a number."""
    return int(mac.replace(":", ""), 16)


@dataclass(frozen=True)
class Vocabulary:
    """Makes entries of one pipeline."""

    pipeline: Pipeline

    @cached_property
    def _actions(self) -> dict[str, Action]:
        return {action.name: action for action in self.pipeline.actions}

    @cached_property
    def _params(self) -> dict[str, tuple[str, ...]]:
        return {action.name: tuple(param.name for param in action.params) for action in self.pipeline.actions}

    @cached_property
    def _tables(self) -> dict[str, Table]:
        return {table.name: table for table in self.pipeline.tables}

    @cached_property
    def _keys(self) -> dict[str, tuple[str, ...]]:
        return {table.name: tuple(key.name for key in table.keys) for table in self.pipeline.tables}

    def table(self, name: str) -> Table:
        if name not in self._tables:
            raise InternalError(f"the pipeline has no table {name}")
        return self._tables[name]

    def call(self, name: str, **arguments: Number) -> ActionCall:
        params = self._params.get(name)
        if params == tuple(arguments):
            return ActionCall(action=name, arguments=tuple(map(int, arguments.values())))
        if params is None or len(params) != len(arguments) or not all(param in arguments for param in params):
            raise InternalError(f"the pipeline has no action {name}({', '.join(arguments)})")
        return ActionCall(action=name, arguments=tuple([int(arguments[param]) for param in params]))

    def arguments(self, call: ActionCall) -> dict[str, int]:
        """The arguments of a call by name; empty for an action that this pipeline does not have."""
        action = self._actions.get(call.action)
        if action is None or len(action.params) != len(call.arguments):
            return {}
        return {p.name: value for p, value in zip(action.params, call.arguments, strict=True)}

    def entry(
        self,
        table_name: str,
        action: ActionCall | MemberRef | GroupRef,
        span: Span,
        owner: str,
        *,
        prefix_len: int | None = None,
        priority: int = 0,
        **keys: Number | Ternary | Range,
    ) -> TableEntry:
        """An entry of a table; ternary and range keys are given as such, `prefix_len` belongs to an LPM key.

        `owner` is the policy object that wants it, as "Kind name".
        """
        matches = self._matches(table_name, prefix_len, keys)
        return TableEntry(table=table_name, matches=matches, action=action, priority=priority, owner=owner, span=span)

    def key(self, table_name: str, **keys: Number) -> EntryKey:
        """What an entry has that is not there yet, in a table whose keys are all exact."""
        return EntryKey(table=table_name, matches=self._matches(table_name, None, keys))

    def _matches(
        self, table_name: str, prefix_len: int | None, keys: Mapping[str, Number | Ternary | Range]
    ) -> tuple[MatchValue, ...]:
        table = self.table(table_name)
        if self._keys[table_name] != tuple(keys):
            raise InternalError(f"table {table_name} is not keyed by {', '.join(keys)}")
        matches: list[MatchValue] = []
        for key, given in zip(table.keys, keys.values(), strict=True):
            if isinstance(given, _WHOLE):
                matches.append(given)
            elif key.match is MatchKind.LPM:
                if prefix_len is None:
                    raise InternalError(f"table {table_name} wants a prefix length")
                matches.append(Lpm(value=int(given), prefix_len=prefix_len))
            else:
                matches.append(Exact(value=int(given)))
        return tuple(matches)
