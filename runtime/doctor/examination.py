"""Everything the doctor looks at, in the order a person would fix it."""

from __future__ import annotations

from runtime.doctor.filesystems import filesystem_findings
from runtime.doctor.findings import Finding
from runtime.doctor.interfaces import interface_findings
from runtime.doctor.kernel import kernel_findings
from runtime.doctor.nodeports import node_port_findings
from runtime.doctor.rights import right_findings
from runtime.doctor.tools import tool_findings


def examine() -> tuple[Finding, ...]:
    """Look at rights, kernel and tools of this machine; takes a fraction of a second and leaves nothing behind."""
    return (
        *right_findings(),
        *kernel_findings(),
        *filesystem_findings(),
        *interface_findings(),
        *node_port_findings(),
        *tool_findings(),
    )
