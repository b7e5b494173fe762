"""The names and numbers that controllers have for ports, as the device's command line gives them. Pure.

The specification's mapping in the switch's configuration ("Translation of Port Numbers"). A port is known by the name
of its interface and by its own number, unless others are given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from compiler.ir.controller import CPU_PORT

CPU_NAME, SDN_CPU = "cpu", 0xFFFFFFFD
"""The controller's own port; the number is P4Runtime's `SDN_PORT_CPU`."""
SDN_HIGHEST = 0xFFFFFEFF
"""`SDN_PORT_MAX`."""
_PORT = re.compile(r"(?P<id>[0-9]+)=(?P<interface>[^,=/\s]+)")
_NAME, _NUMBER = re.compile(r"name=(?P<name>[^,=\s]+)"), re.compile(r"sdn=(?P<sdn>0x[0-9a-fA-F]+|[0-9]+)")


NamedPort: TypeAlias = tuple[str, str | None, int | None]
"""A port without its name and number, and what they are, where they are given."""


class PortNameError(Exception):
    """A name or number that cannot be meant; the text is fit to print."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortName:
    """What controllers call the port `id`."""

    id: int
    name: str
    sdn: int


CPU = PortName(id=CPU_PORT, name=CPU_NAME, sdn=SDN_CPU)


@dataclass(frozen=True, slots=True)
class PortNames:
    """All of a device's ports."""

    ports: tuple[PortName, ...] = ()


NO_PORTS = PortNames((CPU,))


def split_names(text: str) -> NamedPort:
    """A `--port` without its `,name=NAME` and `,sdn=NUMBER`, and both. Raises `PortNameError`."""
    rest: list[str] = []
    name: str | None = None
    sdn: int | None = None
    for part in text.split(","):
        if (found := _NAME.fullmatch(part)) is not None and name is None:
            name = found["name"]
        elif (found := _NUMBER.fullmatch(part)) is not None and sdn is None:
            sdn = int(found["sdn"], 0)
        elif part.startswith(("name=", "sdn=")):
            raise PortNameError(f"port {text}: {part} is no name or number, or the second one")
        else:
            rest.append(part)
    return ",".join(rest), name, sdn


def port_names(split: Iterable[NamedPort]) -> PortNames:
    """Of what `split_names` gives. Raises `PortNameError`, also for a name or a number given twice."""
    ports = [_port_name(*one) for one in split]
    for port in ports:
        if not 1 <= port.sdn <= SDN_HIGHEST:
            raise PortNameError(f"port {port.id}: number {port.sdn} is not within 1 to {SDN_HIGHEST:#x}")
        if port.name == CPU_NAME:
            raise PortNameError(f"port {port.id}: the name {CPU_NAME} is the controller's; give another by name=")
        for other in ports:
            if other is not port and other.name == port.name:
                raise PortNameError(f"ports {port.id} and {other.id} have the name {port.name}")
            if other is not port and other.sdn == port.sdn:
                raise PortNameError(f"ports {port.id} and {other.id} have the number {port.sdn}")
    return PortNames((*ports, CPU))


def _port_name(text: str, name: str | None, sdn: int | None) -> PortName:
    found = _PORT.match(text)
    if found is None:
        raise PortNameError(f"a port is ID=INTERFACE, and what may stand behind it, not {text!r}")
    number = int(found["id"])
    return PortName(id=number, name=name or found["interface"], sdn=number if sdn is None else sdn)
