"""Who calls, and whether it may at all: what is asked before anything of the device's state is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runtime.device.refusals import RefusedError, not_found
from runtime.device.rights import ANYBODY, Peer, Rights, certificate_names


@dataclass(frozen=True, slots=True)
class Callers:
    """Of one device. `rights` None gives everybody every right. gRPC's context is untyped, as its stubs mix servers."""

    device_id: int
    rights: Rights | None

    def peer(self, context: Any) -> Peer:
        """Raises PERMISSION_DENIED for a client without any right."""
        if self.rights is None:
            return ANYBODY
        names = certificate_names(context.auth_context())
        return ANYBODY if names is None else self.rights.of(names)

    def check(self, device_id: int, context: Any) -> None:
        """Whether a client may read at all, and means this device. Raises PERMISSION_DENIED, NOT_FOUND."""
        self.peer(context)
        if device_id != self.device_id:
            raise self.unknown_device(device_id)

    def unknown_device(self, device_id: int) -> RefusedError:
        return not_found(f"there is no device {device_id} here, only {self.device_id}")
