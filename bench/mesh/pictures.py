# pyright: reportUnknownMemberType=false
"""The picture of `bench.redirects`: a panel of bars for each measurement, and packets by the masks of their rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from bench.lab.metrics import Metric, Samples, Setting
from bench.lab.places import Way
from bench.mesh.masks import COUNTS, FIRST, KNOWN, Costs
from bench.report.drawing import label_bar
from bench.report.figures import Spread
from bench.report.results import picture_path

COLUMNS = 4
_TURNOUT, _OTHER, _PAST = "#1f6f8b", "#e07a5f", "#adb5bd"
_PACKETS = {FIRST: (_OTHER, "opens a connection"), KNOWN: (_TURNOUT, "of a known connection")}


def draw(found: Samples, costs: Costs, metrics: Sequence[Metric], name: str) -> Path:
    """Write the picture; returns its path."""
    rows = -(-(len(metrics) + 1) // COLUMNS)
    figure = Figure(figsize=(20, 4 * rows), layout="constrained")
    for place, metric in enumerate(metrics, 1):
        _panel(figure.add_subplot(rows, COLUMNS, place), metric, found[Setting(metric=metric, offloads=True)])
    _masks(figure.add_subplot(rows, COLUMNS, len(metrics) + 1), costs)
    figure.suptitle(
        "Through the same Envoy by Turnout (blue) and by what Linux has (red), and past it (grey); client, server and "
        "Envoy on one CPU; medians of rounds, and where the middle half of them lies"
    )
    path = picture_path(name)
    figure.savefig(path, dpi=90)
    return path


def _panel(axes: Axes, metric: Metric, figures: Mapping[Way, list[float]]) -> None:
    for place, (way, values) in enumerate(figures.items()):
        median, ordered = Spread.of(values).median, sorted(values)
        quarter = len(ordered) // 4
        reach = ([median - ordered[quarter]], [ordered[-1 - quarter] - median])
        line = {"ecolor": "#495057", "capsize": 2}
        axes.barh([place], [median], 0.7, xerr=reach, color=_colour(way), error_kw=line)
        label_bar(axes, place, f"{median:,.0f}" if median >= 100 else f"{median:.1f}")
    axes.set_yticks(range(len(figures)), [way.name for way in figures])
    axes.invert_yaxis()
    better = "less is better" if metric.is_smaller_better else "more is better"
    axes.set(title=metric.name, xlabel=f"{metric.unit} ({better})")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(alpha=0.3, axis="x")
    axes.set_axisbelow(True)


def _masks(axes: Axes, costs: Costs) -> None:
    for kind, (colour, label) in _PACKETS.items():
        medians = [Spread.of(costs[count, kind]).median for count in COUNTS]
        axes.plot(COUNTS, medians, marker="o", color=colour, label=label)
    axes.set_xticks(COUNTS)
    axes.set_ylim(bottom=0)
    axes.set(title="masks of redirect rules", xlabel="masks", ylabel="ns a packet (less is better)")
    axes.grid(alpha=0.3)
    axes.legend()


def _colour(way: Way) -> str:
    return _PAST if not way.between else _TURNOUT if way.direct else _OTHER
