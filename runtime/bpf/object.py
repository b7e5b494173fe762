"""Loading an ELF: sizes, constants, shared maps and pins set first, then everything into the kernel in one go.

A refusal by the verifier is asked for again with its whole log, which is saved; the exception carries the line that
matters. Leaves attaching to `runtime.bpf.attach`.
"""

from __future__ import annotations

import ctypes as ct
import errno
import fcntl
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType

from runtime.bpf.bpffs import pin_name
from runtime.bpf.btf import Variable
from runtime.bpf.constants import MapType
from runtime.bpf.elf import Handle, MapSpec, Source, map_spec, opened, with_words
from runtime.bpf.errors import KernelRefusal, ProgramRefused, UnknownName
from runtime.bpf.library import check, check_pointer, libbpf
from runtime.bpf.maps import Map, MapDetails
from runtime.bpf.program import Program
from runtime.bpf.verifier import LOG_BRANCHES, LOG_STATS, read_stats, telling_line

STATS_LOG_SIZE = 1 << 16
WHOLE_LOG_SIZE = (1 << 24) - 1
"""The longest log that kernels of 5.15 let a caller ask for; before 6.4 one that does not fit fails the load."""

_REFUSED = re.compile(r"prog '([^']+)': (?:BPF program load failed|failed to load)")


def _no_sizes() -> Mapping[str, int]:
    return {}


def _no_pins() -> Mapping[str, Path]:
    return {}


def _no_constants() -> Mapping[str, int | bytes]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSettings:
    """What is set between reading an ELF and loading it. Keys are names in the C; unknown ones raise `UnknownName`.

    `constants` are globals (`const volatile`, or initial values of others): a number that fits the variable, or
    exactly its bytes. `reuse` gives descriptors of existing maps, which stay the caller's; those in `any_size` may have
    values of another size than the C says, since constants tell the program. `pins` are paths to pin
    maps at; a map already pinned there is taken over if it has the same shape. `skip` are programs not to load.
    """

    name: str = "turnout"
    max_entries: Mapping[str, int] = field(default_factory=_no_sizes)
    constants: Mapping[str, int | bytes] = field(default_factory=_no_constants)
    reuse: Mapping[str, int] = field(default_factory=_no_sizes)
    any_size: frozenset[str] = frozenset()
    pins: Mapping[str, Path] = field(default_factory=_no_pins)
    skip: frozenset[str] = frozenset()
    log_dir: Path | None = None


class Object:
    """Maps and programs of one loaded ELF. Closing it closes their descriptors."""

    def __init__(
        self, maps: Mapping[str, Map], programs: Mapping[str, Program], variables: tuple[Variable, ...]
    ) -> None:
        self.maps = dict(maps)
        self.programs = dict(programs)
        self.variables = variables

    def map(self, name: str) -> Map:
        """A map by its name in the C, or a section of globals such as `.bss`. Raises `UnknownName`."""
        if name not in self.maps:
            raise UnknownName("map", name, tuple(self.maps))
        return self.maps[name]

    def program(self, name: str) -> Program:
        """A program by its C function's name. Raises `UnknownName`, also for one that was not to be loaded."""
        if name not in self.programs:
            raise UnknownName("program", name, tuple(self.programs))
        return self.programs[name]

    @property
    def sharable(self) -> dict[str, int]:
        """Descriptors of the maps that another load of the same ELF can `reuse`.

        All but those that hold what is a load's own: sections of globals, and arrays of its programs.
        """
        maps = self.maps.items()
        return {
            name: held.fd for name, held in maps if not name.startswith(".") and held.details.type != MapType.PROG_ARRAY
        }

    def close(self) -> None:
        """Close all descriptors; twice is fine."""
        for held in (*self.programs.values(), *self.maps.values()):
            held.close()

    def __enter__(self) -> Object:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def load(source: Source, settings: LoadSettings | None = None) -> Object:
    """Load an ELF, given as bytes or path. All or nothing.

    Raises `ProgramRefused` when the verifier says no, `KernelRefusal` for anything else that the kernel refuses
    (EPERM, a map's shape, memory), `UnknownName`, ValueError for a constant that does not fit.
    """
    settings = settings or LoadSettings()
    try:
        return _attempt(source, settings, {})
    except _RefusalError as refused:
        first = refused
    try:
        return _attempt(source, settings, {first.program: WHOLE_LOG_SIZE})
    except _RefusalError as refused:
        # An older kernel may answer ENOSPC now, for a log that does not fit: the first answer counts.
        raise _told(settings, first, refused) from None


