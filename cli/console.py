"""What commands print: results on stdout, all else on stderr. Exit codes: 0, 1 (refused or failed), 2 (wrong use)."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum

import typer

FAILED = 1


class Output(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


def say(text: str) -> None:
    """A line of progress or explanation, on stderr."""
    sys.stderr.write(text + "\n")


def fail(text: str) -> typer.Exit:
    """Say why on stderr; to be raised."""
    say(f"turnout: error: {text}")
    return typer.Exit(FAILED)


class Bar:
    """How far long work is, for nobody."""

    def advance(self, count: int = 1) -> None:
        """So many more are done."""

    def reach(self, count: int) -> None:
        """So many are done."""


@contextmanager
def progress(description: str, total: int | None) -> Generator[Bar]:
    """A bar on stderr while long work goes on; silent unless stderr is a terminal."""
    if not sys.stderr.isatty():
        yield Bar()
        return
    from cli.progressbar import shown  # not at the top, as below: most commands that are waited for print lines

    with shown(description, total) as bar:
        yield bar


def print_rows(columns: Sequence[str], rows: Sequence[Mapping[str, object]], output: Output) -> None:
    """Records by column name, as a table for people or as JSON or YAML for programs."""
    records = [{column: row.get(column) for column in columns} for row in rows]
    match output:
        case Output.JSON:
            sys.stdout.write(json.dumps(records, indent=2, default=str) + "\n")
        case Output.YAML:
            import yaml

            yaml.safe_dump(records, sys.stdout, sort_keys=False, allow_unicode=True)
        case Output.TABLE:
            _print_table(columns, records)


def _print_table(columns: Sequence[str], records: Sequence[Mapping[str, object]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        numeric = all(isinstance(record[column], int) for record in records) and bool(records)
        table.add_column(column.upper(), justify="right" if numeric else "left", no_wrap=True, overflow="ignore")
    for record in records:
        table.add_row(*(Text("" if record[column] is None else str(record[column])) for column in columns))
    width = None if sys.stdout.isatty() else 1000
    Console(width=width).print(table)
