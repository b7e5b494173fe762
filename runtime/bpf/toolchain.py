"""C to a BPF ELF with BTF: finds a compiler, runs it, keeps what it made under the hash of what went in.

The compiler is `clang` (14 or newer), or the one inside the `ziglang` package. Only headers in the given folders are
used: no kernel headers, no libbpf-dev. Two runs with the same input give the same bytes, on any path. Leaves loading
to `runtime.bpf.object`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from runtime.bpf.errors import CompileError, ToolchainMissing

FLAGS = (
    "-O2",
    "-g",
    "-mcpu=v3",
    "-std=gnu11",
    "-fno-builtin",
    "-fno-stack-protector",
    "-fno-ident",
    "-fno-asynchronous-unwind-tables",
    "-Wall",
    "-Wextra",
    "-Werror",
)
OLDEST_CLANG = 14
COMPILE_TIMEOUT_S = 300
WHAT_TO_INSTALL = "install clang 14 or newer (Debian: apt-get install clang llvm) or the Python package ziglang"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiler:
    """One way to compile. `strip` is the command that drops DWARF and keeps BTF, empty where there is none."""

    name: str
    version: str
    command: tuple[str, ...]
    strip: tuple[str, ...] = ()


@lru_cache(maxsize=1)
def find_compiler() -> Compiler:
    """The compiler of this machine: clang when new enough, else ziglang. Raises `ToolchainMissing`."""
    refused: list[str] = []
    for path in _clang_paths():
        version = _run_version([path, "--version"])
        if _major(version) >= OLDEST_CLANG:
            return Compiler(name="clang", version=version, command=(path, "-target", "bpf"), strip=_strip_for(path))
        refused.append(f"{path} is too old or does not run ({version or 'no version'})")
    if importlib.util.find_spec("ziglang") is not None:
        return zig_compiler()
    because = f" ({'; '.join(refused)})" if refused else ""
    raise ToolchainMissing(f"no compiler for BPF was found{because}; {WHAT_TO_INSTALL}")


def zig_compiler() -> Compiler:
    """The compiler inside the `ziglang` package. Raises `ToolchainMissing` when it does not run."""
    zig = [sys.executable, "-m", "ziglang"]
    version = _run_version([*zig, "version"])
    if not version:
        raise ToolchainMissing(f"`{' '.join(zig)} version` does not run; {WHAT_TO_INSTALL}")
    # Zig adds run-time checks of its own to C, which BPF cannot call.
    command = (*zig, "cc", "-target", "bpfel-freestanding-none", "-fno-sanitize=undefined")
    return Compiler(name="ziglang", version=f"ziglang {version}", command=command, strip=_strip_for("clang"))


def compile_c(
    source: str,
    *,
    name: str = "program.bpf.c",
    include_dirs: Sequence[Path] = (),
    defines: Mapping[str, str] | None = None,
    compiler: Compiler | None = None,
    cache_dir: Path | None = None,
) -> bytes:
    """The ELF of one C file.

    `name` is how diagnostics and the ELF's line information call the file. Every `*.h` under `include_dirs` counts as
    input of the cache, which is `cache_dir` or `$XDG_CACHE_HOME/turnout/bpf`; a cache that cannot be written is
    passed over. Raises `CompileError` with the compiler's words, `ToolchainMissing`.
    """
    compiler = compiler or find_compiler()
    flags = (*FLAGS, *(f"-D{key}={value}" for key, value in sorted((defines or {}).items())))
    folder = cache_dir or default_cache_dir()
    kept = folder / f"{_digest(compiler, flags, name, source, include_dirs)}.o"
    if kept.is_file():
        return kept.read_bytes()
    elf = _compile(compiler, flags, name, source, include_dirs)
    _keep(kept, elf)
    return elf


def default_cache_dir() -> Path:
    """Where compiled ELFs are kept when the caller names no place."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "turnout" / "bpf"


def _clang_paths() -> list[str]:
    names = ["clang", *(f"clang-{n}" for n in range(25, OLDEST_CLANG - 1, -1))]
    return [path for name in names if (path := shutil.which(name))]


def _strip_for(clang: str) -> tuple[str, ...]:
    suffix = Path(clang).name.removeprefix("clang")
    path = shutil.which(f"llvm-strip{suffix}") or shutil.which("llvm-strip")
    return (path, "-g") if path else ()


def _run_version(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""  # the caller treats "does not run" like "is not there", and says so
    return done.stdout.strip().partition("\n")[0]


def _major(version: str) -> int:
    found = re.search(r"version (\d+)", version)
    return int(found.group(1)) if found else 0


def _digest(compiler: Compiler, flags: Sequence[str], name: str, source: str, include_dirs: Sequence[Path]) -> str:
    digest = hashlib.sha256()

    def add(part: bytes) -> None:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)

    for text in (compiler.version, *compiler.command[1:], *compiler.strip[1:], *flags, name, source):
        add(text.encode())
    for folder in include_dirs:
        for header in sorted(folder.rglob("*.h")):
            add(header.relative_to(folder).as_posix().encode())
            add(header.read_bytes())
    return digest.hexdigest()


def _compile(compiler: Compiler, flags: Sequence[str], name: str, source: str, include_dirs: Sequence[Path]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="turnout-bpf-") as folder:
        (Path(folder) / name).write_text(source)
        maps = [f"-ffile-prefix-map={folder}=.", *(f"-ffile-prefix-map={d.resolve()}=." for d in include_dirs)]
        includes = [f"-I{d.resolve()}" for d in include_dirs]
        command = [*compiler.command, *flags, *maps, *includes, "-c", name, "-o", "out.o"]
        _run(command, folder)
        if compiler.strip:
            _run([*compiler.strip, "out.o"], folder)
        return (Path(folder) / "out.o").read_bytes()


def _run(command: list[str], folder: str) -> None:
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": os.environ.get("HOME", folder), "LC_ALL": "C"}
    environment |= {key: value for key, value in os.environ.items() if key.startswith(("ZIG_", "XDG_", "PYTHON"))}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise CompileError(" ".join(command), str(problem)) from problem
    if done.returncode != 0:
        raise CompileError(" ".join(command), (done.stderr + done.stdout).replace(folder, "."))


def _keep(path: Path, elf: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(elf)
        Path(file.name).replace(path)
    except OSError:
        return  # only speed is lost: the next compile does the work again
