# pyright: reportUnknownMemberType=false
"""The picture of `bench.images`: by image, rate and number of containers, how long ways take and what they move."""

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
    settings = sorted({(case.image, -case.rate_mbit, case.count) for case in found})
    figure = Figure(figsize=(13, 2.4 * len(settings)), layout="constrained")
    for row, (image, rate, count) in enumerate(settings):
        cases = {c.way: f for c, f in found.items() if (c.image, -c.rate_mbit, c.count) == (image, rate, count)}
        for column, (inner, outer, unit) in enumerate(_FIGURES):
            axes = figure.add_subplot(len(settings), 2, 2 * row + column + 1)
            _bars(axes, cases, inner, outer)
            axes.set(title=f"{image}, {-rate} Mbit/s, containers: {count}", xlabel=unit)
    figure.suptitle("Until all have answered (dark), until their work is done (light); medians, caches cold")
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
