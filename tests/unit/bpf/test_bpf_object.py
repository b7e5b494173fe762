"""Loading: what an ELF declares, constants, sizes, shared and pinned maps, refusals."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.bpf.btf import Variable
from runtime.bpf.constants import MapType, ProgramType
from runtime.bpf.elf import MapSpec, ProgramSpec, inspect
from runtime.bpf.errors import KernelRefusal, ProgramRefused, UnknownName
from runtime.bpf.maps import Map, MapShape
from runtime.bpf.object import LoadSettings, Object, constant_bytes, load
from runtime.bpf.program import Program
from runtime.bpf.testrun import SkbContext, pinned_to_cpu, run_skb

Elf = Callable[[str], bytes]
FRAME = bytes(range(64))


def test_what_an_elf_declares(program_elf: Elf) -> None:
    spec = inspect(program_elf("basics"))
    maps = {m.name: m for m in spec.maps}
    assert maps["table"] == MapSpec(name="table", type=MapType.HASH, key_size=4, value_size=8, max_entries=16, flags=0)
    assert set(maps) == {"table", "counters", "slots", ".rodata", ".data"}
    assert [(p.name, p.section, p.type) for p in spec.programs] == [
        (name, "tc", ProgramType.SCHED_CLS) for name in ("rewrite", "jump", "pass", "drop")
    ]
    assert all(p.instructions > 1 for p in spec.programs)
    variables = {v.name: (v.section, v.size, v.is_signed) for v in spec.variables}
    assert variables == {
        "verdict": (".rodata", 4, False),
        "offset": (".rodata", 4, True),
        "tag": (".rodata", 4, False),
        "runs": (".data", 8, False),
    }


def test_xdp_and_syscall_sections(program_elf: Elf) -> None:
    types = {p.name: ProgramType(p.type) for p in inspect(program_elf("xdp")).programs}
    assert types == {"edge": ProgramType.XDP, "blackhole": ProgramType.XDP, "sweep": ProgramType.SYSCALL}
    assert isinstance(inspect(program_elf("xdp")).programs[0], ProgramSpec)


def test_bytes_that_are_no_elf() -> None:
    with pytest.raises(KernelRefusal, match=r"read the ELF turnout .*this is no BPF ELF"):
        inspect(b"no such thing")


@pytest.mark.parametrize(
    ("size", "signed", "value", "raw"),
    [
        (4, False, 1, b"\1\0\0\0"),
        (4, True, -2, b"\xfe\xff\xff\xff"),
        (1, False, True, b"\1"),
        (2, False, b"ab", b"ab"),
        (8, False, 2**64 - 1, b"\xff" * 8),
    ],
)
def test_constants_that_fit(size: int, signed: bool, value: int | bytes, raw: bytes) -> None:
    variable = Variable(name="x", section=".rodata", offset=0, size=size, is_signed=signed)
    assert constant_bytes(variable, value) == raw


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (256, "256 does not fit x, 1 bytes unsigned"),
        (-1, "-1 does not fit x, 1 bytes unsigned"),
        (b"ab", "x has 1 bytes, got 2"),
    ],
)
def test_constants_that_do_not_fit(value: int | bytes, words: str) -> None:
    variable = Variable(name="x", section=".rodata", offset=0, size=1, is_signed=False)
    with pytest.raises(ValueError) as caught:
        constant_bytes(variable, value)
    assert str(caught.value) == words


@pytest.mark.root
def test_constants_reach_the_program(program_elf: Elf, tmp_path: Path) -> None:
    path = tmp_path / "basics.o"
    path.write_bytes(program_elf("basics"))
    settings = LoadSettings(
        constants={"verdict": 2, "offset": -5, "tag": b"\xaa\xbb\xcc\xdd", "runs": 40}, max_entries={"table": 99}
    )
    with load(path, settings) as loaded, pinned_to_cpu() as cpu:
        run = run_skb(loaded.program("rewrite").fd, FRAME, SkbContext(cb=(10, 0, 0, 0, 0)))
        assert run.verdict == 2
        assert run.frame == b"\xaa\xbb\xcc\xdd" + FRAME[4:]
        assert run.context.cb[0] == 5
        assert loaded.map(".data").lookup(bytes(4)) == struct.pack("=Q", 41)
        assert loaded.map("table").details.max_entries == 99
        counted = loaded.map("counters").lookup(bytes(4))
        assert counted is not None
        packets = [struct.unpack_from("=Q", v, 8)[0] for v in loaded.map("counters").split_per_cpu(counted)]
        assert packets == [1 if n == cpu else 0 for n in range(len(packets))]


@pytest.mark.root
def test_what_a_load_cost(program_elf: Elf) -> None:
    with load(program_elf("basics")) as loaded:
        for program in loaded.programs.values():
            stats = program.stats
            assert 0 < stats.processed_insns < stats.insns_limit == 1_000_000
            assert stats.stack_depths != ()
            assert min(stats.xlated_bytes, stats.verification_us) > 0
        fd = loaded.program("pass").fd
    loaded.close()
    with pytest.raises(KernelRefusal):
        Program.from_fd(fd)


@pytest.mark.root
def test_a_refused_program_gives_the_telling_line(program_elf: Elf, tmp_path: Path) -> None:
    with pytest.raises(ProgramRefused) as caught:
        load(program_elf("refused"), LoadSettings(log_dir=tmp_path / "logs"))
    refused = caught.value
    assert (refused.program, refused.errno) == ("careless", errno.EACCES)
    assert refused.telling_line.startswith("R0 invalid mem access 'map_value_or_null' (at ")
    assert "`return *value;`" in refused.telling_line
    log = refused.log_path.read_text()
    assert refused.log_path.parent == tmp_path / "logs"
    assert "call bpf_map_lookup_elem#1" in log
    assert "processed" in log
    assert str(refused) == (
        f"the kernel refused program 'careless' (EACCES): {refused.telling_line}; whole log: {refused.log_path}"
    )


@pytest.mark.root
def test_a_program_left_out_is_not_judged(program_elf: Elf) -> None:
    with load(program_elf("refused"), LoadSettings(skip=frozenset({"careless"}))) as loaded:
        assert list(loaded.programs) == ["fine"]
        with pytest.raises(UnknownName, match="no program named 'careless'; known: fine"):
            loaded.program("careless")


@pytest.mark.root
def test_a_log_that_cannot_be_kept_where_asked_is_kept_elsewhere(program_elf: Elf, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ProgramRefused) as caught:
        load(program_elf("refused"), LoadSettings(log_dir=tmp_path / "file"))
    assert "map_value_or_null" in caught.value.log_path.read_text()
    caught.value.log_path.unlink()
    caught.value.log_path.parent.rmdir()


@pytest.mark.root
@pytest.mark.parametrize(
    "settings",
    [
        LoadSettings(max_entries={"tabel": 1}),
        LoadSettings(reuse={"tabel": 0}),
        LoadSettings(pins={"tabel": Path("/sys/fs/bpf/x")}),
        LoadSettings(constants={"tabel": 1}),
        LoadSettings(skip=frozenset({"tabel"})),
    ],
)
def test_unknown_names(program_elf: Elf, settings: LoadSettings) -> None:
    with pytest.raises(UnknownName, match="named 'tabel'; known: "):
        load(program_elf("basics"), settings)


@pytest.mark.root
def test_a_map_that_cannot_be(program_elf: Elf) -> None:
    with pytest.raises(KernelRefusal, match=r"load turnout \(libbpf: map 'table': failed to create.*EINVAL") as caught:
        load(program_elf("basics"), LoadSettings(max_entries={"table": 0}))
    assert caught.value.errno == errno.EINVAL


@pytest.mark.root
def test_a_given_map_is_used(program_elf: Elf) -> None:
    with load(program_elf("basics")) as first:
        given = first.map("table")
        with load(program_elf("basics"), LoadSettings(reuse={"table": given.fd})) as second:
            assert second.map("table").details.id == given.details.id
            assert second.map("counters").details.id != first.map("counters").details.id
        given.update(bytes(4), bytes(8))  # still open


@pytest.mark.root
def test_what_another_load_can_share(basics: Object) -> None:
    shape = MapShape(name="own", type=MapType.PROG_ARRAY, key_size=4, value_size=4, max_entries=1)
    with Map.create(shape) as own:
        loaded = Object({**basics.maps, "own": own}, basics.programs, basics.variables)
        assert loaded.sharable["table"] == basics.map("table").fd
        assert {".rodata", "own"} <= set(loaded.maps) - set(loaded.sharable)


@pytest.mark.root
def test_a_given_map_of_another_shape_is_refused(program_elf: Elf) -> None:
    shape = MapShape(name="small", type=MapType.HASH, key_size=4, value_size=4, max_entries=16)
    with Map.create(shape) as small, pytest.raises(KernelRefusal) as caught:
        load(program_elf("basics"), LoadSettings(reuse={"table": small.fd}))
    assert str(caught.value) == (
        "map table is (1, 4, 8) in the ELF (type, key, value bytes), the one given (1, 4, 4): Invalid argument (EINVAL)"
    )


@pytest.mark.root
def test_pinned_maps_survive(program_elf: Elf, pins: Path) -> None:
    settings = LoadSettings(pins={"table": pins / "table"})
    with load(program_elf("basics"), settings) as loaded:
        loaded.map("table").update(bytes(4), b"survived")
    with load(program_elf("basics"), settings) as loaded:
        assert loaded.map("table").lookup(bytes(4)) == b"survived"
    with pytest.raises(KernelRefusal):
        load(program_elf("basics"), LoadSettings(pins={"table": pins / "table"}, max_entries={"table": 3}))
    with pytest.raises(ValueError, match="no dot"):
        load(program_elf("basics"), LoadSettings(pins={"table": pins / "v1.table"}))


@pytest.mark.root
def test_pinned_programs_survive(basics: Object, pins: Path) -> None:
    basics.program("pass").pin(pins / "pass")
    basics.close()
    with Program.pinned(pins / "pass") as again:
        assert (again.name, again.type, again.stats.xlated_bytes > 0) == ("pass", ProgramType.SCHED_CLS, True)
        assert run_skb(again.fd, FRAME).verdict == -1
