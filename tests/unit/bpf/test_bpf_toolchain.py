"""Compiling: what comes out, what is kept, and the words when it cannot be done."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from runtime.bpf import toolchain
from runtime.bpf.elf import inspect
from runtime.bpf.errors import CompileError, ToolchainMissing
from runtime.bpf.object import LoadSettings, load
from runtime.bpf.testrun import run_skb
from runtime.bpf.toolchain import Compiler, compile_c, default_cache_dir, find_compiler, zig_compiler

PROGRAMS = Path(__file__).with_name("programs")
SOURCE = '#include "answer.h"\nint answer(void) { return ANSWER + EXTRA; }\n'


@pytest.fixture
def headers(tmp_path: Path) -> Path:
    folder = tmp_path / "include"
    folder.mkdir()
    (folder / "answer.h").write_text("#define ANSWER 40\n")
    return folder


@pytest.fixture(params=["clang", "ziglang"])
def compiler(request: pytest.FixtureRequest) -> Compiler:
    if request.param == "ziglang":
        return zig_compiler()
    if find_compiler().name != "clang":
        pytest.skip("clang is not installed")
    return find_compiler()


def build(
    headers: Path, cache: Path, source: str = SOURCE, extra: str = "2", compiler: Compiler | None = None
) -> bytes:
    return compile_c(
        source, include_dirs=[headers], defines={"EXTRA": extra}, cache_dir=cache, compiler=compiler or find_compiler()
    )


def test_each_input_has_its_own_place_in_the_cache(headers: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = build(headers, cache)
    (kept,) = cache.iterdir()
    kept.write_bytes(b"from the cache")
    assert build(headers, cache) == b"from the cache"
    assert build(headers, cache, extra="3") != first
    (headers / "answer.h").write_text("#define ANSWER 41\n")
    assert build(headers, cache) not in (first, b"from the cache")
    assert len(list(cache.iterdir())) == 3


def test_the_same_bytes_wherever_the_headers_lie(headers: Path, tmp_path: Path, compiler: Compiler) -> None:
    moved = tmp_path / "elsewhere" / "deep"
    shutil.copytree(headers, moved)
    caches = tmp_path / "one", tmp_path / "two"
    assert build(headers, caches[0], compiler=compiler) == build(moved, caches[1], compiler=compiler)


def test_a_cache_that_cannot_be_written_costs_only_time(headers: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert build(headers, tmp_path / "file" / "cache")[:4] == b"\x7fELF"


def test_the_words_of_the_compiler(headers: Path, tmp_path: Path, compiler: Compiler) -> None:
    with pytest.raises(CompileError) as caught:
        build(headers, tmp_path, "int wrong(void) { int unused; return missing; }\n", compiler=compiler)
    output = caught.value.output
    assert "program.bpf.c:1:" in output
    assert "use of undeclared identifier 'missing'" in output
    assert "turnout-bpf-" not in output
    assert str(caught.value).startswith("the C does not compile:\n")


def test_warnings_are_errors(headers: Path, tmp_path: Path, compiler: Compiler) -> None:
    with pytest.raises(CompileError, match="unused variable 'unused'"):
        build(headers, tmp_path, "int wrong(void) { int unused; return 0; }\n", compiler=compiler)


def test_the_elf_keeps_types_and_drops_debugging(tmp_path: Path, compiler: Compiler) -> None:
    source = (PROGRAMS / "basics.bpf.c").read_text()
    elf = compile_c(source, include_dirs=[PROGRAMS / "include"], cache_dir=tmp_path, compiler=compiler)
    assert b".BTF.ext" in elf
    assert (b".debug_info" in elf) == (not compiler.strip)
    assert {v.name for v in inspect(elf).variables} == {"verdict", "offset", "tag", "runs"}


@pytest.mark.root
def test_either_compiler_makes_what_the_kernel_takes(tmp_path: Path, compiler: Compiler) -> None:
    source = (PROGRAMS / "basics.bpf.c").read_text()
    elf = compile_c(source, include_dirs=[PROGRAMS / "include"], cache_dir=tmp_path, compiler=compiler)
    with load(elf, LoadSettings(constants={"verdict": 2, "tag": b"\7\7\7\7"})) as loaded:
        run = run_skb(loaded.program("rewrite").fd, bytes(64))
        assert (run.verdict, run.frame[:5]) == (2, b"\7\7\7\7\0")


def test_without_any_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "_clang_paths", list[str])
    monkeypatch.setattr(toolchain.importlib.util, "find_spec", lambda name: None)  # pyright: ignore[reportUnknownLambdaType,reportUnknownArgumentType]
    with pytest.raises(ToolchainMissing) as caught:
        find_compiler.__wrapped__()
    assert str(caught.value) == (
        "no compiler for BPF was found; install clang 14 or newer (Debian: apt-get install clang llvm) "
        "or the Python package ziglang"
    )


def test_an_old_clang_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "clang-11"
    old.write_text("#!/bin/sh\necho Debian clang version 11.0.1\n")
    old.chmod(0o755)
    monkeypatch.setattr(toolchain, "_clang_paths", lambda: [str(old)])
    assert find_compiler.__wrapped__().name == "ziglang"


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert default_cache_dir() == Path("/somewhere/turnout/bpf")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache_dir() == Path.home() / ".cache/turnout/bpf"
