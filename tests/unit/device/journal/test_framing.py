"""Whatever a kill leaves of a file, what was whole in it is found; and damage is not taken for that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.device.journal.framing import HEAD_SIZE, HEADER, FormatError, frame_head
from runtime.device.journal.scanning import Damage, Tail, scan

FRAMES = st.lists(st.tuples(st.integers(1, 31), st.binary(max_size=40)), max_size=6)


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
def test_a_flipped_bit_costs_one_record(frames: list[tuple[int, bytes]], data: st.DataObject) -> None:
    """And none when it is one of a length. Zeros at the end may be of the record, or room for the next."""
    whole = bytearray(written([*frames, (1, b"last")]))
    at = data.draw(st.integers(len(HEADER), ends(frames)[-1] - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    hit = sum(place <= at for place in ends(frames)[1:])
    is_length = at - ends(frames)[hit] < 4
    left = frames if is_length else frames[:hit] + frames[hit + 1 :]
    assert found_in(bytes(whole)) == [*left, (1, b"last")]
    start, end = ends(frames)[hit : hit + 2]
    assert scan(bytes(whole)).damage == (Damage(start, start if is_length else end),)


@given(st.lists(st.binary(min_size=1, max_size=200), min_size=3, max_size=12), st.data())
def test_zeros_where_records_were_cost_what_was_there(bodies: list[bytes], data: st.DataObject) -> None:
    frames = [(2, body) for body in bodies]
    whole, places = bytearray(written([*frames, (3, b"")])), ends(frames)
    first = data.draw(st.integers(len(HEADER), places[-1] - 1))
    length = data.draw(st.integers(1, places[-1] - first))
    whole[first : first + length] = bytes(length)
    before = sum(place <= first for place in places[1:])
    behind = sum(place < first + length for place in places)
    got = found_in(bytes(whole))
    assert got[:before] == frames[:before]
    assert got[len(got) - len(frames) + behind - 1 :] == [*frames[behind:], (3, b"")]


def test_damage_with_more_behind_it_is_told_from_a_torn_tail() -> None:
    frames = [(1, b"one"), (2, b"two"), (3, b"three")]
    whole = bytearray(written(frames))
    whole[ends(frames)[1] + HEAD_SIZE] ^= 1
    found = scan(bytes(whole))
    assert (found.tail, found_in(bytes(whole))) == (Tail.WHOLE, [frames[0], frames[2]])
    whole = bytearray(written(frames))
    whole[-1] ^= 1
    found = scan(bytes(whole) + bytes(100))
    assert (found.tail, len(found.frames), found.end) == (Tail.DAMAGED, 2, ends(frames)[2])
    torn = written(frames)[:-2]
    assert (scan(torn).tail, len(scan(torn).frames)) == (Tail.TORN, 2)


def test_records_that_a_client_has_put_into_its_own_are_none() -> None:
    """Of a record that is cut short nothing is taken, whatever it has."""
    inner = written([(4, b"pushed")])[len(HEADER) :]
    whole = written([(2, b"one"), (2, inner * 20 + b"end")])
    found = scan(whole[:-3] + bytes(3))
    assert (found.tail, found.damage, [bytes(frame.body) for frame in found.frames]) == (Tail.TORN, (), [b"one"])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"#!/bin/sh\necho hello", "it is no journal of a Turnout device"),
        (bytes(12) + b"more", "it is no journal of a Turnout device"),
        (b"TurnoutJ" + (2).to_bytes(4, "little"), "its format is 2, this version of Turnout reads 1"),
    ],
)
def test_what_is_no_journal(data: bytes, words: str) -> None:
    with pytest.raises(FormatError) as error:
        scan(data)
    assert str(error.value) == words
