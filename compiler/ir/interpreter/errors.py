"""Why a model refuses a change. Each class carries the canonical gRPC code that a P4Runtime server answers with."""

from __future__ import annotations

from typing import ClassVar


class ModelError(Exception):
    """A refused change or read; the message names the thing. Nothing has been changed."""

    code: ClassVar[str] = "UNKNOWN"


class NotFound(ModelError):  # noqa: N818 - named after the canonical codes
    code = "NOT_FOUND"


class AlreadyExists(ModelError):  # noqa: N818 - named after the canonical codes
    code = "ALREADY_EXISTS"


class InvalidEntry(ModelError):  # noqa: N818 - named after the canonical codes
    """What the pipeline can never take: an unknown name, a value that does not fit, the wrong number of values."""

    code = "INVALID_ARGUMENT"


class PermissionDenied(ModelError):  # noqa: N818 - named after the canonical codes
    """What the pipeline reserves: entries of learned tables, actions that are only a default."""

    code = "PERMISSION_DENIED"


class InUse(ModelError):  # noqa: N818 - named after the canonical codes
    """A member or group that something refers to."""

    code = "FAILED_PRECONDITION"


class TableFull(ModelError):  # noqa: N818 - named after the canonical codes
    """A table or selector has reached its size; `name` and `size` say which and how large it may grow."""

    code = "RESOURCE_EXHAUSTED"

    def __init__(self, message: str, *, name: str, size: int) -> None:
        super().__init__(message)
        self.name = name
        self.size = size
