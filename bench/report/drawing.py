# pyright: reportUnknownMemberType=false
"""What pictures have in common."""

from __future__ import annotations

from matplotlib.axes import Axes


def label_bar(axes: Axes, place: float, text: str, *, behind: float = 0) -> None:
    """Text at a horizontal bar's left end, where the lines of its spread rarely are, or `behind` where these end."""
    box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
    axes.annotate(text, (behind, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8, bbox=box)
