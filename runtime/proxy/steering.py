"""What lets a proxy get packets that are addressed to others: the program of ebpf/steer.bpf.c, and routes.

Works on the namespace of the calling thread. Called by `runtime.proxy.keeping`.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final

from compiler.policy.policyset import Address
from compiler.printers.ebpf.printing import INCLUDE
from runtime.bpf.attach import Attachment, attach_tc
from runtime.bpf.object import LoadSettings, load
from runtime.bpf.queries import Hook
from runtime.bpf.toolchain import compile_c

SOURCE: Final = INCLUDE.parent / "steer.bpf.c"
TABLE: Final = 100
"""The routing table by which the stack takes packets to any address for its own."""


class SteeringError(Exception):
    """A command of iproute2 that failed, with its words."""


def steer(interface: str, addresses: Iterable[Address], port: int) -> Attachment:
    """Put the program on an interface; it is gone when the attachment is closed.

    Raises as `runtime.bpf` does, OSError for an interface that is not there.
    """
    own = {address.version: address for address in addresses}
    elf = compile_c(SOURCE.read_text(), name=SOURCE.name, include_dirs=(INCLUDE,))
    constants = {
        "own_ipv4": own.get(4, IPv4Address(0)).packed,
        "own_ipv6": own.get(6, IPv6Address(0)).packed,
        "listen_port": port.to_bytes(2, "big"),
    }
    with load(elf, LoadSettings(name="steer", constants=constants)) as loaded:
        return attach_tc(loaded.program("turnout_steer"), socket.if_nametoindex(interface), Hook.INGRESS)


def take_all(interface: str) -> None:
    """Let the stack take whatever comes in by the interface, whomever it is addressed to. Twice is fine."""
    for option in ("-4", "-6"):
        rules = ip(option, "rule", "show", "iif", interface).split("\n")
        if not any(f"lookup {TABLE}" in rule for rule in rules):
            ip(option, "rule", "add", "iif", interface, "lookup", str(TABLE))
        ip(option, "route", "replace", "local", "default", "dev", "lo", "table", str(TABLE))
    kept = Path(f"/proc/sys/net/ipv6/conf/{interface}/keep_addr_on_down")
    if kept.exists():
        kept.write_text("1")


def forget_ended_connections() -> None:
    """Keep no socket in TIME_WAIT in this namespace.

    A first segment that meets one is the stack's, which then looks for a listener at the address in the segment; there
    is none, so that a client which uses a port again would be heard a second later only. A program cannot take the
    socket away, and Linux lets none open a connection beside it. Without them a late segment of an ended connection is
    answered by a RST.
    """
    Path("/proc/sys/net/ipv4/tcp_max_tw_buckets").write_text("0")


def set_link(interface: str, gateways: Iterable[Address], *, is_up: bool) -> None:
    """Down: the device sees a port that is gone. Up: the routes that the kernel has removed are there again."""
    ip("link", "set", interface, "up" if is_up else "down")
    for gateway in gateways if is_up else ():
        everywhere = ("default", "via", str(gateway), "dev", interface, "onlink")
        ip(f"-{gateway.version}", "route", "replace", *everywhere)


def ip(*words: str) -> str:
    """What iproute2 prints. Raises `SteeringError`."""
    return _run(["ip", *words])


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SteeringError(f"`{' '.join(command)}`: {done.stderr.strip()}")
    return done.stdout
