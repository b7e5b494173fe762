"""The links that an earlier process pinned, one for each port, brought to the ports of this one.

Only the name of a pin says which port a link is; the link itself is on an interface. So a port that has another number
now keeps its link under another name, and its packets never miss a program.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from runtime.bpf.bpffs import remove_pin
from runtime.bpf.library import LinkInfo, check, libbpf, read_info
from runtime.device.kernel.ports import Port, PortSpec

LOG = logging.getLogger("turnout.device")
_PREFIX, _AWAY = "port_", "away_"


def pin_of(pins: Path, port: int) -> Path:
    return pins / f"{_PREFIX}{port}"


def pinned_ports(pins: Path) -> dict[int, int]:
    """Interface indices by port; 0 where the interface has gone. Raises `KernelRefusal`."""
    return {int(path.name.removeprefix(_PREFIX)): _interface_of(path) for path in _numbered(pins, _PREFIX)}


def arrange(pins: Path, ports: Iterable[Port], specs: Iterable[PortSpec]) -> None:
    """Rename pins so that each link has the name of its port, and remove what is no port's. Says what has changed."""
    _bring_back(pins)
    before = pinned_ports(pins)
    port_of = {port.ifindex: port for port in ports}
    wanted = {spec.id for spec in specs}
    moved = {old: port_of[index] for old, index in before.items() if index in port_of and port_of[index].id != old}
    for old in moved:
        pin_of(pins, old).rename(pins / f"{_AWAY}{old}")
    for old, index in before.items():
        if old not in moved and (index not in port_of):
            _remove(pins, old, index, is_port=old in wanted)
    for old, port in moved.items():
        (pins / f"{_AWAY}{old}").rename(pin_of(pins, port.id))
        LOG.warning("interface %s was port %d, it is port %d now", port.interface, old, port.id)


def _bring_back(pins: Path) -> None:
    """A process that was killed while it renamed: any name will do, `arrange` finds the right one."""
    for path in list(_numbered(pins, _AWAY)):
        free = next(number for number in range(1, 1 << 16) if not pin_of(pins, number).exists())
        path.rename(pin_of(pins, free))


def _numbered(pins: Path, prefix: str) -> Iterator[Path]:
    return (path for path in pins.glob(f"{prefix}[0-9]*") if path.name.removeprefix(prefix).isdecimal())


def _remove(pins: Path, port: int, ifindex: int, *, is_port: bool) -> None:
    path = pin_of(pins, port)
    if not ifindex:
        LOG.warning("the interface of port %d has gone since", port)
    elif is_port:
        LOG.warning("port %d is another interface now (it was the one with index %d)", port, ifindex)
    else:
        LOG.warning("port %d is none any more: its interface (index %d) is let go", port, ifindex)
    remove_pin(path)


def _interface_of(path: Path) -> int:
    fd = check(libbpf().bpf_obj_get(os.fsencode(path)), f"open pinned link {path}")
    try:
        info = LinkInfo()
        read_info(fd, info, f"ask about link {path}")
    finally:
        os.close(fd)
    return info.ifindex
