"""One layer's entries to the tree that containerd's overlay snapshotter would have in the layer's own directory.

The rules, and their order, are containerd's: names are cleaned, parents resolved inside of the layer, symlinks there
included; what exists is replaced unless directory meets directory; whiteouts become character devices 0/0; a hard
link's header describes the inode; times of directories are set at the end. What containerd refuses is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from posixpath import normpath
from typing import Final

from agents.storage.translate import tree
from agents.storage.translate.tree import Node, encoded_device, new_directory
from agents.storage.wire import tar
from agents.storage.wire.errors import TarError
from agents.storage.wire.tar import Entry

MAX_LINKS: Final = 255
MAX_NAME_BYTES: Final = 255
MAX_PATH_BYTES: Final = 4096
"""Linux's PATH_MAX, which counts the final NUL."""
MAX_NODES: Final = 2_000_000
MAX_BYTES: Final = 512 << 20
_EXTENT_BYTES: Final = 100

_WHITEOUT: Final = b".wh."
_OPAQUE: Final = b".wh..wh..opq"
_CAPABILITY: Final = b"security.capability"
_ACCESS_LISTS: Final = (b"system.posix_acl_access", b"system.posix_acl_default")
_LATEST_NS: Final = (1 << 63) - 1
_NODE_KINDS: Final = {
    tar.REGULAR: tree.REGULAR,
    tar.GNU_SPARSE: tree.REGULAR,
    tar.SYMLINK: tree.SYMLINK,
    tar.CHAR: tree.CHAR,
    tar.BLOCK_DEVICE: tree.BLOCK_DEVICE,
    tar.FIFO: tree.FIFO,
}
Path = tuple[bytes, ...]


class Budget:
    """What an image may hold, since its tree is in memory: files, and bytes of names, attributes and sparse maps."""

    def __init__(self, nodes: int = MAX_NODES, size: int = MAX_BYTES) -> None:
        self._nodes, self._size = nodes, size
        self._all_nodes, self._all_size = nodes, size

    def spend(self, name: bytes, entry: Entry | None = None) -> None:
        self._nodes -= 1
        self._size -= len(name)
        if entry is not None:
            self._size -= len(entry.link) + _EXTENT_BYTES * len(entry.extents)
            self._size -= sum(len(key) + len(value) for key, value in entry.xattrs)
        if self._nodes < 0:
            raise _RefusedError(f"the image has more than {self._all_nodes} files and folders")
        if self._size < 0:
            raise _RefusedError(f"the image has more than {self._all_size} bytes of names and attributes")


def apply_layer(
    entries: Iterable[Entry], source: int = 0, lower: Sequence[Node] = (), budget: Budget | None = None
) -> Node:
    """The root of the layer's tree. `lower` are the roots of the layers below, nearest first: attributes of directories
    that the layer enters without describing them are theirs. Raises TarError naming the entry."""
    layer = _Layer(source, lower, budget or Budget())
    for entry in entries:
        try:
            layer.apply(entry)
        except _RefusedError as error:
            raise TarError(f"entry {shown(entry.name)}: {error}") from None
    layer.finish()
    return layer.root


def shown(name: bytes) -> str:
    return repr(name.decode("utf-8", "backslashreplace"))


class _RefusedError(Exception):
    """Why an entry cannot be unpacked."""


