"""One packet in parts: the fields of its valid headers, and the bytes behind them.

Bytes and numbers only; what statements mean is in `statements`, how checksums follow is in `rewriting`.
"""

from __future__ import annotations

from collections.abc import Iterator

from compiler.ir.headers import HeaderType
from compiler.ir.names import Names
from compiler.span import InternalError


class TooShortError(Exception):
    """The packet ends before what the parser wants: it is left untouched."""


class Packet:
    """Headers are emitted in the pipeline's header order, then `payload`."""

    def __init__(self, names: Names, received: bytes, segment_bytes: int = 0) -> None:
        self._names = names
        self.received = received
        self.segment_bytes = segment_bytes
        """Of payload in each segment that this packet will become, 0 if it stays one."""
        self.fields: dict[str, dict[str, int]] = {}
        """The fields of each valid header."""
        self.payload = received

    def is_valid(self, header: str) -> bool:
        return header in self.fields

    def header_type(self, header: str) -> HeaderType:
        return self._names.header_types[header]

    def size_bytes(self, header: str) -> int:
        return self.header_type(header).width_bits // 8

    def extract(self, header: str) -> None:
        """Take a header off the front of the payload. Raises `TooShortError`."""
        size = self.size_bytes(header)
        if len(self.payload) < size:
            raise TooShortError
        self.fields[header] = self._unpack(header, self.payload[:size])
        self.payload = self.payload[size:]

    def peek(self, offset_bits: int, width_bits: int) -> int:
        """Bits of the payload in wire order. Raises `TooShortError`."""
        end = offset_bits + width_bits
        if 8 * len(self.payload) < end:
            raise TooShortError
        last = (end + 7) // 8
        number = int.from_bytes(self.payload[:last], "big")
        return number >> (8 * last - end) & ((1 << width_bits) - 1)

    def read(self, header: str, name: str) -> int:
        if header not in self.fields:
            raise InternalError(f"{header}.{name} is read where {header} is not valid")
        return self.fields[header][name]

    def write(self, header: str, name: str, value: int) -> None:
        if header not in self.fields:
            raise InternalError(f"{header}.{name} is set where {header} is not valid")
        self.fields[header][name] = value

    def add(self, header: str, values: dict[str, int]) -> None:
        """Make a header valid; fields without a value are 0."""
        if header in self.fields:
            raise InternalError(f"{header} is pushed where it is valid")
        self.fields[header] = {f.name: values.get(f.name, 0) for f in self.header_type(header).fields}

    def remove(self, header: str) -> dict[str, int]:
        if header not in self.fields:
            raise InternalError(f"{header} is popped where it is not valid")
        return self.fields.pop(header)

    def truncate(self, header: str, keep_bytes: int) -> None:
        """Keep so many bytes from `header` on; a header that is cut through is payload from then on."""
        if header not in self.fields:
            raise InternalError(f"{header} is truncated at where it is not valid")
        kept, offset = self.emit(header)[:keep_bytes], 0
        for name in tuple(self._valid_from(header)):
            end = offset + self.size_bytes(name)
            if end > len(kept):
                del self.fields[name]
            else:
                offset = end
        self.payload = kept[offset:]

    def header_bytes(self, header: str) -> bytes:
        number = 0
        for f in self.header_type(header).fields:
            number = number << f.width_bits | self.fields[header][f.name]
        return number.to_bytes(self.size_bytes(header), "big")

    def emit(self, first: str | None = None) -> bytes:
        """The bytes of the packet, from the first byte of header `first` on or all."""
        return b"".join(self.header_bytes(name) for name in self._valid_from(first)) + self.payload

    def _valid_from(self, first: str | None) -> Iterator[str]:
        order = self._names.header_order
        start = 0 if first is None else order[first]
        return (name for name in sorted(self.fields, key=order.__getitem__) if order[name] >= start)

    def _unpack(self, header: str, data: bytes) -> dict[str, int]:
        number, left = int.from_bytes(data, "big"), 8 * len(data)
        values: dict[str, int] = {}
        for f in self.header_type(header).fields:
            left -= f.width_bits
            values[f.name] = number >> left & ((1 << f.width_bits) - 1)
        return values
