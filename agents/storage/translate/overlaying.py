"""Layers to one tree, as overlayfs shows them: the upper hides the lower, directories are merged unless opaque."""

from __future__ import annotations

from collections.abc import Iterable

from agents.storage.translate.tree import Node, new_directory


def overlaid(layers: Iterable[Node]) -> Node:
    """The tree that layers, lowest first, give together. The layers are taken apart for it: use them no more."""
    merged = new_directory(is_implied=True)
    for layer in layers:
        merged = _merged(merged, layer)
    return merged


def _merged(lower: Node, upper: Node) -> Node:
    """`upper`'s directory with what it leaves visible of `lower`'s, without recursion: trees may be deep."""
    pending = [(lower, upper)]
    while pending:
        below, above = pending.pop()
        hidden: list[bytes] = []
        assert below.children is not None
        assert above.children is not None
        for name, node in above.children.items():
            under = below.children.get(name)
            if node.is_whiteout:
                hidden.append(name)
            elif node.is_directory:
                visible = under is not None and under.is_directory and not node.is_opaque
                pending.append((under if visible and under is not None else new_directory(), node))
        for name, node in below.children.items():
            above.children.setdefault(name, node)
        for name in hidden:
            del above.children[name]
    return upper


def visible(layer: Node) -> Node:
    """A single layer as an overlay shows it: without whiteouts."""
    return _merged(new_directory(), layer)