class _Layer:
    def __init__(self, source: int, lower: Sequence[Node], budget: Budget) -> None:
        self.root = new_directory(is_implied=True)
        self._source, self._lower, self._budget = source, lower, budget
        self._directories: list[Entry] = []
        self._unpacked: set[Path] = set()

    def apply(self, entry: Entry) -> None:
        name = clean(entry.name)
        _check_path(name)
        head, _, base = name.rpartition(b"/")
        parent_path = resolve(self.root, head)
        if base in (b"", b".", b".."):
            if base == b".." or not parent_path:
                return
            base = b""
        path = (*parent_path, base) if base else parent_path
        if not path:
            return
        _check_path(b"/".join(path))
        parent = self._make_parent(path[:-1], entry)
        children = parent.children
        assert children is not None
        if path[-1].startswith(_WHITEOUT):
            self._white_out(entry, path, parent, children)
            return
        self._put(entry, path[-1], children)
        if not self._lower:
            self._unpacked.add(path)

    def finish(self) -> None:
        """Times of directories, which what was unpacked into them must not have changed."""
        for entry in self._directories:
            path = resolve(self.root, clean(entry.name))
            node = find(self.root, path)
            if node is None:
                raise TarError(
                    f"entry {shown(entry.name)}: the directory is not there any more at the end of the layer"
                )
            node.mtime_ns = bounded_time(entry.mtime_ns)

    def _make_parent(self, path: Path, entry: Entry) -> Node:
        node = self.root
        for depth, part in enumerate(path):
            if node.children is None:
                break
            child = node.children.get(part)
            if child is None:
                _check_name(part)
                self._budget.spend(part)
                child = node.children[part] = self._implied(path[: depth + 1], entry)
            node = child
        if node.children is None:
            raise _RefusedError(f"{shown(b'/'.join(path))} is not a directory")
        return node

    def _implied(self, path: Path, entry: Entry) -> Node:
        """A directory without an entry: as it is in the layers below, else what mkdir makes."""
        made = new_directory(is_implied=True)
        made.mtime_ns = bounded_time(entry.mtime_ns)
        for root in self._lower:
            try:
                below = find(root, resolve(root, b"/".join(path)))
            except _RefusedError as error:
                raise _RefusedError(f"in a layer below: {error}") from None
            if below is None:
                continue
            if below.is_directory:
                made.mode, made.uid, made.gid, made.mtime_ns = below.mode, below.uid, below.gid, below.mtime_ns
                made.xattrs = dict(below.xattrs)
            break
        return made

    def _white_out(self, entry: Entry, path: Path, parent: Node, children: dict[bytes, Node]) -> None:
        """In the lowest layer there is nothing below, and whiteouts remove what the layer itself has brought so far."""
        original = path[-1][len(_WHITEOUT) :]
        if path[-1] == _OPAQUE:
            parent.is_opaque = True
            if not self._lower:
                self._empty(path[:-1], children)
        elif original in (b"", b".", b".."):
            raise _RefusedError("a whiteout that names nothing")
        elif not self._lower:
            children.pop(original, None)
        elif original in children:
            raise _RefusedError(f"the layer holds {shown(original)} as well")
        else:
            self._budget.spend(original)
            children[original] = Node(tree.CHAR, uid=entry.uid, gid=entry.gid)

    def _empty(self, path: Path, children: dict[bytes, Node]) -> None:
        """Take away what no entry of this layer has put there: directories that were only needed on the way."""
        pending = [(path, children)]
        while pending:
            folder, inside = pending.pop()
            for name, node in list(inside.items()):
                if (*folder, name) not in self._unpacked:
                    del inside[name]
                elif node.children is not None:
                    pending.append(((*folder, name), node.children))

    def _put(self, entry: Entry, base: bytes, children: dict[bytes, Node]) -> None:
        _check_name(base)
        self._budget.spend(base, entry)
        existing = children.get(base)
        is_directory = entry.kind == tar.DIRECTORY
        if existing is not None and not (existing.is_directory and is_directory):
            del children[base]
            existing = None
        if entry.kind == tar.GLOBAL_HEADER:
            return
        if is_directory:
            node = existing or new_directory()
            self._directories.append(entry)
        elif entry.kind == tar.LINK:
            node = self._linked(entry)
            node.xattrs.pop(_CAPABILITY, None)  # chown(2) takes capabilities away
        else:
            node = self._made(entry)
        children[base] = node
        _describe(node, entry)

    def _linked(self, entry: Entry) -> Node:
        head, _, base = entry.link.rpartition(b"/")
        parent = resolve(self.root, head)
        path = parent[:-1] if base == b".." else (*parent, base) if base not in (b"", b".") else parent
        node = find(self.root, path)
        if node is None:
            raise _RefusedError(f"a hard link to {shown(entry.link)}, which this layer does not hold")
        if node.is_directory:
            raise _RefusedError(f"a hard link to {shown(entry.link)}, which is a directory")
        return node

    def _made(self, entry: Entry) -> Node:
        kind = _NODE_KINDS.get(entry.kind)
        if kind is None:
            raise _RefusedError(f"unknown type {entry.kind!r}")
        node = Node(kind, size=entry.size, source=self._source, extents=entry.extents)
        if kind in (tree.CHAR, tree.BLOCK_DEVICE):
            node.rdev = encoded_device(entry.major, entry.minor)
        if kind == tree.SYMLINK:
            if not entry.link:
                raise _RefusedError("a symbolic link without a target")
            if len(entry.link) >= MAX_PATH_BYTES:
                raise _RefusedError(f"a symbolic link to a path of {len(entry.link)} bytes; Linux ends at 4095")
            node.target = entry.link
        return node


