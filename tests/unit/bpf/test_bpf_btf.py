"""The BTF reader: on what both compilers write, on bytes made by hand, and on damaged ones."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.bpf.btf import Btf, BtfError, Member, Struct, Variable
from runtime.bpf.elf import opened


def blob(types: bytes, strings: bytes) -> bytes:
    """A header of version 1 before the two sections."""
    return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings)) + types + strings


def entry(name: int, kind: int, count: int, size_or_type: int, *rest: int, flag: bool = False) -> bytes:
    info = kind << 24 | count | (flag << 31)
    return struct.pack(f"<{3 + len(rest)}I", name, info, size_or_type, *rest)


STRINGS = b"\0int\0key\0a\0b\0.rodata\0flag\0"
INT_AT, KEY_AT, A_AT, B_AT, RODATA_AT, FLAG_AT = 1, 5, 9, 11, 13, 21
SIGNED = 1 << 24
TYPES = (
    entry(INT_AT, 1, 0, 4, 32 | SIGNED)  # 1: int
    + entry(0, 10, 0, 1)  # 2: const int
    + entry(0, 9, 0, 2)  # 3: volatile const int
    + entry(FLAG_AT, 14, 0, 3, 1)  # 4: var flag
    + entry(RODATA_AT, 15, 1, 8, 4, 4, 4)  # 5: .rodata {flag at 4, 4 bytes}
    + entry(0, 3, 0, 0, 1, 1, 6)  # 6: int[6]
    + entry(KEY_AT, 4, 2, 28, A_AT, 1, 3 << 24, B_AT, 6, 32, flag=True)  # 7: struct key
    + entry(0, 2, 0, 7)  # 8: struct key *
)


def test_variables_and_structs() -> None:
    btf = Btf(blob(TYPES, STRINGS))
    assert btf.variables() == (Variable(name="flag", section=".rodata", offset=4, size=4, is_signed=True),)
    members = (
        Member(name="a", offset_bits=0, size=4, width_bits=3),
        Member(name="b", offset_bits=32, size=24),
    )
    assert btf.structs() == (Struct(name="key", size=28, members=members),)
    assert btf.struct("nothing") is None
    assert [btf.size_of(n) for n in (0, 1, 3, 6, 7, 8)] == [0, 4, 4, 24, 28, 8]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "ends early or is damaged"),
        (b"\x7fELF" + bytes(40), "BTF starts with 0x457f, not 0xeb9f"),
        (blob(entry(0, 25, 0, 0), b"\0"), "BTF kind 25 is unknown"),
        (blob(TYPES, STRINGS)[:60], "BTF says"),
        (blob(entry(99, 1, 0, 4, 32), b"\0"), "ends early or is damaged"),
    ],
)
def test_damaged(raw: bytes, words: str) -> None:
    with pytest.raises(BtfError, match=words):
        Btf(raw)


def test_types_in_a_ring() -> None:
    btf = Btf(blob(entry(0, 9, 0, 2) + entry(0, 10, 0, 1), b"\0"))
    with pytest.raises(BtfError, match="in a ring"):
        btf.size_of(1)


@given(st.binary(max_size=200), st.integers(0, 150))
def test_no_bytes_bring_it_down(noise: bytes, at: int) -> None:
    raw = blob(TYPES, STRINGS)
    try:
        btf = Btf(raw[:at] + noise + raw[at + len(noise) :])
        btf.variables()
        btf.structs()
    except BtfError:
        return


def test_what_the_compiler_wrote(program_elf: Callable[[str], bytes]) -> None:
    with opened(program_elf("basics"), "test") as handle:
        btf = handle.btf()
    assert btf is not None
    assert btf.struct("counted") == Struct(
        name="counted",
        size=16,
        members=(
            Member(name="kind", offset_bits=0, size=1),
            Member(name="low", offset_bits=8, size=4, width_bits=3),
            Member(name="packets", offset_bits=64, size=8),
        ),
    )


@pytest.mark.slow
def test_the_running_kernel_can_be_read() -> None:
    vmlinux = Path("/sys/kernel/btf/vmlinux")
    if not vmlinux.exists():
        pytest.skip("kernel lacks BTF")
    with vmlinux.open("rb") as file:
        btf = Btf(file.read())
    names = {s.name: s for s in btf.structs() if s.name in ("__sk_buff", "xdp_md")}
    assert (names["__sk_buff"].size, names["xdp_md"].size) == (192, 24)
