"""A tree's inodes in the order in which they are numbered and written, with their names and numbers of links."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self, TypeVar

from agents.storage.translate.tree import Node


@dataclass(slots=True, eq=False)
class Inode:
    """`position` counts from 0. Of a directory, `names` are in ascending order of their bytes, without `.` and `..`."""

    node: Node
    position: int
    parent: Self | None
    links: int = 0
    names: list[tuple[bytes, Self]] = field(default_factory=lambda: [])


AnyInode = TypeVar("AnyInode", bound=Inode)


def numbered(root: Node, make: Callable[[Node, int, AnyInode | None], AnyInode]) -> list[AnyInode]:
    """Inodes directory by directory, the root first."""
    first = make(root, 0, None)
    first.links = 2
    inodes, seen = [first], {id(root): first}
    for inode in inodes:
        for name, node in sorted((inode.node.children or {}).items()):
            child = seen.get(id(node))
            if child is None:
                child = seen[id(node)] = make(node, len(inodes), inode)
                child.links = 1 if node.is_directory else 0
                inodes.append(child)
            child.links += 1
            inode.links += node.is_directory
            inode.names.append((name, child))
    return inodes