def _describe(node: Node, entry: Entry) -> None:
    """Owner, extended attributes, mode and time, in containerd's order."""
    node.is_implied = False
    # 2**32 - 1 leaves an owner as it is (chown(2)).
    node.uid = node.uid if entry.uid == 0xFFFF_FFFF else entry.uid
    node.gid = node.gid if entry.gid == 0xFFFF_FFFF else entry.gid
    for name, value in entry.xattrs:
        _set_xattr(node, name, value)
    if node.kind != tree.SYMLINK:
        node.mode = node.kind | entry.mode
    else:
        node.mode = tree.SYMLINK | 0o777
    node.mtime_ns = bounded_time(entry.mtime_ns)


def _set_xattr(node: Node, name: bytes, value: bytes) -> None:
    """Those that have no home in a file system are passed over, as are trusted.*: containerd takes none from archives,
    since overlayfs would obey some of them."""
    if name.startswith(b"user."):
        if node.kind in (tree.REGULAR, tree.DIRECTORY):  # the kernel keeps these of files and directories only
            node.xattrs[name] = value
    elif name.startswith(b"security.") or name in _ACCESS_LISTS:
        node.xattrs[name] = value


def _check_path(path: bytes) -> None:
    if len(path) >= MAX_PATH_BYTES:
        raise _RefusedError(f"a path of {len(path)} bytes, where Linux takes {MAX_PATH_BYTES - 1}")


def _check_name(name: bytes) -> None:
    if len(name) > MAX_NAME_BYTES:
        raise _RefusedError(f"a name of {len(name)} bytes, where file systems take {MAX_NAME_BYTES}")


def bounded_time(ns: int) -> int:
    """What containerd makes of times before 1970 and after 2262."""
    return ns if 0 <= ns <= _LATEST_NS else 0


def clean(path: bytes) -> bytes:
    """Go's path.Clean: like normpath, except that // at the start is one slash."""
    cleaned = normpath(path) if path else b"."
    return cleaned[1:] if cleaned.startswith(b"//") else cleaned


def resolve(root: Node, path: bytes) -> Path:
    """`path` with every symlink followed inside of `root`. What does not exist stays as written."""
    rest = _parts(path)
    done: list[bytes] = []
    links = 0
    node: Node | None = root
    while rest:
        part = rest.pop(0)
        if node is not None and node.children is None:
            raise _RefusedError(f"{shown(b'/'.join(done))} is not a directory")
        child = node.children.get(part) if node is not None and node.children is not None else None
        if child is None or child.kind != tree.SYMLINK:
            done.append(part)
            node = child
            continue
        links += 1
        if links > MAX_LINKS:
            raise _RefusedError("too many symbolic links")
        start = b"" if child.target.startswith(b"/") else b"/".join(done) + b"/"
        rest = [*_parts(start + child.target), *rest]
        done, node = [], root
    return tuple(done)


def _parts(path: bytes) -> list[bytes]:
    """Components from the root, '.' and '..' taken out lexically; nothing is above the root."""
    return [part for part in clean(b"/" + path).split(b"/") if part]


def find(root: Node, path: Path) -> Node | None:
    node: Node | None = root
    for part in path:
        if node is None or node.children is None:
            return None
        node = node.children.get(part)
    return node
