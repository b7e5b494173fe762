"""Which files the given paths stand for, and their text."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from compiler.diagnostic import Report
from compiler.policy import codes
from compiler.span import Span

SUFFIXES: Final = (".yaml", ".yml", ".json")
MAX_BYTES: Final = 64 * 1024 * 1024


def read_sources(paths: Iterable[Path], report: Report) -> dict[str, str]:
    """Text by path as given, in the order of `paths`; a directory stands for its policy files, sorted.

    A file that is named twice is read once. What cannot be read is reported and left out.
    """
    sources: dict[str, str] = {}
    seen: set[Path] = set()
    for path in paths:
        for file in _files_of(path, report):
            identity = _identity(file)
            text = None if identity in seen else _read(file, report)
            seen.add(identity)
            if text is not None:
                sources[str(file)] = text
    return sources


def _identity(file: Path) -> Path:
    """The file behind links; the path itself where that cannot be told, which reading will then report."""
    try:
        return file.resolve()
    except (OSError, ValueError, RuntimeError):
        return file


def _files_of(path: Path, report: Report) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(_walk(path, report))
    if not files:
        message = f"the directory has no policy files ({', '.join('*' + suffix for suffix in SUFFIXES)})"
        report.add(codes.NO_POLICIES, _whole(path), message)
    return files


def _walk(directory: Path, report: Report) -> Iterator[Path]:
    """Policy files below a directory. Hidden ones are left out: a mounted ConfigMap keeps copies in `..data`."""

    def refuse(error: OSError) -> None:
        place = Path(str(error.filename))
        report.add(codes.UNREADABLE, _whole(place), f"cannot be read: {error.strerror}")

    for folder, subfolders, names in os.walk(directory, onerror=refuse):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in names:
            if name.endswith(SUFFIXES) and not name.startswith("."):
                yield Path(folder) / name


def _whole(path: Path) -> Span:
    return Span(path=str(path), line=1)


def _read(path: Path, report: Report) -> str | None:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        report.add(codes.UNREADABLE, _whole(path), f"cannot be read: {reason}")
        return None
    if len(data) > MAX_BYTES:
        report.add(codes.TOO_LARGE, _whole(path), f"the file is larger than {MAX_BYTES >> 20} MiB")
        return None
    return decode(str(path), data, report)


def decode(path: str, data: bytes, report: Report) -> str | None:
    """UTF-8 text without its byte order mark, or None with a diagnostic at the first wrong byte."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        line = before.count("\n") + 1
        column = len(before) - (before.rfind("\n") + 1) + 1
        hint = "the file looks like UTF-16: save it as UTF-8" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else None
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        report.add(codes.NOT_UTF8, Span(path=path, line=line, column=column), message, expected="UTF-8 text", hint=hint)
        return None
