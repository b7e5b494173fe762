# pyright: reportUnknownMemberType=false
"""The picture of `bench.traffic`: one panel for each measurement, one bar for each way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.lab.places import Variant
from bench.lab.programs import Metric
from bench.report.figures import Spread
from bench.report.results import picture_path

COLUMNS = 4
_WITHOUT, _DIRECT, _SERVICE = "#adb5bd", "#1f6f8b", "#e07a5f"


def draw(found: Mapping[Metric, Mapping[Variant, list[float]]], name: str) -> Path:
    """Write the picture; returns its path. Bars are medians, lines reach from the least round to the greatest."""
    rows = -(-len(found) // COLUMNS)
    figure = Figure(figsize=(17, 4.2 * rows), layout="constrained")
    for place, (metric, figures) in enumerate(found.items()):
        _panel(figure.add_subplot(rows, COLUMNS, place + 1), metric, figures)
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
    bars = axes.barh(range(len(spreads)), medians, xerr=reach, color=colours, ecolor="#495057", capsize=2)
    axes.bar_label(bars, [_number(value) for value in medians], label_type="center", color="black", fontsize=9)
    axes.set_yticks(range(len(spreads)), [variant.name for variant in figures])
    axes.invert_yaxis()
    better = "less is better" if metric.is_smaller_better else "more is better"
    axes.set(title=metric.name, xlabel=f"{metric.unit} ({better})")
    axes.grid(alpha=0.3, axis="x")
    axes.set_axisbelow(True)


def _colour(variant: Variant) -> str:
    if variant.base:
        return _SERVICE
    return _DIRECT if "node" in variant.name else _WITHOUT


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