class _RefusalError(Exception):
    """A refusal with its log, on the way to becoming `ProgramRefused`."""

    def __init__(self, program: str, code: int, log: str) -> None:
        self.program = program
        self.errno = code
        self.log = log
        super().__init__(program)


def _told(settings: LoadSettings, first: _RefusalError, second: _RefusalError) -> ProgramRefused:
    path = _save_log(settings.log_dir or default_log_dir(), first.program, second.log or first.log)
    line = telling_line(second.log) or telling_line(first.log)
    return ProgramRefused(first.program, first.errno, line, path)


def _attempt(source: Source, settings: LoadSettings, whole_logs: Mapping[str, int]) -> Object:
    """Read, set and load once. `whole_logs` names programs to be loaded with a log of that many bytes."""
    with opened(source, settings.name) as handle:
        variables = handle.variables()
        _set_maps(handle, settings)
        _set_constants(handle, settings.constants, variables)
        logs = _set_programs(handle, settings.skip, whole_logs)
        lib = libbpf()
        with lib.listening() as said:
            result = lib.bpf_object__load(handle.pointer)
        if result < 0:
            _raise_refusal(-result, settings.name, said, logs)
        return _take(handle, logs, variables)


def _set_maps(handle: Handle, settings: LoadSettings) -> None:
    lib = libbpf()
    for name, entries in settings.max_entries.items():
        check(lib.bpf_map__set_max_entries(_pick(handle.maps, "map", name), entries), f"size map {name}")
    for name, fd in settings.reuse.items():
        pointer = _pick(handle.maps, "map", name)
        if name not in settings.any_size:
            _expect_same_shape(name, pointer, fd)
        check(lib.bpf_map__reuse_fd(pointer, fd), f"reuse a map as {name}")
    for name, path in settings.pins.items():
        pin_name(path.name)
        pointer = _pick(handle.maps, "map", name)
        check(lib.bpf_map__set_pin_path(pointer, os.fsencode(path)), f"pin map {name} at {path}")


def _expect_same_shape(name: str, pointer: int, fd: int) -> None:
    """libbpf takes any map for any other; a program would then reach past the end of its values."""
    wanted = map_spec(name, pointer)
    with Map(os.dup(fd)) as given:
        has = given.details
    if _shape(has) != _shape(wanted):
        words = f"map {name} is {_shape(wanted)} in the ELF (type, key, value bytes), the one given {_shape(has)}"
        raise KernelRefusal(errno.EINVAL, words)


def _shape(of: MapDetails | MapSpec) -> tuple[int, int, int]:
    return of.type, of.key_size, of.value_size


def _set_constants(handle: Handle, constants: Mapping[str, int | bytes], variables: tuple[Variable, ...]) -> None:
    by_name = {variable.name: variable for variable in variables}
    for name, value in constants.items():
        variable = by_name.get(name)
        if variable is None:
            raise UnknownName("global variable", name, tuple(by_name))
        raw = constant_bytes(variable, value)
        size = ct.c_size_t()
        start = libbpf().bpf_map__initial_value(_pick(handle.maps, "section", variable.section), ct.byref(size))
        check_pointer(start, f"set {name}")
        if variable.offset + variable.size > size.value:
            raise KernelRefusal(errno.EINVAL, f"{name} lies outside of its section {variable.section}")
        ct.memmove(start + variable.offset, raw, len(raw))


