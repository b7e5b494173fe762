"""Policies for commands that need them without errors: load, say what is wrong, stop if it is an error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import typer

from cli.console import FAILED, say
from compiler.diagnostic import Diagnostic, has_errors, render_all
from compiler.policy.loading import Loaded, load, load_text
from compiler.policy.policyset import PolicySet
from runtime.policymemory import memory_folder, read_memory, write_memory


class Policies:
    """A checked policy set and the text it was read from."""

    def __init__(self, policies: PolicySet, sources: Mapping[str, str]) -> None:
        self.set, self.sources = policies, sources

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
    """The same, and sooner: of many policies what has not changed since the last time is not read again."""
    paths, folder = list(paths), memory_folder()
    memory = read_memory(folder, paths)
    loaded = load(paths, memory)
    if not loaded.is_refused:
        write_memory(folder, paths, memory)
    return _checked(loaded)


def load_policy_text(text: str) -> Policies:
    """As load_policies, of an argument."""
    return _checked(load_text(text, "--policy"))


def _checked(loaded: Loaded) -> Policies:
    policies = Policies(loaded.policies, loaded.sources)
    policies.report(loaded.diagnostics)
    return policies
