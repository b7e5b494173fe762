# pyright: reportUnknownMemberType=false
"""The picture of `bench.traffic`: one panel for each measurement, one bar for each way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.lab.places import Variant, base_of
from bench.lab.programs import Metric
from bench.report.figures import Spread, ratio
from bench.report.results import picture_path

COLUMNS = 4
_WITHOUT, _DIRECT, _SERVICE = "#adb5bd", "#1f6f8b", "#e07a5f"


def draw(found: Mapping[Metric, Mapping[Variant, list[float]]], name: str) -> Path:
    """Write the picture; returns its path. Bars are medians, lines reach from the least round to the greatest."""
    rows = -(-(len(found) + 1) // COLUMNS)
    figure = Figure(figsize=(17, 4.2 * rows), layout="constrained")
    for place, (metric, figures) in enumerate(found.items()):
        _panel(figure.add_subplot(rows, COLUMNS, place + 1), metric, figures)
    _ratios(figure.add_subplot(rows, COLUMNS, len(found) + 1), found)
    figure.suptitle(
        "Real traffic: without the pipeline (grey), through it (blue), through it by a service (red); median and range"
    )
    path = picture_path(name)
    figure.savefig(path, dpi=100)
    return path


def _panel(axes: Axes, metric: Metric, figures: Mapping[Variant, list[float]]) -> None:
    spreads = [Spread.of(values) for values in figures.values()]
    medians = [spread.median for spread in spreads]
    reach = (
        [spread.median - spread.min for spread in spreads],
        [spread.max - spread.median for spread in spreads],
    )
    colours = [_colour(variant) for variant in figures]
    axes.barh(range(len(spreads)), medians, xerr=reach, color=colours, ecolor="#495057", capsize=2)
    for place, value in enumerate(medians):
        _label(axes, place, _number(value))
    axes.set_yticks(range(len(spreads)), [variant.name for variant in figures])
    axes.invert_yaxis()
    better = "less is better" if metric.is_smaller_better else "more is better"
    axes.set(title=metric.name, xlabel=f"{metric.unit} ({better})")
    axes.grid(alpha=0.3, axis="x")
    axes.set_axisbelow(True)


def _label(axes: Axes, place: int, text: str) -> None:
    """At the bar's left end, where the lines of the spread rarely are."""
    box = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
    axes.annotate(text, (0, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9, bbox=box)


def _ratios(axes: Axes, found: Mapping[Metric, Mapping[Variant, list[float]]]) -> None:
    """Each service against the workload behind it, from the same rounds."""
    for shift, (base, marker) in enumerate((("same node", "o"), ("across nodes", "s"))):
        for place, figures in enumerate(found.values()):
            for variant, values in figures.items():
                if variant.base == base and (direct := base_of(variant, figures)) is not None:
                    spread = ratio(values, direct)
                    reach = ([spread.median - spread.min], [spread.max - spread.median])
                    label = base if not place else None
                    at, colour = place + (shift - 0.5) * 0.3, (_SERVICE, _DIRECT)[shift]
                    axes.errorbar([spread.median], [at], xerr=reach, fmt=marker, color=colour, capsize=2, label=label)
    axes.axvline(1, color="#495057", linewidth=1)
    axes.set_yticks(range(len(found)), [metric.name for metric in found])
    axes.invert_yaxis()
    axes.set(title="By a service, relative to direct", xlabel="ratio within a round")
    axes.grid(alpha=0.3, axis="x")
    axes.legend(loc="best", fontsize=8)


def _colour(variant: Variant) -> str:
    if variant.base:
        return _SERVICE
    return _DIRECT if "node" in variant.name else _WITHOUT


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
