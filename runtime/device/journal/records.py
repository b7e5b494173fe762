"""What the records of the journal say, and their bytes. Pure.

A WRITE or a CONFIG is written before anything changes, and an OUTCOME after it. One without an outcome was under way
when the device was killed; nobody has been told of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any, TypeAlias

from finsy.proto import p4r
from google.protobuf.message import DecodeError

from compiler.span import InternalError
from runtime.device import wirepatterns as wire
from runtime.device.journal.framing import HEAD_SIZE, FormatError, Frame

Write: TypeAlias = p4r.WriteRequest
Written: TypeAlias = bytes
"""A `Write` in its wire form."""


class Kind(IntEnum):
    """What a record is, in the file; `LOST` is in none."""

    LOST = 0
    DEVICE = 1
    WRITE = 2
    OUTCOME = 3
    CONFIG = 4
    HIDDEN = 5
    ELECTION = 6
    MOVED = 7
    END = 8
    ROLE = 9
    NAMED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """First in every file: whose journal it is. `hash_seed` is what programs and the device hash with."""

    boot_id: str
    target: str
    hash_seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of the last `Write` or `Config`: the positions of updates that took no effect; 0 for a config."""

    failed: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A pipeline config is to be saved or to run. Digests name files of the journal; `place` is the target's word."""

    action: str
    p4info: str
    device_config: str
    cookie: int | None
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """The id that the next action set of a selector begins with."""

    selector: str
    next_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Election:
    """The highest election id that a role has seen."""

    role: str
    election_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """The config that a role's primary gave last: its `Any` in hexadecimal, empty for none."""

    role: str
    config: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A config is in another place of the target now: what was in the old one was not there any more."""

    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """The number of a controller's value, in hexadecimal, in a space of `runtime.device.translation`."""

    space: str
    value: str
    number: int


@dataclass(frozen=True, slots=True)
class End:
    """Last in a snapshot: it is whole."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Writes and outcomes were here, and are damaged: of the last write before, it may have been the outcome."""


Record: TypeAlias = Device | Write | Written | Outcome | Config | Hidden | Election | Role | Moved | Named | End | Lost
_PLAIN: dict[Kind, type[Device | Config | Hidden | Election | Role | Moved | Named | End]] = {
    Kind.DEVICE: Device,
    Kind.CONFIG: Config,
    Kind.HIDDEN: Hidden,
    Kind.ELECTION: Election,
    Kind.ROLE: Role,
    Kind.MOVED: Moved,
    Kind.END: End,
    Kind.NAMED: Named,
}
_FIRST_WORDS = re.compile(rb'"(?:action|boot_id|next_id|config|election_id|new|number)": ')
"""The first key of each record of JSON."""
_UPDATES = p4r.WriteRequest.UPDATES_FIELD_NUMBER << 3 | wire.LENGTH
_KINDS = {made: kind for kind, made in _PLAIN.items()}


def written(raw: Written) -> Write:
    """Raises `FormatError`."""
    try:
        return p4r.WriteRequest.FromString(raw)
    except DecodeError as problem:
        raise FormatError(f"it has a write that cannot be read: {problem}") from problem


def encode(record: Record) -> tuple[Kind, bytes]:
    match record:
        case p4r.WriteRequest():
            return Kind.WRITE, record.SerializeToString()
        case bytes():
            return Kind.WRITE, record
        case Outcome():
            return Kind.OUTCOME, _bits(record.failed)
        case Lost():
            raise InternalError("what is lost is not written down")
        case _:
            return _KINDS[type(record)], json.dumps(asdict(record), sort_keys=True).encode()


def decode(frame: Frame) -> Record:
    """Raises `FormatError`: a record that this version does not know."""
    try:
        return _decoded(frame)
    except (ValueError, TypeError, DecodeError) as problem:
        raise FormatError(f"it has a record of kind {frame.kind} that cannot be read: {problem}") from problem


def _decoded(frame: Frame) -> Record:
    match frame.kind:
        case Kind.WRITE:
            return bytes(frame.body)
        case Kind.OUTCOME:
            return Outcome(failed=_positions(frame.body))
        case Kind.LOST:
            return Lost()
        case _ if frame.kind in _PLAIN:
            given: dict[str, Any] = json.loads(bytes(frame.body))
            return _PLAIN[Kind(frame.kind)](**given)
        case _:
            raise FormatError(f"it has a record of kind {frame.kind}, which this version of Turnout does not know")


def are_only_writes(lost: bytes) -> bool:
    """Whether damaged bytes, from a record's start on, were writes and outcomes alone: no pipeline, election or role.

    One wrong bit does not hide the others: their kind is told by the head of the first, and all have words of JSON.
    """
    is_plain = lost[HEAD_SIZE - 1 : HEAD_SIZE + 1] in {bytes((kind, ord("{"))) for kind in _PLAIN}
    return not is_plain and _FIRST_WORDS.search(lost) is None


def update_count(body: memoryview) -> int:
    """How many updates a `p4.v1.WriteRequest` has, without making a message of it: for telling how long a log is.

    Fields that the message does not know, which a client may send, can make it wrong.
    """
    raw, at, count = bytes(body), 0, 0
    with suppress(IndexError):
        while True:
            tag, size = raw[at], raw[at + 1]
            at += 2
            if size & 0x80:
                size, at = wire.varint_at(raw, at - 1)
            if tag == _UPDATES:
                count += 1
            if tag & 0x07 == wire.LENGTH:
                at += size
    return count


DONE = Outcome(failed=frozenset())
REFUSED = Outcome(failed=frozenset({0}))
"""Of a config."""


def outcome_of(outcomes: Sequence[object | None]) -> Outcome:
    """None stands for an update that took effect."""
    if outcomes.count(None) == len(outcomes):
        return DONE
    return Outcome(failed=frozenset(at for at, outcome in enumerate(outcomes) if outcome is not None))


def none_of(count: int) -> Outcome:
    """No update of a write took effect."""
    return Outcome(failed=frozenset(range(count)))


def _bits(positions: frozenset[int]) -> bytes:
    bits = bytearray(max(positions, default=-1) // 8 + 1)
    for position in positions:
        bits[position // 8] |= 1 << position % 8
    return bytes(bits)


def _positions(bits: memoryview) -> frozenset[int]:
    return frozenset(8 * at + bit for at, byte in enumerate(bits) for bit in range(8) if byte >> bit & 1)
