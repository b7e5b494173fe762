"""A refusal with the canonical code that P4Runtime asks for, raised anywhere below the RPCs and told by them.

Texts name the table, the field and the value, so that a controller's log alone is enough to find the mistake.
"""

from __future__ import annotations

from enum import IntEnum

from finsy.proto import p4r, rpc_code

MAX_TEXT = 600
"""Characters of a text: what a client has sent may be megabytes, and is shown in part."""
SPACE = "turnout"
"""`p4.v1.Error.space` of every refusal."""


class Code(IntEnum):
    """Canonical codes (google/rpc/code.proto), the ones that the device gives."""

    OK = rpc_code.OK
    UNKNOWN = rpc_code.UNKNOWN
    INVALID_ARGUMENT = rpc_code.INVALID_ARGUMENT
    DEADLINE_EXCEEDED = rpc_code.DEADLINE_EXCEEDED
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


class RefusedError(Exception):
    """One update, one read request or one whole RPC that is refused."""

    def __init__(self, code: Code, text: str) -> None:
        self.code = code
        self.text = text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}... ({len(text)} characters)"
        super().__init__(self.text)

    def to_p4_error(self) -> p4r.Error:
        return p4r.Error(canonical_code=int(self.code), message=self.text, space=SPACE, code=int(self.code))


def invalid(text: str) -> RefusedError:
    return RefusedError(Code.INVALID_ARGUMENT, text)


def not_found(text: str) -> RefusedError:
    return RefusedError(Code.NOT_FOUND, text)


def exists(text: str) -> RefusedError:
    return RefusedError(Code.ALREADY_EXISTS, text)


def denied(text: str) -> RefusedError:
    return RefusedError(Code.PERMISSION_DENIED, text)


def exhausted(text: str) -> RefusedError:
    return RefusedError(Code.RESOURCE_EXHAUSTED, text)


def precondition(text: str) -> RefusedError:
    return RefusedError(Code.FAILED_PRECONDITION, text)


def out_of_range(text: str) -> RefusedError:
    return RefusedError(Code.OUT_OF_RANGE, text)


def unimplemented(text: str) -> RefusedError:
    return RefusedError(Code.UNIMPLEMENTED, text)


def aborted(text: str) -> RefusedError:
    return RefusedError(Code.ABORTED, text)


def internal(text: str) -> RefusedError:
    return RefusedError(Code.INTERNAL, text)
