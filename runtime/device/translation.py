"""Controllers' values and packets' numbers for each other (specification, "PSA Metadata Translation").

A *space* is what one translation is of: the ports of the device, or a URI, or a type without one. Ports are those of
the command line. In every other space the device finds numbers itself: a value that a controller writes for the first
time gets the lowest number that is free, never 0, which is what metadata holds at first. It keeps the number while
something has it, and afterwards until no other is left; so reads, packets and what packets have learned mean what they
meant.
The journal has all of it (`take_new`, `keep`). Not pure: decoding a value may give it a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from compiler.ir.controller import CPU_PORT
from compiler.ir.nodes import Pipeline
from compiler.ir.translation import TranslatedType
from runtime.device.bytestrings import shortest, shown, to_bytes, to_int
from runtime.device.portnames import PortNames
from runtime.device.referring import Targets
from runtime.device.refusals import exhausted, invalid

PORTS = "ports"
"""The space of all types of ports; in no URI, since those of other types begin with `=`."""
HIGHEST_PORT = CPU_PORT - 1
SHOWN_PORTS = 8


class Translation(Protocol):
    """Of one space, for values of one type."""

    def decode(self, data: bytes, where: str) -> int:
        """A controller's value. Raises INVALID_ARGUMENT, RESOURCE_EXHAUSTED."""
        ...

    def encode(self, number: int) -> bytes:
        """What a controller is told; the empty string, or 0, for a number that nobody has named."""
        ...

    def said(self, number: int) -> str:
        """A number for a text, by the controller's value."""
        ...


@dataclass(slots=True)
class Space:
    """Values and numbers of one translation, one to one."""

    name: str
    values: dict[bytes, int] = field(default_factory=lambda: {})
    names: dict[int, bytes] = field(default_factory=lambda: {})
    new: list[tuple[bytes, int]] = field(default_factory=lambda: [])
    """What the journal has not been told yet."""

    def put(self, value: bytes, number: int) -> None:
        """Value and number are each other's from now on, and nothing else's."""
        self.names.pop(self.values.pop(value, -1), None)
        self.values.pop(self.names.pop(number, b""), None)
        self.values[value], self.names[number] = number, value


@dataclass(slots=True)
class Found:
    """A space in which the device finds numbers."""

    space: Space
    type: TranslatedType
    numbers: Targets
    """Which are given, and how often each is in use; counted as references are."""
    recent: set[int] = field(default_factory=set[int])
    """Looked up since the last write was over: an update that is half read may need them."""

    def decode(self, data: bytes, where: str) -> int:
        value = _canonical(data, self.type, where)
        number = self.space.values.get(value)
        if number is None:
            number = self._free(where, value)
            self.keep(value, number)
            self.space.new.append((value, number))
        self.recent.add(number)
        return number

    def encode(self, number: int) -> bytes:
        return _told(self.space.names.get(number), self.type)

    def said(self, number: int) -> str:
        return _said(self.encode(number), self.type)

    def keep(self, value: bytes, number: int) -> None:
        """As it was in an earlier process, or as `decode` has found."""
        if 0 < number < 1 << self.type.width_bits:
            self.numbers.present[number,] = 1
            self.space.put(value, number)

    def _free(self, where: str, value: bytes) -> int:
        names, highest = self.space.names, (1 << self.type.width_bits) - 1
        if len(names) < highest:
            likely = len(names) + 1
            return likely if likely not in names else next(n for n in range(1, highest + 1) if n not in names)
        for number in names:  # the one that was given first
            if not self.numbers.used[number,] and number not in self.recent:
                return number
        said = _said(value, self.type)
        raise exhausted(f"{where}: all {highest} numbers of type {self.type.name} are in use, none is left for {said}")


@dataclass(slots=True)
class Ports:
    """The space of ports."""

    space: Space
    type: TranslatedType
    told: set[bytes] = field(default_factory=set[bytes])
    """Names that the journal has."""

    def decode(self, data: bytes, where: str) -> int:
        value = _canonical(data, self.type, where)
        number = self.space.values.get(value)
        if number is None:
            known = sorted(_said(one, self.type) for one in self.space.values)
            more = ", ..." if len(known) > SHOWN_PORTS else ""
            listed = ", ".join(known[:SHOWN_PORTS]) + more
            raise invalid(f"{where}: there is no port {_said(value, self.type)}; the ports are {listed}")
        if number >> self.type.width_bits:
            raise invalid(
                f"{where}: port {_said(value, self.type)} is {number}, which type {self.type.name} cannot hold"
            )
        if value not in self.told:
            self.told.add(value)
            self.space.new.append((value, number))
        return number

    def encode(self, number: int) -> bytes:
        return _told(self.space.names.get(number), self.type)

    def said(self, number: int) -> str:
        return _said(self.encode(number), self.type)

    def decode_number(self, number: int, field: str, where: str) -> int:
        """A port in one of the fields that were numbers before P4Runtime 1.4. Raises INVALID_ARGUMENT."""
        if self.type.sdn_bits is None:
            raise invalid(f"{where}: {field} {number}: ports have names here, which only the field for bytes can carry")
        return self.decode(to_bytes(number), where)

    def encode_number(self, port: int, most: int) -> int | None:
        """None for a port that has no number up to `most`."""
        number = int.from_bytes(self.encode(port), "big") if self.type.sdn_bits is not None else 0
        return number if 0 < number <= most else None

    def keep(self, value: bytes, number: int) -> None:
        """A port of an earlier process: where it is none now, it keeps its number, or gets one that nothing has."""
        self.told.add(value)
        if value not in self.space.values:
            names = self.space.names
            free = number if number not in names else next(n for n in range(HIGHEST_PORT, 0, -1) if n not in names)
            self.space.put(value, free)


