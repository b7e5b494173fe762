"""Names for namespaces and interfaces: readable, short enough for the kernel, and never the same for two things.

Characters that a policy cannot use keep the parts apart: a lab and a namespace have no dot, no name has a tilde.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from runtime.lab.errors import LabError

LONGEST_LAB: Final = 20
LONGEST_INTERFACE: Final = 15
"""IFNAMSIZ less the closing zero."""
LONGEST_NAMESPACE: Final = 200
"""A file name below /run/netns; the kernel's limit is 255 bytes."""
MANAGEMENT: Final = "mgmt0"
"""The DPU's end of the link to its host."""
_TAKEN: Final = frozenset({"lo", "all", "default", "bonding_masters", MANAGEMENT})
"""Interfaces that exist, or names that sysctl and sysfs use for something else."""


def check_lab_name(lab: str) -> str:
    """Hand back a name for a lab. Raises `LabError` for one that cannot be part of a namespace's name."""
    if len(lab) > LONGEST_LAB or not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", lab):
        raise LabError(
            f"'{lab}' cannot be the name of a lab",
            hint=f"lower-case letters, digits and '-' inside, at most {LONGEST_LAB}",
        )
    return lab


def _shortened(name: str, longest: int, digits: int) -> str:
    """`name`, or its beginning and a digest of all of it."""
    if len(name) <= longest:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:digits]
    return f"{name[: longest - digits - 1]}~{digest}"


def namespace_name(lab: str, *parts: str) -> str:
    """The namespace of a member. Of `parts` only the last may hold dots."""
    return _shortened(".".join((f"tn-{lab}", *parts)), LONGEST_NAMESPACE, 16)


def interface_name(port: str) -> str:
    """The interface of a port in the DPU's namespace: the port's own name wherever the kernel takes it."""
    if port in _TAKEN:
        return f"{port[:6]}~"
    return _shortened(port, LONGEST_INTERFACE, 8)
