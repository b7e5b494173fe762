"""What can go wrong between a client and a device, in words for the person who called."""

from __future__ import annotations


class ClientError(Exception):
    """Base of what this package raises; the text is fit to show as it is."""


class UnreachableError(ClientError):
    """No P4Runtime server answers at the address."""


class NotPrimaryError(ClientError):
    """Another client has a higher election id."""


class OtherPipelineError(ClientError):
    """The device runs a pipeline that the entries do not fit."""


class RejectedError(ClientError):
    """The device refused updates or a pipeline."""
