"""Tar headers: USTAR, PAX, GNU and old V7, read as Go's archive/tar reads them, since containerd unpacks with that.

Pure: `TarParser` is handed the archive by a function that reads at an offset, and yields entries that say where their
bytes lie. Sizes of what is held in memory are bounded: extended headers, sparse maps, nothing else is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from agents.storage.wire.errors import TarError

ReadAt = Callable[[int, int], bytes]
"""(offset, length) -> at most length bytes; fewer only at the end."""

BLOCK: Final = 512
MAX_SPECIAL_BYTES: Final = 1 << 20
"""Longest extended header, long name or sparse map; what Go's reader takes."""

REGULAR: Final = b"0"
LINK: Final = b"1"
SYMLINK: Final = b"2"
CHAR: Final = b"3"
BLOCK_DEVICE: Final = b"4"
DIRECTORY: Final = b"5"
FIFO: Final = b"6"
GNU_SPARSE: Final = b"S"
GLOBAL_HEADER: Final = b"g"
_HEADER_ONLY: Final = frozenset({LINK, SYMLINK, CHAR, BLOCK_DEVICE, DIRECTORY, FIFO})
_XATTR: Final = b"SCHILY.xattr."
_MAX_INT64: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Extent:
    """`length` bytes at `start` of a file that lie at `offset` of the archive."""

    start: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One member. Names are bytes as written; `mtime_ns` since 1970; what no extent covers reads as zeros."""

    kind: bytes
    name: bytes
    link: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    major: int
    minor: int
    xattrs: tuple[tuple[bytes, bytes], ...]
    extents: tuple[Extent, ...]


@dataclass(slots=True)
class _Header:
    """The 512 bytes of one header, and what extended headers say instead."""

    kind: bytes
    name: bytes
    link: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    major: int
    minor: int
    raw: bytes


def entries(read_at: ReadAt) -> Iterator[Entry]:
    """The members in the order of the archive. Raises TarError with the offset of what cannot be read."""
    offset = 0
    records: dict[bytes, bytes] = {}
    long_name = long_link = b""
    while (header := _read_header(read_at, offset)) is not None:
        data = offset + BLOCK
        match header.kind:
            case b"x" | b"g":
                found = _parse_pax(_special(read_at, header, data), offset)
                if header.kind == GLOBAL_HEADER:
                    # Named, and of no effect on what follows: as Go and containerd have it.
                    yield _entry(header, {}, ())
                else:
                    records = found
                offset = data + _padded(header.size)
                continue
            case b"L":
                long_name = _text(_special(read_at, header, data))
                offset = data + _padded(header.size)
                continue
            case b"K":
                long_link = _text(_special(read_at, header, data))
                offset = data + _padded(header.size)
                continue
            case _:
                pass
        _merge(header, records, offset)
        header.name, header.link = long_name or header.name, long_link or header.link
        if header.kind == b"\0":
            header.kind = DIRECTORY if header.name.endswith(b"/") else REGULAR
        stored = 0 if header.kind in _HEADER_ONLY else header.size
        extents = _extents(read_at, header, records, data, stored)
        yield _entry(header, records, extents)
        end = data + (extents.after if isinstance(extents, _Sparse) else stored)
        offset = data + _padded(end - data)
        if stored and not read_at(end - 1, 1):
            raise TarError(f"the archive ends within {_shown(header.name)}")
        records, long_name, long_link = {}, b"", b""
    if records or long_name or long_link:
        raise TarError(f"the archive ends at byte {offset}, after an extended header")


class _Sparse(tuple[Extent, ...]):
    """Extents of a sparse file, with how many bytes from the header's end on it takes in the archive."""

    after: int


def _entry(header: _Header, records: dict[bytes, bytes], extents: tuple[Extent, ...]) -> Entry:
    size = header.size if header.kind in (REGULAR, GNU_SPARSE) else 0
    return Entry(
        kind=header.kind,
        name=header.name,
        link=header.link,
        mode=header.mode & 0o7777,
        uid=header.uid & 0xFFFF_FFFF,
        gid=header.gid & 0xFFFF_FFFF,
        size=size,
        mtime_ns=header.mtime_ns,
        major=header.major,
        minor=header.minor,
        xattrs=tuple((key[len(_XATTR) :], value) for key, value in records.items() if key.startswith(_XATTR)),
        extents=tuple(extents),
    )


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _text(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]


def _shown(name: bytes) -> str:
    return repr(name.decode("utf-8", "backslashreplace"))


# ------------------------------------------------------------------------------------------------ the fixed header


def _read_header(read_at: ReadAt, offset: int) -> _Header | None:
    """The header at `offset`, or None at the end: two zero blocks, or no more bytes."""
    raw = read_at(offset, BLOCK)
    if not raw:
        return None
    if len(raw) < BLOCK:
        raise TarError(f"the archive ends within the header at byte {offset}")
    if not any(raw):
        second = read_at(offset + BLOCK, BLOCK)
        if not any(second) and len(second) in (0, BLOCK):
            return None
        raise TarError(f"one zero block at byte {offset}, where two end an archive")
    written = _text(raw[148:156].strip(b" \0"))
    if not written or written.strip(b"01234567") or int(written, 8) not in _checksums(raw):
        raise TarError(f"the header at byte {offset} has a wrong checksum: this is no tar archive, or it is damaged")
    return _fields(raw, offset)


