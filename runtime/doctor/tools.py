"""Programs that Turnout calls, or that the tour uses."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runtime.doctor.findings import Finding, Subject
from runtime.doctor.shellenvironment import shell_environment, shell_python

SEARCHED: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Beside PATH, which for ordinary users lacks the folders of ip and ethtool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    name: str
    package: str
    disables: str
    needed: bool = False


TOOLS: Final = (
    Tool(name="ip", package="iproute2", disables="turnout lab", needed=True),
    Tool(name="nsenter", package="util-linux", disables="turnout lab", needed=True),
    Tool(name="ethtool", package="ethtool", disables="turnout lab up --offloads off"),
    Tool(name="curl", package="curl", disables="the tour's requests"),
    Tool(name="iperf3", package="iperf3", disables="measuring throughput in the lab"),
    Tool(name="mkfs.ext4", package="e2fsprogs", disables="bounds of what containers write (--writable-size)"),
    Tool(name="bpftool", package="bpftool", disables="looking at loaded programs and maps by hand"),
    Tool(name="tcpdump", package="tcpdump", disables="looking at packets by hand"),
)


def tool_findings() -> tuple[Finding, ...]:
    return (*(tool_finding(tool) for tool in TOOLS), shell_finding(shell_environment()))


def tool_finding(tool: Tool) -> Finding:
    path = shutil.which(tool.name) or shutil.which(tool.name, path=SEARCHED)
    return Finding(
        subject=Subject.TOOL,
        name=tool.name,
        present=path is not None,
        needed=tool.needed,
        detail=path or "not found",
        disables=tool.disables,
        remedy=f"apt-get install {tool.package}, or ./setup",
    )


def shell_finding(environment: Path) -> Finding:
    python = shell_python(environment)
    return Finding(
        subject=Subject.TOOL,
        name="p4runtime-shell",
        present=python is not None,
        needed=False,
        detail=str(python or f"not in {environment}"),
        disables="turnout shell",
        remedy="./setup",
    )
