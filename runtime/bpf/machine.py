"""What the processor decides about programs of the printed C."""

from __future__ import annotations

import platform
from collections.abc import Mapping

MACHINE_CONSTANTS: Mapping[str, int] = {"loads_are_unordered": int(platform.machine() not in ("x86_64", "AMD64"))}
"""Constants by name. x86 never takes a later load before an earlier one; arm64 may."""
