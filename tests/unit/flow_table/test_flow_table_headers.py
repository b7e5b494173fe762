"""The flow table's headers: both compilers take them, both slot sizes load, and slots lie as the layout says."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from compiler.ir.hashing import mix64
from compiler.pipeline.assembly import pipeline
from compiler.printers.layout import SlotHead, layout
from compiler.printers.store_programs import (
    end_context,
    read_delete,
    read_sweep,
    remove_ended_context,
    store_programs,
    sweep_context,
)
from runtime.bpf.elf import opened
from runtime.bpf.errors import ToolchainMissing
from runtime.bpf.object import LoadSettings, load
from runtime.bpf.testrun import run_syscall
from runtime.bpf.toolchain import Compiler, compile_c, find_compiler, zig_compiler

ROOT = Path(__file__).resolve().parents[3]
PROGRAMS = Path(__file__).with_name("programs")
INCLUDE = [ROOT / "ebpf" / "include"]
SEED = 0x5EED_0123_4567_89AB
ADDRESS = 0x2001_0DB8 << 96
KEY = (3, 1, 6, ADDRESS | 0x11, ADDRESS | 0x22, 40_000, 80)
ARGUMENTS = (ADDRESS | 0x33, ADDRESS | 0x44, 1111, 8080, 5, 77)


def compiled(name: str, compiler: Compiler | None = None) -> bytes:
    source = PROGRAMS / f"{name}.bpf.c"
    return compile_c(source.read_text(), name=source.name, include_dirs=INCLUDE, compiler=compiler)


def compiler_called(name: str) -> Compiler:
    try:
        compiler = find_compiler() if name == "clang" else zig_compiler()
    except ToolchainMissing as missing:
        pytest.skip(str(missing))
    if compiler.name != name:
        pytest.skip("clang is not installed")
    return compiler


@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["clang", "ziglang"])
@pytest.mark.parametrize("name", ["tiny", "wide"])
def test_both_compilers_take_the_headers(name: str, compiler: str) -> None:
    elf = compiled(name, compiler_called(compiler))
    store = {"tiny": "tiny", "wide": "connections_ipv6"}[name]
    names = store_programs(store)
    with opened(elf, name) as handle:
        assert {names.sweep, names.end_key, names.delete_slot} <= handle.programs.keys()
        assert {store, names.events.name} <= handle.maps.keys()


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["clang", "ziglang"])
@pytest.mark.parametrize("name", ["tiny", "wide"])
def test_the_verifier_takes_what_both_compilers_make(name: str, compiler: str) -> None:
    with load(compiled(name, compiler_called(compiler))) as loaded:
        heaviest = max(program.stats.processed_insns for program in loaded.programs.values())
    assert heaviest < 50_000


@pytest.mark.root
def test_an_ipv6_entry_lies_in_its_slot_as_the_layout_says() -> None:
    store = layout(pipeline()).store_of("flow_ipv6")
    names = store_programs(store.store.name)
    constants = {"hash_seed": SEED, "test_mode": 1}
    context = store.encode_key(KEY) + store.arguments.encode(ARGUMENTS) + bytes(16)
    with load(compiled("wide"), LoadSettings(constants=constants)) as loaded:
        loaded.map("test_clock").update(bytes(4), struct.pack("=Q", 123_456))
        left = run_syscall(loaded.program("learn_and_find").fd, context).context
        digest = mix64(SEED, zip(KEY, store.key_widths, strict=True))
        assert struct.unpack("<QII", left[-16:]) == (digest, 1, 2)

        values = [value for _, value in loaded.map(store.store.name).items()]
        (slot,) = filter(None, map(store.decode_slot, values))
        assert values.index(store.encode_slot(slot)) == digest % 16 * 4
        assert (slot.table.table, slot.key, slot.arguments) == ("flow_reverse_ipv6", KEY, ARGUMENTS)
        assert slot.head == SlotHead(version=2, table=2, profile=2, seen_ms=123_456, packets=1, bytes=1500)

        assert read_sweep(run_syscall(loaded.program(names.sweep).fd, sweep_context(0)).context).live[2] == 1
        table = "flow_reverse_ipv6"
        for context, removed in ((end_context(store, table, KEY, 0), 0), (remove_ended_context(store, table, KEY), 1)):
            assert read_delete(run_syscall(loaded.program(names.end_key).fd, context).context).removed == removed
        assert not any(map(store.decode_slot, (value for _, value in loaded.map(store.store.name).items())))
