"""Commands whose modules are imported only when they are called: each starts, and stays, without what others need."""

from __future__ import annotations

import gc
import importlib
import os
from collections.abc import Mapping
from typing import Any

import typer
from typer.core import TyperGroup

from compiler.collection import collection_paused


def lazy_group(
    commands: Mapping[str, tuple[str, str]], environment: Mapping[str, Mapping[str, str]] | None = None
) -> type[TyperGroup]:
    """By name, a command's module and help: the module has an `app`, or a function named like the command, with
    underscores. `environment` is what libraries of a command read when they are imported, where the caller's has
    nothing of its own."""

    class LazyGroup(TyperGroup):
        def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
            return list(commands)

        def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
            if cmd_name not in commands:
                return None
            for name, value in (environment or {}).get(cmd_name, {}).items():
                os.environ.setdefault(name, value)
            with collection_paused():
                module = importlib.import_module(commands[cmd_name][0])
            gc.freeze()
            command = _command_of(module, cmd_name)
            command.name = cmd_name
            return command

        def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
            with formatter.section("Commands"):
                formatter.write_dl([(name, text) for name, (_, text) in commands.items()])

    return LazyGroup


def _command_of(module: Any, name: str) -> Any:
    app = getattr(module, "app", None)
    if isinstance(app, typer.Typer):
        return typer.main.get_command(app)
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(name)(getattr(module, name.replace("-", "_")))
    return typer.main.get_command(single)
