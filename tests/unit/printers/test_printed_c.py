"""The printed C, compared with tests/golden/shop/pipeline.bpf.c, and what a compiler says of it.

TURNOUT_REFRESH=1 writes the file anew.
"""

from __future__ import annotations

import pytest

from compiler.ir.text import from_text
from compiler.ir.verifier import check
from compiler.pipeline.assembly import pipeline
from compiler.printers.ebpf.printing import print_c
from runtime.bpf.chains import Hook
from runtime.bpf.errors import ToolchainMissing
from runtime.bpf.toolchain import Compiler, compile_c, find_compiler, zig_compiler
from runtime.build import build_bundle, compile_source
from tests.goldens import GOLDEN, held
from tests.unit.printers.examples import PRINTED, ROOT, example_provenance

INCLUDE = ROOT / "ebpf" / "include"


def printed(example: str) -> str:
    return print_c(pipeline(), example_provenance(example))


@pytest.fixture(autouse=True)
def _in_the_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_prints_what_the_golden_holds() -> None:
    text = printed(PRINTED)
    assert text == held(GOLDEN / PRINTED / "pipeline.bpf.c", text), "TURNOUT_REFRESH=1 writes the goldens anew"


def test_policy_lines_stand_above_their_table() -> None:
    text = printed(PRINTED)
    above = text[: text.index("bool apply_service_ipv4(")].rpartition("/*\n")[2]
    assert " * Addresses and ports of services" in above
    assert " * examples/shop.yaml:" in above


@pytest.mark.slow
def test_no_line_of_the_printer_itself_is_left_open() -> None:
    text = print_c(pipeline())
    assert "{{" not in text
    assert "{%" not in text
    assert "None" not in text


@pytest.mark.slow
@pytest.mark.parametrize("hook", Hook, ids=lambda hook: hook.name)
@pytest.mark.parametrize("choose", [find_compiler, zig_compiler])
def test_compilers_have_nothing_to_say(hook: Hook, choose: object) -> None:
    assert callable(choose)
    try:
        compiler = choose()
    except ToolchainMissing as missing:
        pytest.skip(str(missing))
    assert isinstance(compiler, Compiler)
    defines = {f"TURNOUT_{hook.name}": "1"}
    elf = compile_c(print_c(pipeline()), include_dirs=(INCLUDE,), defines=defines, compiler=compiler)
    assert elf.startswith(b"\x7fELF")


SMALL = """
pipeline "small" version "1" main ingress drops dropped
header_type ethernet { dst: 48 src: 48 type: 16 }
header ethernet: ethernet
metadata { ingress_port: 16 }
state start { extract ethernet default -> accept }
counter 0x12000001 dropped size 2
drop_reason 1 unwanted
control ingress { if ethernet.type == 0x800 { ethernet.type = 0x86dd  forward 2:16 } drop unwanted }
"""


@pytest.mark.slow
@pytest.mark.parametrize("hook", Hook, ids=lambda hook: hook.name)
@pytest.mark.parametrize("main", ["control", "hot control"])
def test_a_pipeline_of_few_parts_compiles(hook: Hook, main: str) -> None:
    small = check(from_text(SMALL.replace("control", main)))
    assert compile_source(print_c(small), hook).startswith(b"\x7fELF")


@pytest.mark.slow
def test_bundles_of_one_pipeline_are_equal() -> None:
    assert build_bundle(pipeline()) == build_bundle(pipeline())
