# pyright: reportUnknownMemberType=false
"""The pictures of `bench.images`, one for each image: by rate, containers and caches, what ways take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.containers.starting import Case
from bench.report.drawing import label_bar
from bench.report.results import picture_path

Figures = Mapping[str, float]
_COLUMNS = (
    ("median_s", "last_s", "work_s", "seconds: median answer, last one, all work"),
    ("answer_mb", None, "work_mb", "MB over the link: by the last answer, by the end"),
    ("answer_cpu_s", None, "work_cpu_s", "seconds of CPU: by the last answer, by the end"),
    ("answer_memory_mb", None, "work_memory_mb", "MB of memory: at the last answer, at the end"),
)
_DARK, _MIDDLE, _LIGHT = "#1f6f8b", "#5ba4bd", "#a8dadc"


def draw(found: Mapping[Case, Figures], name: str) -> Iterator[Path]:
    """Medians by case. Yields the paths of the pictures."""
    for image in dict.fromkeys(case.image for case in found):
        yield _picture({case: figures for case, figures in found.items() if case.image == image}, f"{name}-{image}")


def _picture(found: Mapping[Case, Figures], name: str) -> Path:
    settings = sorted({case.order: case for case in found}.items())
    most_ways = max(sum(case.order == order for case in found) for order, _ in settings)
    figure = Figure(figsize=(26, (0.9 + 0.3 * most_ways) * len(settings) + 0.6), layout="constrained")
    for row, (order, one) in enumerate(settings):
        ways = {case.way: figures for case, figures in found.items() if case.order == order}
        for column, (inner, middle, outer, unit) in enumerate(_COLUMNS):
            axes = figure.add_subplot(len(settings), len(_COLUMNS), len(_COLUMNS) * row + column + 1)
            _bars(axes, ways, (outer, middle, inner))
            axes.set(title=f"{one.rate_mbit} Mbit/s, {one.count} at once, {one.caches}", xlabel=unit)
            axes.set_yticks(range(len(ways)), list(ways) if column == 0 else [""] * len(ways))
    figure.suptitle(f"{next(iter(found)).image}: medians, each from dark to light")
    path = picture_path(name)
    figure.savefig(path, dpi=90)
    return path


def _bars(axes: Axes, ways: Mapping[str, Figures], names: tuple[str, str | None, str]) -> None:
    """The longest first, since the others lie over it."""
    shown = [(name, color) for name, color in zip(names, (_LIGHT, _MIDDLE, _DARK), strict=True) if name is not None]
    for place, figures in enumerate(ways.values()):
        for name, color in shown:
            axes.barh([place], [figures[name]], 0.7, color=color)
        label_bar(axes, place, " / ".join(_short(figures[name]) for name, _ in reversed(shown)))
    axes.invert_yaxis()


def _short(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"
