# pyright: reportUnknownMemberType=false
"""The picture of `bench.images`: by image, rate, containers and caches, how long ways take and what they move."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.containers.starting import Case
from bench.report.drawing import label_bar
from bench.report.results import picture_path

_FIGURES = (("last_s", "work_s", "seconds"), ("answer_mb", "work_mb", "MB over the link"))
_DARK, _LIGHT = "#1f6f8b", "#a8dadc"


def draw(found: Mapping[Case, Mapping[str, float]], name: str) -> Path:
    """Medians by case. Returns the path of the picture."""
    settings = sorted({case.order: case for case in found}.items())
    figure = Figure(figsize=(13, 2.4 * len(settings)), layout="constrained")
    for row, (order, one) in enumerate(settings):
        cases = {case.way: figures for case, figures in found.items() if case.order == order}
        for column, (inner, outer, unit) in enumerate(_FIGURES):
            axes = figure.add_subplot(len(settings), 2, 2 * row + column + 1)
            _bars(axes, cases, inner, outer)
            axes.set(title=f"{one.image}, {one.rate_mbit} Mbit/s, containers: {one.count}, {one.caches}", xlabel=unit)
    figure.suptitle("Until all have answered (dark), until their work is done (light); medians")
    path = picture_path(name)
    figure.savefig(path, dpi=110)
    return path


def _bars(axes: Axes, cases: Mapping[str, Mapping[str, float]], inner: str, outer: str) -> None:
    for place, figures in enumerate(cases.values()):
        axes.barh([place], [figures[outer]], 0.7, color=_LIGHT)
        axes.barh([place], [figures[inner]], 0.7, color=_DARK)
        label_bar(axes, place, f"{figures[inner]:.1f} / {figures[outer]:.1f}")
    axes.set_yticks(range(len(cases)), list(cases))
    axes.invert_yaxis()
