"""Every fault by its name."""

from __future__ import annotations

from runtime.verification.malformed import bytewise, errors, fields, ipv4, ipv6, links, tunnels
from runtime.verification.malformed.fault import Fault

FAULTS: tuple[Fault, ...] = (
    *bytewise.FAULTS,
    *fields.FAULTS,
    *ipv4.FAULTS,
    *ipv6.FAULTS,
    *links.FAULTS,
    *tunnels.FAULTS,
    *errors.FAULTS,
)
BY_NAME = {fault.name: fault for fault in FAULTS}
assert len(BY_NAME) == len(FAULTS)
