"""The kinds of interface that the lab is made of, tried in a namespace that ends with the trial."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from runtime.doctor.findings import Finding, Subject
from runtime.doctor.tools import SEARCHED

_CLONE_NEWNET: Final = 0x40000000


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceKind:
    """`command` is the iproute2 command that makes one, `option` what the kernel is built with."""

    name: str
    command: str
    option: str
    disables: str
    needed: bool


KINDS: Final = (
    InterfaceKind(
        name="namespaces and veth",
        command="link add v0 type veth peer name v1",
        option="CONFIG_NET_NS, CONFIG_VETH",
        disables="turnout lab",
        needed=True,
    ),
    InterfaceKind(
        name="bridges",
        command="link add b0 type bridge",
        option="CONFIG_BRIDGE",
        disables="turnout lab",
        needed=True,
    ),
    InterfaceKind(
        name="vlan interfaces",
        command="link add link lo name v7 type vlan id 7",
        option="CONFIG_VLAN_8021Q",
        disables="workloads behind a port with a vlan, in turnout lab",
        needed=False,
    ),
)


def interface_findings() -> tuple[Finding, ...]:
    return tuple(_finding(kind) for kind in KINDS)


def _finding(kind: InterfaceKind) -> Finding:
    with ThreadPoolExecutor(max_workers=1) as thread:
        refusal = thread.submit(_try, kind.command.split()).result()
    return Finding(
        subject=Subject.KERNEL,
        name=kind.name,
        present=refusal is None,
        needed=kind.needed,
        detail=refusal or "made one",
        disables=kind.disables,
        remedy=f"run as root; a kernel with {kind.option}",
    )


def _try(command: list[str]) -> str | None:
    """Run iproute2 in a namespace of this thread's own; why it failed, or None. The namespace ends with the thread."""
    program = shutil.which("ip") or shutil.which("ip", path=SEARCHED)
    if program is None:
        return "not tried, for want of ip"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        return f"no new namespace: {os.strerror(ctypes.get_errno())}"
    run = subprocess.run([program, *command], capture_output=True, text=True, check=False)
    return None if run.returncode == 0 else run.stderr.strip()
