"""Policies for commands that need them without errors: load, say what is wrong, stop if it is an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import typer

from cli.console import FAILED, say
from compiler.diagnostic import Diagnostic, has_errors, render_all
from compiler.policy.loading import Loaded, load, load_text
from compiler.policy.policyset import PolicySet
from runtime.policymemory import memory_folder, read_memory, write_memory

PREPARED = 200
"""Services at a time: a few milliseconds, for which a device that works on a thousand updates needs longer."""


def _nothing() -> None:
    """There is nothing to be remembered."""


class Policies:
    """A checked policy set and the text it was read from."""

    def __init__(
        self,
        policies: PolicySet,
        sources: Mapping[str, str],
        remember: Callable[[], None] = _nothing,
        prepare: Callable[[], None] = _nothing,
    ) -> None:
        """`remember` is for the next time, and done when nobody waits for the policies any more.

        `prepare` does a little of it each time that it is called: whenever something else is waited for.
        """
        self.set, self.sources, self.remember, self.prepare = policies, sources, remember, prepare

    def report(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Print diagnostics on stderr; ends the command if one is an error."""
        found = tuple(diagnostics)
        if found:
            say(render_all(found, self.sources))
        if has_errors(found):
            raise typer.Exit(FAILED)


def load_policies(paths: Iterable[Path]) -> Policies:
    """Everything in files and directories; ends the command with all diagnostics when there is an error."""
    return _checked(load(paths))


def load_remembered_policies(paths: Iterable[Path]) -> Policies:
    """The same, and sooner: of many policies what has not changed since the last time is not read again.

    What has been read now is for the next time only by `Policies.remember`.
    """
    paths, folder = list(paths), memory_folder()
    memory = read_memory(folder, paths)
    return _checked(load(paths, memory), partial(write_memory, folder, paths, memory), partial(memory.encode, PREPARED))


def load_policy_text(text: str) -> Policies:
    """As load_policies, of an argument."""
    return _checked(load_text(text, "--policy"))


def _checked(
    loaded: Loaded, remember: Callable[[], None] = _nothing, prepare: Callable[[], None] = _nothing
) -> Policies:
    policies = Policies(loaded.policies, loaded.sources, remember, prepare)
    policies.report(loaded.diagnostics)
    return policies