@dataclass(frozen=True, slots=True)
class Translations:
    """Of one pipeline with what was written into it."""

    types: Mapping[str, Found | Ports]
    """By the names of types; those of one space share it."""

    @property
    def ports(self) -> Ports | None:
        """For the fields of P4Runtime that are ports by themselves: replicas, ports that are watched.

        None where ports are the device's numbers to controllers as well; the first where types of ports differ.
        """
        return next((one for one in self.types.values() if isinstance(one, Ports)), None)

    @property
    def numbers(self) -> Mapping[str, Targets]:
        """Those that the device finds, by type."""
        return {name: one.numbers for name, one in self.types.items() if isinstance(one, Found)}

    def take_new(self) -> list[tuple[str, bytes, int]]:
        """A write is over: what the journal is to be told, as space, value and number."""
        found: list[tuple[str, bytes, int]] = []
        for space in self._spaces():
            found += ((space.name, value, number) for value, number in space.new)
            space.new.clear()
        for one in self.types.values():
            if isinstance(one, Found):
                one.recent.clear()
        return found

    def all(self) -> list[tuple[str, bytes, int]]:
        """What a snapshot of the journal has: every number that was found, every port that was named."""
        found: list[tuple[str, bytes, int]] = []
        for name, one in self._by_space().items():
            told = one.space.values if isinstance(one, Found) else [v for v in one.space.values if v in one.told]
            found += ((name, value, one.space.values[value]) for value in told)
        return found

    def keep(self, space: str, value: bytes, number: int) -> None:
        """As an earlier process, or another pipeline, had it; nothing where there is no such space."""
        one = self._by_space().get(space)
        if one is not None:
            one.keep(value, number)

    def _by_space(self) -> dict[str, Found | Ports]:
        return {one.space.name: one for one in self.types.values()}

    def _spaces(self) -> Iterator[Space]:
        return iter({id(one.space): one.space for one in self.types.values()}.values())


NO_TRANSLATIONS = Translations({})


def translations(pipeline: Pipeline, ports: PortNames) -> Translations:
    """With no number found yet."""
    made: dict[str, Found | Ports] = {}
    spaces: dict[str, Found | Ports] = {}
    for one in pipeline.types:
        name = PORTS if one.is_port else f"={one.space}"
        like = spaces.get(name)
        if one.is_port:
            made[one.name] = (
                Ports(like.space, one, like.told) if isinstance(like, Ports) else Ports(_ports(one, ports), one)
            )
        elif isinstance(like, Found):
            made[one.name] = like
        else:
            made[one.name] = Found(Space(name), one, Targets(f"type {one.name}", ("number",)))
        spaces.setdefault(name, made[one.name])
    return Translations(made)


def _ports(given: TranslatedType, ports: PortNames) -> Space:
    space = Space(PORTS)
    for port in ports.ports:
        value = port.name.encode() if given.sdn_bits is None else to_bytes(port.sdn)
        if given.sdn_bits is None or not port.sdn >> given.sdn_bits:
            space.put(value, port.id)
    return space


def _canonical(data: bytes, given: TranslatedType, where: str) -> bytes:
    if given.sdn_bits is None:
        if not data:
            raise invalid(f"{where}: the value is empty")
        return data
    to_int(data, given.sdn_bits, where)
    return shortest(data)


def _told(value: bytes | None, given: TranslatedType) -> bytes:
    if value is not None:
        return value
    return b"" if given.sdn_bits is None else to_bytes(0)


def _said(value: bytes, given: TranslatedType) -> str:
    """A controller's value for a text."""
    if given.sdn_bits is not None:
        return str(int.from_bytes(value, "big"))
    return repr(value.decode()) if value.isascii() and value.decode().isprintable() else shown(value)