def constant_bytes(variable: Variable, value: int | bytes) -> bytes:
    """A value as the variable's bytes (little-endian). Raises ValueError when it does not fit."""
    if isinstance(value, bytes):
        if len(value) != variable.size:
            raise ValueError(f"{variable.name} has {variable.size} bytes, got {len(value)}")
        return value
    try:
        return int(value).to_bytes(variable.size, "little", signed=variable.is_signed)
    except OverflowError as problem:
        kind = "signed" if variable.is_signed else "unsigned"
        raise ValueError(f"{value} does not fit {variable.name}, {variable.size} bytes {kind}") from problem


def _set_programs(
    handle: Handle, skip: frozenset[str], whole_logs: Mapping[str, int]
) -> dict[str, ct.Array[ct.c_char]]:
    lib = libbpf()
    for name in sorted(skip):
        check(lib.bpf_program__set_autoload(_pick(handle.programs, "program", name), False), f"leave out {name}")
    logs: dict[str, ct.Array[ct.c_char]] = {}
    for name, pointer in handle.programs.items():
        if not lib.bpf_program__autoload(pointer):
            continue
        logs[name] = ct.create_string_buffer(whole_logs.get(name, STATS_LOG_SIZE))
        level = LOG_STATS | (LOG_BRANCHES if name in whole_logs else 0)
        check(lib.bpf_program__set_log_level(pointer, level), f"set the log level of {name}")
        check(lib.bpf_program__set_log_buf(pointer, logs[name], len(logs[name])), f"set the log of {name}")
    return logs


def _raise_refusal(code: int, name: str, said: list[str], logs: Mapping[str, ct.Array[ct.c_char]]) -> None:
    for line in said:
        found = _REFUSED.search(line)
        if found and found.group(1) in logs:
            log = logs[found.group(1)].value.decode(errors="replace")
            raise _RefusalError(found.group(1), code, log)
    raise with_words(KernelRefusal(code, f"load {name}"), said)


def _take(handle: Handle, logs: Mapping[str, ct.Array[ct.c_char]], variables: tuple[Variable, ...]) -> Object:
    """Own descriptors for everything, so that libbpf's object can go."""
    lib = libbpf()
    maps: dict[str, Map] = {}
    programs: dict[str, Program] = {}
    with ExitStack() as undo:
        for name, pointer in handle.maps.items():
            maps[name] = Map(_duplicate(lib.bpf_map__fd(pointer)))
            undo.callback(maps[name].close)
        for name, log in logs.items():
            pointer = handle.programs[name]
            stats = read_stats(log.value.decode(errors="replace"))
            given = replace(stats, instructions=lib.bpf_program__insn_cnt(pointer))
            programs[name] = Program.from_fd(_duplicate(lib.bpf_program__fd(pointer)), given, name)
            undo.callback(programs[name].close)
        undo.pop_all()
    return Object(maps, programs, variables)


def _duplicate(fd: int) -> int:
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)


def _pick(known: Mapping[str, int], what: str, name: str) -> int:
    if name not in known:
        raise UnknownName(what, name, tuple(known))
    return known[name]


def default_log_dir() -> Path:
    """Where verifier logs are kept when the caller names no place."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "turnout" / "verifier"


def _save_log(folder: Path, program: str, log: str) -> Path:
    digest = hashlib.sha256(log.encode()).hexdigest()[:12]
    for place in _places(folder):
        path = place / f"{program}-{digest}.log"
        with suppress(OSError):  # the next place is tried; the last one raises nothing but a worse path
            place.mkdir(parents=True, exist_ok=True)
            path.write_text(log)
            return path
    return Path(os.devnull)


def _places(folder: Path) -> Iterator[Path]:
    yield folder
    yield Path(tempfile.mkdtemp(prefix="turnout-verifier-"))
