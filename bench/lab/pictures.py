# pyright: reportUnknownMemberType=false
"""The pictures of `bench.traffic`: a panel of bars for each measurement, and how fast ways are relative to others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from bench.lab.metrics import METRICS, Comparison, Metric, Samples, Setting
from bench.lab.places import Way
from bench.report.drawing import label_bar
from bench.report.figures import Spread
from bench.report.results import picture_path

COLUMNS = 4
_KERNEL, _PIPELINE, _SERVICE = "#adb5bd", "#1f6f8b", "#e07a5f"
_GOAL = 0.97
_ROOM = 1.25
"""Of the longest bar, so that its spread can be seen."""
_SPEEDS = (0.8, 1.4)
_Fill = Literal["full", "none"]
_STYLE: dict[tuple[str, bool], tuple[str, _Fill]] = {
    ("same node", True): ("o", "full"),
    ("same node", False): ("o", "none"),
    ("across nodes", True): ("s", "full"),
    ("across nodes", False): ("s", "none"),
}


def draw(found: Samples, compared: Sequence[Comparison], name: str) -> tuple[Path, Path]:
    """Write both pictures; returns their paths."""
    return _draw_figures(found, name), _draw_speeds(compared, f"{name}_speed")


def _draw_figures(found: Samples, name: str) -> Path:
    rows = -(-len(METRICS) // COLUMNS)
    figure = Figure(figsize=(20, 4.2 * rows), layout="constrained")
    for place, metric in enumerate(METRICS):
        _panel(figure.add_subplot(rows, COLUMNS, place + 1), metric, found)
    figure.suptitle(
        "Real traffic, client and server on one CPU: kernel alone (grey), pipeline (blue), service (red); "
        "offloads on (full) and off (hatched); medians of rounds, and where the middle half of them lies"
    )
    return _saved(figure, name)


def _panel(axes: Axes, metric: Metric, found: Samples) -> None:
    ways = tuple(found[Setting(metric=metric, offloads=True)])
    for offloads, shift in ((True, -0.2), (False, 0.2)):
        _bars(axes, found[Setting(metric=metric, offloads=offloads)], shift, hatch="" if offloads else "///")
    axes.set_yticks(range(len(ways)), [way.name for way in ways])
    axes.invert_yaxis()
    better = "less is better" if metric.is_smaller_better else "more is better"
    axes.set(title=metric.name, xlabel=f"{metric.unit} ({better})")
    # The slowest rounds of one way would make all others unreadable.
    axes.set_xlim(0, _ROOM * max(_median_of_all(found, metric)))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(alpha=0.3, axis="x")
    axes.set_axisbelow(True)


def _median_of_all(found: Samples, metric: Metric) -> list[float]:
    return [Spread.of(v).median for setting, f in found.items() if setting.metric == metric for v in f.values()]


def _bars(axes: Axes, figures: Mapping[Way, list[float]], shift: float, hatch: str) -> None:
    for place, (way, values) in enumerate(figures.items()):
        spread, ordered = Spread.of(values), sorted(values)
        quarter = len(ordered) // 4
        reach = ([spread.median - ordered[quarter]], [ordered[-1 - quarter] - spread.median])
        colour, line = _colour(way), {"ecolor": "#495057", "capsize": 2}
        axes.barh(
            [place + shift],
            [spread.median],
            0.38,
            xerr=reach,
            color=colour,
            edgecolor="white",
            hatch=hatch,
            error_kw=line,
        )
        label_bar(axes, place + shift, _number(spread.median))


def _draw_speeds(compared: Sequence[Comparison], name: str) -> Path:
    """Three panels: a service beside the pipeline, and both beside the kernel."""
    figure = Figure(figsize=(17, 7), layout="constrained")
    panels = (
        ("a service / the same pair without it", ", service", ", pipeline"),
        ("a service / routing and VXLAN of the kernel", ", service", ", kernel"),
        ("pipeline / routing and VXLAN of the kernel", ", pipeline", ", kernel"),
    )
    for place, (title, way, base) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), place + 1)
        _speeds(axes, [one for one in compared if one.way.name.endswith(way) and one.base.endswith(base)])
        axes.set(title=title, xlabel="right of 1: faster; dashes: 0.97")
    figure.suptitle("Ratios within rounds, median and 95 % interval; of latencies and CPU the inverse: more is better")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(_STYLE))
    return _saved(figure, name)


def _speeds(axes: Axes, compared: Sequence[Comparison]) -> None:
    for shift, ((node, offloads), (marker, fill)) in enumerate(_STYLE.items()):
        chosen = [o for o in compared if o.way.name.startswith(node) and o.setting.offloads is offloads]
        places = [METRICS.index(one.setting.metric) + (shift - 1.5) * 0.18 for one in chosen]
        medians = [one.speed.median for one in chosen]
        reach = (
            [one.speed.median - one.speed.low for one in chosen],
            [one.speed.high - one.speed.median for one in chosen],
        )
        label = f"{node}, offloads {'on' if offloads else 'off'}"
        colour = (_SERVICE, _PIPELINE)[marker == "s"]
        axes.errorbar(medians, places, xerr=reach, fmt=marker, fillstyle=fill, color=colour, label=label, capsize=2)
    axes.axvline(1, color="#495057", linewidth=1)
    axes.axvline(_GOAL, color="#adb5bd", linewidth=1, linestyle="--")
    axes.set_yticks(range(len(METRICS)), [metric.name for metric in METRICS])
    axes.invert_yaxis()
    axes.set_xlim(*_SPEEDS)
    axes.grid(alpha=0.3, axis="x")


def _saved(figure: Figure, name: str) -> Path:
    path = picture_path(name)
    figure.savefig(path, dpi=90)
    return path


def _colour(way: Way) -> str:
    return _SERVICE if way.direct else _PIPELINE if way.kernel else _KERNEL


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
