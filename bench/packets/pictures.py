# pyright: reportUnknownMemberType=false
"""The pictures of `bench.packet_cost`: known flows by their number, and all kinds of packets side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.packets.cases import KNOWN, NEW
from bench.packets.rounds import Samples
from bench.report.figures import Spread
from bench.report.results import picture_path
from runtime.build import Hook

_COLOURS = ("#1f6f8b", "#e07a5f", "#6c757d")


def draw(found: Sequence[Samples], name: str) -> Path:
    """Write the picture; returns its path. Bars and points are medians, lines reach from the fastest round to the 90th
    percentile."""
    figure = Figure(figsize=(13, 12), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(1, 1.9))
    if {one.case.services for one in found} == {1}:
        _by_flows(figure.add_subplot(grid[0, :]), found)
    else:
        _by_flows(figure.add_subplot(grid[0, 0]), found)
        _by_services(figure.add_subplot(grid[0, 1]), found)
    _by_kind(figure.add_subplot(grid[1, :]), found)
    figure.suptitle(
        "What a packet costs in the printed pipeline: medians, from the fastest round to the 90th percentile"
    )
    path = picture_path(name)
    figure.savefig(path, dpi=110)
    return path


def _reach(samples: Sequence[Samples]) -> tuple[list[float], tuple[list[float], list[float]]]:
    """Medians, and how far below and above them the rounds reach."""
    spreads = [Spread.of(one.costs) for one in samples]
    high = [sorted(one.costs)[int(0.9 * (len(one.costs) - 1))] for one in samples]
    medians = [spread.median for spread in spreads]
    below = [spread.median - spread.min for spread in spreads]
    return medians, (below, [max(0.0, top - middle) for top, middle in zip(high, medians, strict=True)])


def _by_flows(axes: Axes, found: Sequence[Samples]) -> None:
    known = [one for one in found if one.case.kind == KNOWN and one.case.hook is Hook.XDP and one.case.services == 1]
    lines = {
        "pipeline, IPv4": [one for one in known if one.case.version == 4 and not one.is_reference],
        "pipeline, IPv6": [one for one in known if one.case.version == 6],
        "hand-written with LRU_HASH, IPv4": [one for one in known if one.is_reference],
    }
    for colour, (label, samples) in zip(_COLOURS, lines.items(), strict=True):
        if not samples:
            continue
        medians, reach = _reach(samples)
        flows = [one.case.flows for one in samples]
        axes.errorbar(flows, medians, yerr=reach, label=label, color=colour, marker="o", capsize=3)
    axes.set(title="Known flow: NAT and VXLAN, XDP", xlabel="flows, drawn in random order", ylabel="ns a packet")
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()


def _by_services(axes: Axes, found: Sequence[Samples]) -> None:
    for colour, kind in zip(_COLOURS, (KNOWN, NEW), strict=False):
        samples = [
            one
            for one in found
            if (one.case.kind, one.case.hook, one.case.version, one.is_reference) == (kind, Hook.XDP, 4, False)
            and one.case.flows == 65_536
        ]
        samples.sort(key=lambda one: one.case.services)
        medians, reach = _reach(samples)
        places = range(len(samples))
        axes.errorbar(places, medians, yerr=reach, label=kind.name, color=colour, marker="o", capsize=3)
        axes.set_xticks(list(places), [f"{one.case.services:,}" for one in samples])
    axes.set(title="65,536 flows, IPv4, XDP", xlabel="services", ylabel="ns a packet")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()


def _by_kind(axes: Axes, found: Sequence[Samples]) -> None:
    chosen = [one for one in found if _is_of_each_kind(one)]
    kinds = list(dict.fromkeys(one.name for one in chosen))
    series = [(hook, version) for hook in (Hook.XDP, Hook.TC) for version in (4, 6)]
    height = 0.8 / len(series)
    colours = {(Hook.XDP, 4): "#1f6f8b", (Hook.XDP, 6): "#7fb7c9", (Hook.TC, 4): "#e07a5f", (Hook.TC, 6): "#f2b8a6"}
    for place, (hook, version) in enumerate(series):
        samples = [one for one in chosen if (one.case.hook, one.case.version) == (hook, version)]
        if not samples:
            continue
        medians, reach = _reach(samples)
        at = [kinds.index(one.name) + (place - 1.5) * height for one in samples]
        label = f"{hook.name}, IPv{version}"
        bars = axes.barh(at, medians, height, xerr=reach, label=label, color=colours[hook, version], capsize=2)
        axes.bar_label(bars, fmt="%.0f", padding=4, fontsize=8)
    axes.set_yticks(range(len(kinds)), kinds)
    axes.invert_yaxis()
    axes.set(title="Each kind of packet at 4,096 flows (new flows: 65,536), one service", xlabel="ns a packet")
    axes.grid(alpha=0.3, axis="x")
    axes.margins(x=0.1)
    axes.legend(loc="upper right")


def _is_of_each_kind(one: Samples) -> bool:
    case = one.case
    is_size = case.flows == 4096 if case.kind == KNOWN else True
    return is_size and case.services == 1 and not one.is_reference
