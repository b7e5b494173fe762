# pyright: reportUnknownMemberType=false
"""The pictures of `bench.kubeproxy`: traffic at each size, and what programming takes by the number of services."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, NullFormatter

from bench.kube.comparing import CHOSEN, Traffic
from bench.kube.programming import Programmed, Size
from bench.kube.proxying import Mode
from bench.kube.ways import SERVICE
from bench.lab.metrics import Metric
from bench.lab.places import Way
from bench.report.drawing import label_bar
from bench.report.figures import Spread
from bench.report.results import picture_path

COLUMNS = 4
ROOM = 1.25
_DIRECT, _TURNOUT = "#adb5bd", "#1f6f8b"
_COLOURS = {Mode.IPTABLES: "#e07a5f", Mode.NFTABLES: "#f2a65a"}
_Line = tuple[str, str, Callable[[Size], float]]


def draw_traffic(found: Traffic, services: int, name: str) -> Path:
    """A panel of bars for each measurement; returns the picture's path."""
    rows = -(-len(CHOSEN) // COLUMNS)
    figure = Figure(figsize=(22, 4.4 * rows), layout="constrained")
    for place, metric in enumerate(CHOSEN, 1):
        _panel(figure.add_subplot(rows, COLUMNS, place), metric, found[metric])
    figure.suptitle(
        f"{services:,} services: direct (grey), kube-proxy by iptables (red) and nftables (orange), Turnout (blue); "
        "client and server on one CPU; medians of rounds, and where the middle half of them lies"
    )
    return _saved(figure, f"{name}_traffic_{services}")


def _panel(axes: Axes, metric: Metric, figures: Mapping[Way, list[float]]) -> None:
    medians = [Spread.of(values).median for values in figures.values()]
    for place, (way, values) in enumerate(figures.items()):
        median, ordered = medians[place], sorted(values)
        quarter = len(ordered) // 4
        reach = ([median - ordered[quarter]], [ordered[-1 - quarter] - median])
        line = {"ecolor": "#495057", "capsize": 2}
        axes.barh([place], [median], 0.75, xerr=reach, color=_colour(way), error_kw=line)
        label_bar(axes, place, f"{median:,.0f}" if median >= 100 else f"{median:.1f}")
    axes.set_yticks(range(len(figures)), [way.name for way in figures], fontsize=8)
    axes.invert_yaxis()
    better = "less is better" if metric.is_smaller_better else "more is better"
    axes.set(title=metric.name, xlabel=f"{metric.unit} ({better})")
    axes.set_xlim(0, ROOM * max(medians))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(alpha=0.3, axis="x")
    axes.set_axisbelow(True)


def _colour(way: Way) -> str:
    means = way.name.partition(": ")[2]
    if means == SERVICE:
        return _TURNOUT
    return next((colour for mode, colour in _COLOURS.items() if means.endswith(mode)), _DIRECT)


def draw_programming(sizes: Sequence[Size], name: str) -> Path:
    """Four panels over the number of services; returns the picture's path."""
    figure = Figure(figsize=(16, 10), layout="constrained")
    panels: tuple[tuple[str, str, Sequence[_Line]], ...] = (
        ("all services, from nothing", "seconds", (*_of_modes(lambda p: p.cold_s), *_whole())),
        ("one more service with its slice, median", "seconds", (*_of_modes(lambda p: _median(p.more_s)), *_more())),
        ("one endpoint changed, median", "seconds", (*_of_modes(lambda p: _median(p.changed_s)), *_changed())),
        ("memory, at most", "MB", (*_of_modes(lambda p: p.memory_mb), *_memory())),
    )
    for place, (title, unit, lines) in enumerate(panels, 1):
        axes = figure.add_subplot(2, 2, place)
        for label, colour, value in lines:
            style = "--" if "apply" in label or "maps" in label else "-"
            values = [value(size) for size in sizes]
            axes.plot([size.services for size in sizes], values, style, marker="o", color=colour, label=label)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks([size.services for size in sizes], [f"{size.services:,}" for size in sizes])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set(title=title, xlabel="services, two endpoints each", ylabel=unit)
        axes.grid(alpha=0.3, which="both")
        axes.legend(fontsize=8)
    return _saved(figure, f"{name}_programming")


def _of_modes(value: Callable[[Programmed], float]) -> list[_Line]:
    return [(f"kube-proxy, {mode}", _COLOURS[mode], lambda size, mode=mode: value(size.proxies[mode])) for mode in Mode]


def _whole() -> tuple[_Line, ...]:
    return (
        ("Turnout, `turnout apply`", _TURNOUT, lambda size: size.applied.whole_s),
        ("Turnout, writes alone", _TURNOUT, lambda size: size.written.written_s),
    )


def _more() -> tuple[_Line, ...]:
    return (("Turnout, a client's Write", _TURNOUT, lambda size: _median(size.written.more_s)),)


def _changed() -> tuple[_Line, ...]:
    return (
        ("Turnout, `turnout apply`", _TURNOUT, lambda size: _median(size.applied.again_s)),
        ("Turnout, a client's Write", _TURNOUT, lambda size: _median(size.written.changed_s)),
    )


def _memory() -> tuple[_Line, ...]:
    return (
        ("Turnout, the device", _TURNOUT, lambda size: size.applied.memory_mb),
        ("Turnout, the device and its maps", _TURNOUT, lambda size: size.applied.memory_mb + size.applied.maps_mb),
    )


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)


def _saved(figure: Figure, name: str) -> Path:
    path = picture_path(name)
    figure.savefig(path, dpi=90)
    return path
