"""What the figures were taken on. Without it an absolute time means nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from runtime.bpf.errors import ToolchainMissing
from runtime.bpf.toolchain import find_compiler

ROOT = Path(__file__).resolve().parents[2]


def machine() -> dict[str, str]:
    """Processor, kernel, compiler, revision, and how busy the machine was."""
    load = os.getloadavg()
    return {
        "processor": _cpu_field("model name") or platform.machine(),
        "cpus": str(os.cpu_count() or 0),
        "cache": _cpu_field("cache size"),
        "virtual": "yes" if "hypervisor" in _cpu_field("flags").split() else "no",
        "kernel": platform.release(),
        "jit": _read(Path("/proc/sys/net/core/bpf_jit_enable")) or "unknown",
        "compiler": _compiler(),
        "revision": _revision(),
        "load": f"{load[0]:.1f} {load[1]:.1f} {load[2]:.1f}",
    }


def free_memory_mb() -> int:
    """What programs could still take."""
    for line in _read(Path("/proc/meminfo")).splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    return 0


def one_line(found: dict[str, str]) -> str:
    where = "virtual machine" if found["virtual"] == "yes" else "bare metal"
    return (
        f"{found['processor']}, {found['cpus']} CPUs, {where}, Linux {found['kernel']}, {found['compiler']}, "
        f"revision {found['revision']}, load {found['load']}"
    )


def _cpu_field(name: str) -> str:
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""  # not every machine says it; the description then leaves it out


def _compiler() -> str:
    try:
        return find_compiler().version
    except ToolchainMissing:
        return "no compiler"


def _revision() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
