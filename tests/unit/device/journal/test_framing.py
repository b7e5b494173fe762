"""Whatever a kill leaves of a file, what was whole in it is found; and damage is not taken for that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.device.journal.framing import HEAD_SIZE, HEADER, FormatError, Tail, frame_head, scan

FRAMES = st.lists(st.tuples(st.integers(1, 255), st.binary(max_size=40)), max_size=6)


def written(frames: list[tuple[int, bytes]]) -> bytes:
    return HEADER + b"".join(frame_head(kind, body) + body for kind, body in frames)


def ends(frames: list[tuple[int, bytes]]) -> list[int]:
    """Where the file ends with none, one, ... of the records."""
    found = [len(HEADER)]
    for _, body in frames:
        found.append(found[-1] + HEAD_SIZE + len(body))
    return found


def found_in(data: bytes) -> list[tuple[int, bytes]]:
    return [(frame.kind, bytes(frame.body)) for frame in scan(data).frames]


@given(FRAMES, st.integers(0, 100))
def test_what_was_written_is_read(frames: list[tuple[int, bytes]], ahead: int) -> None:
    data = written(frames)
    result = scan(data + bytes(ahead))
    assert found_in(data + bytes(ahead)) == frames
    assert (result.end, result.tail) == (len(data), Tail.WHOLE)


@given(FRAMES, st.booleans())
def test_a_file_cut_at_each_byte(frames: list[tuple[int, bytes]], made_longer: bool) -> None:
    data, places = written(frames), ends(frames)
    for cut in range(len(data)):
        left = data[:cut] + bytes(len(data) - cut if made_longer else 0)
        count = sum(place <= cut for place in places[1:])
        result = scan(left)
        got = found_in(left)
        assert got[:count] == frames[:count]
        assert got in (frames[:count], frames[: count + 1])  # a record that ends in zeros is whole without them
        assert result.tail is not Tail.DAMAGED


@given(FRAMES.filter(lambda frames: len(frames) > 0), st.data())
def test_a_flipped_bit_loses_nothing_before_it(frames: list[tuple[int, bytes]], data: st.DataObject) -> None:
    whole = bytearray(written(frames))
    at = data.draw(st.integers(len(HEADER), len(whole) - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    count = sum(place <= at for place in ends(frames)[1:])
    assert found_in(bytes(whole)) == frames[:count]


def test_damage_with_more_behind_it_is_told_from_a_torn_tail() -> None:
    frames = [(1, b"one"), (2, b"two"), (3, b"three")]
    whole = bytearray(written(frames))
    whole[ends(frames)[1] + HEAD_SIZE] ^= 1
    assert (scan(bytes(whole)).tail, len(scan(bytes(whole)).frames)) == (Tail.DAMAGED, 1)
    torn = written(frames)[:-2]
    assert (scan(torn).tail, len(scan(torn).frames)) == (Tail.TORN, 2)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"#!/bin/sh\necho hello", "it is no journal of a Turnout device"),
        (b"TurnoutJ" + (2).to_bytes(4, "little"), "its format is 2, this version of Turnout reads 1"),
    ],
)
def test_what_is_no_journal(data: bytes, words: str) -> None:
    with pytest.raises(FormatError) as error:
        scan(data)
    assert str(error.value) == words
