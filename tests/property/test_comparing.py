"""Whatever both sides of a map hold, and in whichever pieces it is told what they should hold: afterwards they do."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from compiler.printers.layout_maps import SIDES, MapKind, MapLayout, sided_array
from runtime.device.kernel.comparing import Changes, comparison

HASH = MapLayout(name="hash", kind=MapKind.HASH, key_size=3, value_size=2, max_entries=16, side_at=1)
ARRAY = sided_array("array", 2, 8)
Side = dict[int, bytes]
sides = st.dictionaries(st.integers(0, 7), st.sampled_from([b"ab", b"cd", b"ef"]), max_size=8)


def key_of(layout: MapLayout, number: int) -> bytes:
    return bytes((number, 0, 9)) if layout is HASH else number.to_bytes(4, "little")


def buffers(layout: MapLayout, held: tuple[Side, Side]) -> tuple[bytes, bytes]:
    """As the kernel gives a map."""
    if layout is HASH:
        found = [
            (layout.on_side(key_of(layout, at), side), held[side][at]) for side in range(SIDES) for at in held[side]
        ]
        return b"".join(key for key, _ in found), b"".join(value for _, value in found)
    values = [held[side].get(at, bytes(2)) for side in range(SIDES) for at in range(8)]
    return b"".join(at.to_bytes(4, "little") for at in range(16)), b"".join(values)


def changed(held: Changes, changes: Changes) -> Changes:
    return {key: value for key, value in (held | changes).items() if value is not None}


@given(
    layout=st.sampled_from([HASH, ARRAY]),
    held=st.tuples(sides, sides),
    pieces=st.lists(st.dictionaries(st.integers(0, 7), st.sampled_from([b"ab", b"cd", None]), max_size=4), max_size=4),
    read=st.integers(0, 1),
)
def test_both_sides_become_what_is_wanted(
    layout: MapLayout, held: tuple[Side, Side], pieces: list[dict[int, bytes | None]], read: int
) -> None:
    compared = comparison(layout, buffers(layout, held), read)
    wanted: Changes = {}
    for piece in pieces:
        taken: Changes = {key_of(layout, at): value for at, value in piece.items()}
        compared.take(taken)
        wanted |= taken
    there: list[Changes] = [{key_of(layout, at): value for at, value in side.items()} for side in held]
    found = compared.finish()
    for side, changes in zip((read, 1 - read), found, strict=True):
        assert changed(there[side], changes) == changed({}, wanted)
        assert all(there[side].get(key) != value for key, value in changes.items()), "nothing is written that is right"
