"""What `bench.images` has measured so far: written after each start, so that a run may be ended and gone on with.

A *sitting* is one run of the program, on one machine at one revision. Starts say in which they were made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from bench.containers.starting import WAYS, Case, Start
from bench.report.figures import Spread
from bench.report.results import save_json

Sitting = dict[str, str]
NAMES = tuple(field.name for field in fields(Start))
"""Of figures."""


class Found:
    """Starts by case. `sitting` describes the machine now."""

    def __init__(self, name: str, sitting: Sitting) -> None:
        self._name = name
        self._sittings: list[Sitting] = [sitting]
        self._starts: dict[Case, list[tuple[int, Start]]] = {}

    def go_on(self, path: Path) -> None:
        """With what an earlier run has written, if there is any. Raises SystemExit where that cannot be read."""
        if not path.exists():
            return
        try:
            content = json.loads(path.read_text())
            self._sittings = [*content["sittings"], *self._sittings]
            for row in content["cases"]:
                case = Case(**{field.name: row[field.name] for field in fields(Case)})
                self._starts[case] = [(start.pop("sitting"), Start(**start)) for start in row["starts"]]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise SystemExit(f"bench.images: {path} is nothing to go on with; begin without --resume") from error

    def add(self, case: Case, start: Start) -> None:
        self._starts.setdefault(case, []).append((len(self._sittings) - 1, start))
        self.save()

    def save(self) -> Path:
        return save_json(self._name, {"sittings": self._sittings, "cases": [*self._rows()]})

    def _rows(self) -> Iterator[dict[str, Any]]:
        for case, starts in self._starts.items():
            yield {**asdict(case), "starts": [{**asdict(start), "sitting": number} for number, start in starts]}

    def count(self, case: Case) -> int:
        return len(self._starts.get(case, ()))

    def starts(self, case: Case) -> Sequence[Start]:
        return [start for _, start in self._starts.get(case, ())]

    def spreads(self) -> Mapping[Case, Mapping[str, Spread]]:
        """By name of the figure; cases in the order of tables and pictures, ways in that of `WAYS`."""
        places = {way.name: place for place, way in enumerate(WAYS)}
        cases = sorted(self._starts, key=lambda case: (case.order, places.get(case.way, len(places))))
        return {
            case: {name: Spread.of([float(getattr(start, name)) for start in self.starts(case)]) for name in NAMES}
            for case in cases
        }
