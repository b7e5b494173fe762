"""What this process may do: its effective capabilities (capabilities(7))."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runtime.doctor.findings import Finding, Subject

STATUS: Final = Path("/proc/self/status")


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """`bit` is its number in include/uapi/linux/capability.h."""

    name: str
    bit: int
    disables: str


CAPABILITIES: Final = (
    Capability(name="CAP_NET_ADMIN", bit=12, disables="attaching programs to ports; turnout lab"),
    Capability(name="CAP_SYS_ADMIN", bit=21, disables="namespaces of the lab; mounting a bpffs"),
    Capability(name="CAP_BPF", bit=39, disables="loading programs and making maps"),
)


def right_findings(status: Path = STATUS) -> tuple[Finding, ...]:
    effective = effective_capabilities(status.read_text())
    return tuple(right_finding(capability, effective) for capability in CAPABILITIES)


def effective_capabilities(status: str) -> int:
    """The bits of the line CapEff of /proc/PID/status (proc(5)). Raises ValueError when there is no such line."""
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            return int(value, 16)
    raise ValueError("the status of this process has no line CapEff")


def right_finding(capability: Capability, effective: int) -> Finding:
    present = bool(effective >> capability.bit & 1)
    return Finding(
        subject=Subject.RIGHT,
        name=capability.name,
        present=present,
        needed=True,
        detail="effective" if present else "not effective",
        disables=capability.disables,
        remedy="run as root, or with sudo",
    )