def _checksums(raw: bytes) -> tuple[int, int]:
    """Of unsigned and, as some old writers had it, of signed bytes."""
    blank = raw[:148] + b" " * 8 + raw[156:]
    unsigned = sum(blank)
    return unsigned, unsigned - 256 * sum(byte > 127 for byte in blank)


def _fields(raw: bytes, offset: int) -> _Header:
    header = _Header(
        kind=raw[156:157],
        name=_text(raw[0:100]),
        link=_text(raw[157:257]),
        mode=_number(raw[100:108], offset),
        uid=_number(raw[108:116], offset),
        gid=_number(raw[116:124], offset),
        size=_number(raw[124:136], offset),
        mtime_ns=_number(raw[136:148], offset) * 1_000_000_000,
        major=0,
        minor=0,
        raw=raw,
    )
    if header.size < 0:
        raise TarError(f"the header at byte {offset} has a negative size")
    if raw[257:262] == b"ustar":
        header.major, header.minor = _number(raw[329:337], offset), _number(raw[337:345], offset)
        prefix = b"" if raw[257:265] == b"ustar  \0" else _text(raw[345:476] if _is_star(raw) else raw[345:500])
        if prefix:
            header.name = prefix + b"/" + header.name
    return header


def _is_star(raw: bytes) -> bool:
    return raw[257:265] == b"ustar\x0000" and raw[508:512] == b"tar\0"


def _number(field: bytes, offset: int) -> int:
    """Octal, or base 256 in two's complement when the first bit is set (GNU)."""
    if not field[0] & 0x80:
        return _octal(field, offset)
    value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    if field[0] & 0x40:
        value -= 1 << (8 * len(field) - 1)
    if not -_MAX_INT64 - 1 <= value <= _MAX_INT64:
        raise TarError(f"a number in the header at byte {offset} is too large")
    return value


def _octal(field: bytes, offset: int) -> int:
    digits = _text(field.strip(b" \0"))
    if not digits:
        return 0
    if digits.strip(b"01234567"):
        raise TarError(f"a number in the header at byte {offset} is not octal")
    return int(digits, 8)


# ---------------------------------------------------------------------------------------------- extended headers


def _special(read_at: ReadAt, header: _Header, offset: int) -> bytes:
    if header.size > MAX_SPECIAL_BYTES:
        raise TarError(f"the extended header at byte {offset} takes {header.size} bytes, more than {MAX_SPECIAL_BYTES}")
    data = read_at(offset, header.size)
    if len(data) < header.size:
        raise TarError(f"the archive ends within the extended header at byte {offset}")
    return data


def _parse_pax(data: bytes, offset: int) -> dict[bytes, bytes]:
    """Records of POSIX pax; the pairs of sparse format 0.0 are gathered into one GNU.sparse.map."""
    records: dict[bytes, bytes] = {}
    sparse: list[bytes] = []
    while data:
        digits, space, rest = data.partition(b" ")
        length = int(digits) - len(digits) - 1 if digits.isdigit() and len(digits) < 8 and space else 0
        key, equals, value = rest[: max(length - 1, 0)].partition(b"=")
        if (
            length <= 0
            or length > len(rest)
            or rest[length - 1 : length] != b"\n"
            or not equals
            or not _is_valid(key, value)
        ):
            raise TarError(f"the extended header at byte {offset} is damaged")
        data = rest[length:]
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            if (len(sparse) % 2 == 0) != (key == b"GNU.sparse.offset") or b"," in value:
                raise TarError(f"the sparse map in the extended header at byte {offset} is damaged")
            sparse.append(value)
        else:
            records[key] = value
    if sparse:
        records[b"GNU.sparse.map"] = b",".join(sparse)
    return records


def _is_valid(key: bytes, value: bytes) -> bool:
    if not key or b"\0" in key:
        return False
    return key not in (b"path", b"linkpath", b"uname", b"gname") or b"\0" not in value


def _merge(header: _Header, records: dict[bytes, bytes], offset: int) -> None:
    """What extended headers say, in place of the fixed fields. An empty value leaves the field."""
    for key, value in records.items():
        if not value:
            continue
        match key:
            case b"path":
                header.name = value
            case b"linkpath":
                header.link = value
            case b"uid":
                header.uid = _decimal(value, offset)
            case b"gid":
                header.gid = _decimal(value, offset)
            case b"size":
                header.size = _decimal(value, offset)
                if header.size < 0:
                    raise TarError(f"the extended header before byte {offset} has a negative size")
            case b"mtime":
                header.mtime_ns = _time_ns(value, offset)
            case _:
                pass


def _decimal(value: bytes, offset: int) -> int:
    digits = value[1:] if value[:1] in (b"-", b"+") else value
    if not digits.isdigit() or len(digits) > 19 or not -_MAX_INT64 - 1 <= int(value) <= _MAX_INT64:
        raise TarError(f"a number in the extended header before byte {offset} is no number")
    return int(value)


