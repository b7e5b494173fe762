# pyright: reportUnknownMemberType=false
"""The pictures of `bench.packet_cost`: known flows by their number, and all kinds of packets side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.packets.cases import KNOWN, NEW, NEW_FLOWS
from bench.packets.rounds import Samples
from bench.report.drawing import label_bar
from bench.report.figures import Spread
from bench.report.results import picture_path
from runtime.bpf.chains import Hook

_VERSION_COLOURS = {4: "#1f6f8b", 6: "#e07a5f"}
_BY_HAND = "#6c757d"
_SERIES = {(Hook.XDP, 4): "#1f6f8b", (Hook.XDP, 6): "#7fb7c9", (Hook.TC, 4): "#e07a5f", (Hook.TC, 6): "#f2b8a6"}


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
    for version in (4, 6):
        for is_fast in (True, False):
            line = (version, is_fast)
            samples = [o for o in known if (o.case.version, o.case.is_fast) == line and not o.is_reference]
            label = f"IPv{version}{'' if is_fast else ', without the fast path'}"
            _line(axes, samples, label, _VERSION_COLOURS[version], "-" if is_fast else ":")
    _line(axes, [one for one in known if one.is_reference], "hand-written with LRU_HASH, IPv4", _BY_HAND, "-")
    axes.set(title="Known flow: NAT and VXLAN, XDP", xlabel="flows, drawn in random order", ylabel="ns a packet")
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()


def _line(axes: Axes, samples: Sequence[Samples], label: str, colour: str, style: str) -> None:
    if not samples:
        return
    medians, reach = _reach(samples)
    flows = [one.case.flows for one in samples]
    axes.errorbar(flows, medians, yerr=reach, label=label, color=colour, linestyle=style, marker="o", capsize=3)


def _by_services(axes: Axes, found: Sequence[Samples]) -> None:
    ours = [one for one in found if one.case.is_fast and not one.is_reference and one.case.flows == NEW_FLOWS]
    for colour, kind in zip(_VERSION_COLOURS.values(), (KNOWN, NEW), strict=True):
        samples = [o for o in ours if (o.case.kind, o.case.hook, o.case.version) == (kind, Hook.XDP, 4)]
        samples.sort(key=lambda one: one.case.services)
        medians, reach = _reach(samples)
        places = range(len(samples))
        axes.errorbar(places, medians, yerr=reach, label=kind.name, color=colour, marker="o", capsize=3)
        axes.set_xticks(list(places), [f"{one.case.services:,}" for one in samples])
    axes.set(title=f"{NEW_FLOWS:,} flows, IPv4, XDP", xlabel="services", ylabel="ns a packet")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()


def _by_kind(axes: Axes, found: Sequence[Samples]) -> None:
    chosen = [one for one in found if _is_of_each_kind(one)]
    kinds = list(dict.fromkeys(one.name for one in chosen))
    series = [one for one in _SERIES if any((o.case.hook, o.case.version) == one for o in chosen)]
    height = 0.8 / len(series)
    for place, (hook, version) in enumerate(series):
        samples = [one for one in chosen if (one.case.hook, one.case.version) == (hook, version)]
        fast = [one for one in samples if one.case.is_fast]
        slow = [Spread.of(one.costs).median for one in samples if not one.case.is_fast]
        medians, reach = _reach(fast)
        at = [kinds.index(one.name) + (place - (len(series) - 1) / 2) * height for one in fast]
        colour = _SERIES[hook, version]
        axes.barh(at, medians, height, xerr=reach, label=f"{hook.name}, IPv{version}", color=colour, capsize=2)
        axes.plot(slow, at, "d", color="#212529", markersize=5, label=None if place else "without the fast path")
        for here, quick, above, other in zip(at, medians, reach[1], slow, strict=True):
            label_bar(axes, here, f"{quick:.0f} ({other:.0f})", behind=max(quick + above, other))
    axes.set_yticks(range(len(kinds)), kinds)
    axes.invert_yaxis()
    title = "Each kind of packet at 4,096 flows (new flows: 65,536), one service; in brackets without the fast path"
    axes.set(title=title, xlabel="ns a packet")
    axes.grid(alpha=0.3, axis="x")
    axes.margins(x=0.12)
    axes.set_axisbelow(True)
    axes.legend(loc="upper right")


def _is_of_each_kind(one: Samples) -> bool:
    case = one.case
    is_size = case.flows == 4096 if case.kind == KNOWN else True
    return is_size and case.services == 1 and not one.is_reference
