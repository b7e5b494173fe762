"""Where `turnout apply` remembers what it has read (`compiler.policy.memory`), between one run and the next.

A file for each set of paths, in the user's own cache, of JSON: nothing in it is ever run. It is taken only as a whole
as it was written (its digest stands before it), by the very code that is running now, and only if nobody else could
have written it. Else it is as if it were not there. Runs at the same time each replace it as a whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

import pydantic
import yaml

import compiler
from compiler.policy.memory import Memory

LEAST_LEARNED: Final = 200
"""Objects and services; fewer are read again sooner than the file is written."""
MOST_FILES: Final = 16
_PARTS: Final = ("policy", "diagnostic.py", "span.py")
"""Of the compiler: what reading depends on."""


def memory_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "turnout" / "policies"


def read_memory(folder: Path, paths: Iterable[Path]) -> Memory:
    """What the last run over the same paths knew; nothing where that is not there, or not to be believed."""
    data = _own_bytes(folder, _name(paths))
    digest, _, body = data.partition(b"\n")
    if not data or digest != _digest(body):
        return Memory()
    plain: Any = json.loads(body)
    return Memory(plain["cards"], plain["services"]) if plain["code"] == code_digest() else Memory()


def write_memory(folder: Path, paths: Iterable[Path], memory: Memory) -> None:
    """Keep it if there is much that is new. A place that cannot be written to is passed over."""
    if memory.learned < LEAST_LEARNED:
        return
    plain = {"code": code_digest(), "cards": memory.cards, "services": memory.services}
    body = json.dumps(plain, separators=(",", ":")).encode()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(folder / _name(paths), _digest(body) + b"\n" + body)
        _remove_oldest(folder)
    except OSError:
        return  # the next run reads everything, as this one did


def _replace(path: Path, data: bytes) -> None:
    with NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        unfinished = Path(file.name)
        try:
            file.write(data)
            file.flush()
            unfinished.replace(path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise


def _remove_oldest(folder: Path) -> None:
    files = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
    for path in files[:-MOST_FILES]:
        path.unlink(missing_ok=True)


def _own_bytes(folder: Path, name: str) -> bytes:
    """Empty where there is no such file, or somebody else may have written it."""
    try:
        if not _is_own(folder.lstat(), stat.S_ISDIR):
            return b""
        file = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(file, "rb") as opened:
            return opened.read() if _is_own(os.fstat(file), stat.S_ISREG) else b""
    except OSError:
        return b""


def _is_own(found: os.stat_result, is_kind: Any) -> bool:
    others_write = stat.S_IWGRP | stat.S_IWOTH
    return is_kind(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & others_write


def _name(paths: Iterable[Path]) -> str:
    words = "\0".join(str(path.absolute()) for path in paths)
    return hashlib.blake2b(os.fsencode(words), digest_size=16).hexdigest() + ".json"


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=32).hexdigest().encode()


def code_digest() -> str:
    """Of all code that what is remembered came from."""
    made = hashlib.blake2b(digest_size=16)
    for word in (sys.version, pydantic.VERSION, yaml.__version__):
        made.update(word.encode() + b"\0")
    top = Path(compiler.__file__).parent
    for part in _PARTS:
        path = top / part
        for file in sorted(path.glob("*.py")) if path.is_dir() else (path,):
            made.update(file.name.encode() + b"\0" + hashlib.blake2b(file.read_bytes()).digest())
    return made.hexdigest()
