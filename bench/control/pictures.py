# pyright: reportUnknownMemberType=false
"""The picture of `bench.device`: updates a second of each kind, how long single writes take, many entries kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.control.writing import Kept, Written
from bench.report.drawing import label_bar
from bench.report.results import picture_path

_COLOURS = {"kernel": "#1f6f8b", "model": "#e07a5f"}


def draw(found: Mapping[str, tuple[Sequence[Written], Sequence[Written], Kept]], name: str) -> Path:
    """By target: batches, single writes, what was kept. Returns the path of the picture."""
    figure = Figure(figsize=(13, 10), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(2, 1))
    _rates(figure.add_subplot(grid[0, :]), {target: batches for target, (batches, _, _) in found.items()})
    _waits(figure.add_subplot(grid[1, 0]), {target: single for target, (_, single, _) in found.items()})
    _kept(figure.add_subplot(grid[1, 1]), {target: kept for target, (_, _, kept) in found.items()})
    figure.suptitle("turnout device: what a client in another process is answered, validation and journal included")
    path = picture_path(name)
    figure.savefig(path, dpi=110)
    return path


def _rates(axes: Axes, found: Mapping[str, Sequence[Written]]) -> None:
    kinds = [one.what for one in next(iter(found.values()))]
    height = 0.8 / len(found)
    for row, (target, written) in enumerate(found.items()):
        places = [at + row * height for at in range(len(written))]
        rates = [one.per_s for one in written]
        axes.barh(places, rates, height=height * 0.9, color=_COLOURS[target], label=f"{target} target")
        for place, rate in zip(places, rates, strict=True):
            label_bar(axes, place, f"{rate:,.0f}")
    axes.axvline(100_000, color="#6c757d", linewidth=0.8, linestyle=":")
    axes.set_yticks([at + 0.4 - height / 2 for at in range(len(kinds))], kinds)
    axes.invert_yaxis()
    axes.set(title="Updates a second, in batches of 1,000", xlabel="updates a second")
    axes.legend()


def _waits(axes: Axes, found: Mapping[str, Sequence[Written]]) -> None:
    for target, written in found.items():
        for one, style in zip(written, ("-", ":"), strict=True):
            waits = sorted(1000 * wait for wait in one.batches_s)
            shares = [(at + 1) / len(waits) for at in range(len(waits))]
            axes.plot(waits, shares, style, color=_COLOURS[target], label=f"{target}: {one.what}")
    axes.set_xscale("log")
    axes.set(title="Single writes", xlabel="milliseconds until the answer", ylabel="share of writes")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def _kept(axes: Axes, found: Mapping[str, Kept]) -> None:
    steps = ("load", "read", "restart")
    height = 0.8 / len(found)
    for row, (target, kept) in enumerate(found.items()):
        seconds = (kept.load_s, kept.read_s, kept.restart_s)
        places = [at + row * height for at in range(len(steps))]
        axes.barh(places, seconds, height=height * 0.9, color=_COLOURS[target])
        for place, value in zip(places, seconds, strict=True):
            label_bar(axes, place, f"{value:.1f} s")
    axes.set_yticks([at + 0.4 - height / 2 for at in range(len(steps))], steps)
    axes.invert_yaxis()
    entries = next(iter(found.values())).entries
    axes.set(title=f"{entries:,} entries: loaded, read, there again after a kill", xlabel="seconds")