def _time_ns(value: bytes, offset: int) -> int:
    """Seconds with a fraction, of which nine digits count."""
    seconds, _, fraction = value.partition(b".")
    if fraction and not fraction.isdigit():
        raise TarError(f"a time in the extended header before byte {offset} is no time")
    ns = int(fraction[:9].ljust(9, b"0")) if fraction else 0
    whole = _decimal(seconds, offset) * 1_000_000_000
    return whole - ns if seconds.startswith(b"-") else whole + ns


# -------------------------------------------------------------------------------------------------- sparse files


def _extents(
    read_at: ReadAt, header: _Header, records: dict[bytes, bytes], data: int, stored: int
) -> tuple[Extent, ...] | _Sparse:
    if header.kind == GNU_SPARSE:
        pairs, real_size, first = _old_gnu_map(read_at, header.raw, data)
    elif header.kind == REGULAR and (found := _pax_map(read_at, records, data, stored)) is not None:
        pairs, real_size, first, name = found
        header.name = name or header.name
    elif header.kind == REGULAR and stored:
        return (Extent(0, data, stored),)
    else:
        return ()
    header.size = real_size
    return _sparse(pairs, real_size, first, data, stored, header)


def _sparse(
    pairs: list[tuple[int, int]], real_size: int, first: int, data: int, stored: int, header: _Header
) -> _Sparse:
    """`first` is where the stored parts begin. Old GNU sizes leave the map's own blocks out, PAX sizes count them."""
    extents: list[Extent] = []
    position, last_end = first, 0
    for start, length in pairs:
        if start < last_end or length < 0 or start + length > real_size:
            raise TarError(f"the sparse map of {_shown(header.name)} is damaged")
        if length:
            extents.append(Extent(start, position, length))
        position += length
        last_end = start + length
    end = first + stored if header.kind == GNU_SPARSE else data + stored
    if position > end:
        raise TarError(f"the sparse map of {_shown(header.name)} needs more bytes than are stored")
    result = _Sparse(extents)
    result.after = end - data
    return result


def _old_gnu_map(read_at: ReadAt, raw: bytes, data: int) -> tuple[list[tuple[int, int]], int, int]:
    """Four pairs in the header, and 21 in each block that follows as long as a flag says so."""
    if raw[257:265] != b"ustar  \0":
        raise TarError(f"a sparse file before byte {data} in an archive that is not GNU's")
    real_size = _number(raw[483:495], data)
    pairs: list[tuple[int, int]] = []
    area, more = raw[386:482], raw[482]
    while True:
        for at in range(0, len(area) - 23, 24):
            if not area[at]:
                break
            pairs.append((_number(area[at : at + 12], data), _number(area[at + 12 : at + 24], data)))
        if not more:
            return pairs, real_size, data
        block = read_at(data, BLOCK)
        if len(block) < BLOCK or len(pairs) * 24 > MAX_SPECIAL_BYTES:
            raise TarError(f"the sparse map before byte {data} does not end")
        area, more, data = block[:504], block[504], data + BLOCK


def _pax_map(
    read_at: ReadAt, records: dict[bytes, bytes], data: int, stored: int
) -> tuple[list[tuple[int, int]], int, int, bytes] | None:
    """Pairs, real size, where the parts begin, and the name; None for a file that is not sparse."""
    version = records.get(b"GNU.sparse.major", b""), records.get(b"GNU.sparse.minor", b"")
    name = records.get(b"GNU.sparse.name", b"")
    size = records.get(b"GNU.sparse.size") or records.get(b"GNU.sparse.realsize") or b"%d" % stored
    if version == (b"1", b"0"):
        numbers, first = _numbers_in_data(read_at, data, stored)
    elif version in ((b"0", b"0"), (b"0", b"1")) or (version == (b"", b"") and records.get(b"GNU.sparse.map")):
        parts = records.get(b"GNU.sparse.map", b"").split(b",")
        numbers, first = [_decimal(part, data) for part in parts if part], data
        if 2 * _decimal(records.get(b"GNU.sparse.numblocks", b""), data) != len(numbers):
            raise TarError(f"the sparse map before byte {data} is damaged")
    else:
        return None
    if len(numbers) % 2:
        raise TarError(f"the sparse map before byte {data} is damaged")
    return list(zip(numbers[::2], numbers[1::2], strict=True)), _decimal(size, data), first, name


def _numbers_in_data(read_at: ReadAt, data: int, stored: int) -> tuple[list[int], int]:
    """Format 1.0: decimal lines in the file's first blocks, the count of pairs first."""
    text, taken = b"", 0
    while taken < min(stored, MAX_SPECIAL_BYTES):
        text += read_at(data + taken, BLOCK)
        taken += BLOCK
        lines = text.split(b"\n")[:-1]
        if lines and len(lines) > 2 * _decimal(lines[0], data):
            count = 2 * _decimal(lines[0], data)
            return [_decimal(line, data) for line in lines[1 : count + 1]], data + taken
    raise TarError(f"the sparse map at byte {data} does not end")
