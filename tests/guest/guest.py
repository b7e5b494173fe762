"""A guest with Debian 12's kernel: virtme-ng boots it on this machine's root file system, and runs a command there.

Under emulation, since that kernel hangs with KVM on some hosts, so it is ten to twenty times slower than the machine.
What the guest writes is lost, save below the folders that it is given to write to.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

KERNELS = Path("/boot")
MEMORY = "2G"
HOW_TO_INSTALL = "TURNOUT_GUEST=1 ./setup installs it"


def missing() -> str:
    """Why there can be no guest, empty when there can."""
    if platform.machine() != "x86_64":
        return "not installable: a guest with Debian's kernel is for x86_64 alone so far"
    tools = ("qemu-system-x86_64", "busybox", "modprobe")
    for tool in tools:
        if shutil.which(tool) is None:
            return f"{tool} is not there; {HOW_TO_INSTALL}"
    if not _vng().is_file():
        return "virtme-ng is not there; ./setup installs it"
    return "" if kernel_image() else f"there is no {KERNELS}/vmlinuz-6.1.*; {HOW_TO_INSTALL}"


def kernel_image() -> Path | None:
    """Debian 12's kernel, the newest when several are there."""
    found = [path for path in KERNELS.glob("vmlinuz-6.1.*-amd64") if "cloud" not in path.name]
    return max(found, key=_numbers, default=None)


def _numbers(path: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", path.name))


def _vng() -> Path:
    return Path(sys.executable).parent / "vng"


def run(
    command: Sequence[str], *, writable: Sequence[Path], timeout_s: int, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in a new guest, from the present folder; folders are writable. Raises `TimeoutExpired`.

    The status is the guest's, not the command's: let the command write what it has to say to a file.
    """
    image = kernel_image()
    assert image is not None, missing()
    inside = shlex.join(("env", *_assignments(environment or {}), *command))
    asked = [str(_vng()), "--run", str(image), *_options(writable), "--", inside]
    path = f"{_vng().parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        asked,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout_s,
    )


def _options(writable: Sequence[Path]) -> Iterator[str]:
    yield from ("--disable-kvm", "--force-9p", "--memory", MEMORY)
    yield from (f"--rwdir={folder}" for folder in writable)


def _assignments(environment: Mapping[str, str]) -> Iterator[str]:
    yield from (f"{name}={value}" for name, value in environment.items())
