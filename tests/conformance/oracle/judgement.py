"""What may be answered to one update or one read request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum

from finsy.proto import rpc_code


class Code(IntEnum):
    """Canonical codes that the specification names."""

    OK = rpc_code.OK
    UNKNOWN = rpc_code.UNKNOWN
    INVALID_ARGUMENT = rpc_code.INVALID_ARGUMENT
    NOT_FOUND = rpc_code.NOT_FOUND
    ALREADY_EXISTS = rpc_code.ALREADY_EXISTS
    PERMISSION_DENIED = rpc_code.PERMISSION_DENIED
    RESOURCE_EXHAUSTED = rpc_code.RESOURCE_EXHAUSTED
    FAILED_PRECONDITION = rpc_code.FAILED_PRECONDITION
    ABORTED = rpc_code.ABORTED
    OUT_OF_RANGE = rpc_code.OUT_OF_RANGE
    UNIMPLEMENTED = rpc_code.UNIMPLEMENTED
    INTERNAL = rpc_code.INTERNAL
    UNAVAILABLE = rpc_code.UNAVAILABLE


UNKNOWN_ID = (Code.INVALID_ARGUMENT, Code.NOT_FOUND)
"""Of an id that P4Info does not have: malformed ("Write RPC"), and not there."""
BAD_BYTES = (Code.INVALID_ARGUMENT, Code.OUT_OF_RANGE)
"""Of a value that does not fit: "Match Format" and "Action Specification" say the first, "Bytestrings" the second."""


@dataclass(slots=True)
class Judgement:
    """Faults are collected one by one; a message with several may be answered with the code of any."""

    must: set[Code] = field(default_factory=set[Code])
    """Codes of faults that have to be refused."""
    may: set[Code] = field(default_factory=set[Code])
    """Codes by which a server may refuse what is not forbidden."""
    change: Callable[[], None] | None = None
    """What happens when it is accepted."""

    def refuse(self, *codes: Code) -> None:
        self.must.update(codes)

    def allow(self, *codes: Code) -> None:
        self.may.update(codes)

    def include(self, other: Judgement) -> bool:
        """Note the faults of a part. Whether it has none."""
        self.must |= other.must
        self.may |= other.may
        return not other.must

    @property
    def acceptable(self) -> frozenset[Code]:
        return frozenset(self.must | self.may if self.must else {Code.OK, *self.may})

    @property
    def is_refused(self) -> bool:
        return bool(self.must)
