"""What the machine decides about programs of the printed C."""

from __future__ import annotations

import platform
from collections.abc import Mapping

from runtime.bpf.ticks import tick_constants


def machine_constants() -> Mapping[str, int]:
    """Constants by name. x86 never takes a later load before an earlier one; arm64 may."""
    return {"memory_is_unordered": int(platform.machine() not in ("x86_64", "AMD64")), **tick_constants()}
