"""Layers to one tree: as overlayfs shows them, or each in a folder of its own, for overlayfs to put together.

The upper hides the lower; directories are merged unless they are opaque.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from agents.storage.translate.tree import Node, new_directory

BELOW_ALL: Final = b"none"
"""An empty folder: overlayfs without an upper one wants two lower ones at least."""
_OPAQUE: Final = b"trusted.overlay.opaque"


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


def changes(layers: Iterable[Node]) -> Node:
    """What layers, lowest first, change together, as one layer in the form in which overlayfs takes it: it may lie over
    all that lies below the first of them. The layers are taken apart for it."""
    merged: Node | None = None
    for layer in layers:
        merged = layer if merged is None else _stacked(merged, layer)
    return new_directory() if merged is None else mark_opaque(merged)


def _stacked(lower: Node, upper: Node) -> Node:
    """`upper` with what it leaves of `lower`, whiteouts of both included: what is hidden may be further below as well.
    A directory where `lower` has none, or hides what lies below, hides that too."""
    pending = [(lower, upper)]
    while pending:
        below, above = pending.pop()
        assert below.children is not None
        assert above.children is not None
        for name, node in above.children.items():
            under = below.children.get(name)
            if under is None or not node.is_directory or node.is_opaque:
                continue
            if under.is_directory:
                pending.append((under, node))
            node.is_opaque = under.is_opaque or not under.is_directory
        for name, node in below.children.items():
            above.children.setdefault(name, node)
    return upper


def visible(layer: Node) -> Node:
    """A single layer as an overlay shows it: without whiteouts."""
    return _merged(new_directory(), layer)


def side_by_side(layers: Iterable[Node]) -> Node:
    """A tree with the layers, lowest first, as folders 0, 1, 2 and so on, in the form in which overlayfs takes them
    (Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories"), and the empty `BELOW_ALL`."""
    root = new_directory()
    root.children = {b"%d" % number: layer for number, layer in enumerate(layers)}
    for layer in root.children.values():
        mark_opaque(layer)
    root.children[BELOW_ALL] = new_directory()
    return root


def mark_opaque(layer: Node) -> Node:
    """The same layer, its opaque directories as overlayfs knows them. The root of a layer is never opaque to it."""
    pending = list((layer.children or {}).values())
    while pending:
        node = pending.pop()
        if node.children is not None:
            pending.extend(node.children.values())
            if node.is_opaque:
                node.xattrs[_OPAQUE] = b"y"
    return layer
