"""What lies in the device's BPF file system and is not what a device of Turnout leaves there.

Pins of the device itself (dispatcher, ports) are what packets pass: where one is something else, the start is refused
before anything is changed. Those of a pipeline that are something else are passed over, as if they were not there:
what controllers wrote is in the journal. Called by `runtime.device.kernel.target` and `places`.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from compiler.ir.nodes import Pipeline
from compiler.printers.layout import MapKind, MapLayout, layout
from compiler.printers.store_programs import maps_beside
from runtime.bpf.constants import MapType
from runtime.bpf.library import check, libbpf
from runtime.bpf.maps import Map, MapDetails, MapShape
from runtime.device.kernel.attaching import EGRESS_SHAPE, MOST_OTHERS
from runtime.device.kernel.dispatcher import DISPATCH_SHAPE, WHOLE_SHAPE
from runtime.device.kernel.interfaces import DIRECT_SHAPE, other_shape
from runtime.device.kernel.predecessor import SIDE_WORD
from runtime.device.owners import foreign_owner
from runtime.device.target import TargetError

LOG = logging.getLogger("turnout.device")
_LINK = re.compile(r"(?:port|away)_[0-9]+")
_PIPELINE = re.compile(r"pipeline_[0-9]+")
_KINDS = {"bpf-map": "a map", "bpf-prog": "a program", "bpf_link": "a link", "bpf-link": "a link"}
_TYPES = {
    MapKind.HASH: MapType.HASH,
    MapKind.ARRAY: MapType.ARRAY,
    MapKind.LPM_TRIE: MapType.LPM_TRIE,
    MapKind.PERCPU_ARRAY: MapType.PERCPU_ARRAY,
}
_SHAPES = {
    shape.name: shape for shape in (DISPATCH_SHAPE, WHOLE_SHAPE, EGRESS_SHAPE, DIRECT_SHAPE, other_shape(MOST_OTHERS))
}


def check_pins(pins: Path) -> None:
    """Whether a device can go on with what is there; says what it leaves alone. Raises `TargetError`, `BpfError`."""
    names = sorted(path.name for path in pins.iterdir() if "." not in path.name)
    wrong = [*_of_others(pins, names), *(found for name in names if (found := _wrong(pins / name)) is not None)]
    if wrong:
        raise TargetError(
            f"{pins} holds what no device of Turnout leaves: {'; '.join(wrong)}; nothing is changed, packets pass as "
            "they did; --clean removes all of it"
        )
    strange = [name for name in names if not _is_ours(name)]
    if strange:
        LOG.warning("%s: what is no pin of this device is left as it is: %s", pins, ", ".join(strange))


def without_foreign(pipeline: Pipeline, maps: dict[str, Map], place: str) -> dict[str, Map]:
    """Those of a pipeline's pins that are of its maps' shapes, or of no map that it knows of. Closes the others."""
    plan = layout(pipeline)
    beside = (held for store in plan.stores for held in maps_beside(store))
    wanted = {held.name: held for held in (*plan.maps, *beside, SIDE_WORD)}
    for name, held in list(maps.items()):
        if name in wanted and not _fits(wanted[name], held.details):
            LOG.warning("the pin %s of %s is passed over: it is %s", name, place, _told(held.details))
            maps.pop(name).close()
    return maps


def pinned_maps(folder: Path) -> Iterator[tuple[str, Map]]:
    """The maps that are pinned in a folder, by their names; the caller closes them. Says what else is there."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            LOG.warning("the pin %s of %s is passed over: it is a folder", path.name, folder.name)
            continue
        with _opened(path) as fd:
            kind = _kind(fd)
        if kind == "a map":
            yield path.name, Map.pinned(path)
        else:
            LOG.warning("the pin %s of %s is passed over: it is %s", path.name, folder.name, kind)


def is_place(name: str) -> bool:
    """Whether a folder of this name is a pipeline's."""
    return _PIPELINE.fullmatch(name) is not None


def _of_others(pins: Path, names: list[str]) -> list[str]:
    ours = [pins / name for name in names if _is_ours(name)]
    inside = [path for folder in ours if folder.is_dir() for path in sorted(folder.iterdir())]
    found = ((path, foreign_owner(path)) for path in (pins, *ours, *inside))
    return [f"{path.relative_to(pins)} belongs to user {owner}" for path, owner in found if owner is not None]


def _is_ours(name: str) -> bool:
    return name in _SHAPES or _LINK.fullmatch(name) is not None or is_place(name)


def _wrong(path: Path) -> str | None:
    """What a pin of the device is and should be, if these are not the same."""
    shape, is_link = _SHAPES.get(path.name), _LINK.fullmatch(path.name) is not None
    if is_place(path.name):
        return None if path.is_dir() else f"{path.name} is no folder"
    if shape is None and not is_link:
        return None
    if path.is_dir():
        return f"{path.name} is a folder, not {'a link' if shape is None else _told(shape)}"
    with _opened(path) as fd:
        kind = _kind(fd)
    if shape is None:
        return None if kind == "a link" else f"{path.name} is {_whole(path, kind)}, not a link"
    found = _whole(path, kind)
    return None if found == _told(shape) else f"{path.name} is {found}, not {_told(shape)}"


def _whole(path: Path, kind: str) -> str:
    if kind != "a map":
        return kind
    with Map.pinned(path) as held:
        return _told(held.details)


@contextmanager
def _opened(path: Path) -> Generator[int]:
    fd = check(libbpf().bpf_obj_get(os.fsencode(path)), f"open pin {path}")
    try:
        yield fd
    finally:
        os.close(fd)


def _kind(fd: int) -> str:
    name = str(Path(f"/proc/self/fd/{fd}").readlink()).removeprefix("anon_inode:").strip("[]")
    return _KINDS.get(name, f"something else ({name})")


def _fits(wanted: MapLayout, found: MapDetails) -> bool:
    shape = found.type, found.key_size, found.value_size, found.max_entries
    return shape == (_TYPES[wanted.kind], wanted.key_size, wanted.value_size, wanted.max_entries)


def _told(shape: MapShape | MapDetails) -> str:
    kind = MapType(shape.type).name.lower() if shape.type in set(MapType) else str(shape.type)
    return (
        f"a map of type {kind} with keys of {shape.key_size} and values of {shape.value_size} bytes, "
        f"{shape.max_entries} at most"
    )
