"""Whole programs: what must hold for every line of them."""

from __future__ import annotations

import re

import pytest

from compiler.ir.nodes import Pipeline
from compiler.pipeline.offload import offload_pipeline
from compiler.pipeline.portable import portable_pipeline
from compiler.printers.p4.annotations import quoted
from compiler.printers.p4.printing import print_pna, print_v1model
from compiler.span import InternalError

PROGRAMS = {"v1model": (print_v1model, portable_pipeline), "PNA": (print_pna, offload_pipeline)}


def text_of(profile: str, **lines: tuple[str, ...]) -> str:
    print_it, source = PROGRAMS[profile]
    return print_it(source(), lines)


@pytest.mark.parametrize("profile", PROGRAMS)
class TestBothProfiles:
    def test_same_input_same_bytes(self, profile: str) -> None:
        assert text_of(profile) == text_of(profile)

    def test_every_table_is_applied_once(self, profile: str) -> None:
        text = text_of(profile)
        for table in portable_pipeline().tables:
            assert len(re.findall(rf"\b{table.name}\.apply\(\)", text)) == 1, table.name

    def test_every_id_is_written_down(self, profile: str) -> None:
        text, source = text_of(profile), portable_pipeline()
        parts = [*source.tables, *source.actions, *source.counters]
        parts += [t.selector for t in source.tables if t.selector is not None]
        for part in parts:
            assert f'@id(0x{part.id:08x}) @name(".{part.name}")' in text
        for table in source.tables:
            if table.counter_id is not None:
                assert f'@id(0x{table.counter_id:08x}) @name(".{table.name}_count")' in text

    def test_every_control_has_its_comment(self, profile: str) -> None:
        source: Pipeline = PROGRAMS[profile][1]()
        text = text_of(profile)
        for control in source.controls:
            assert f"/// {control.doc}\ncontrol {control.name}(" in text

    def test_nothing_trails_and_nothing_is_empty(self, profile: str) -> None:
        text = text_of(profile)
        assert not re.search(r"[ \t]+$", text, re.MULTILINE)
        assert "\n\n\n" not in text
        assert text.endswith("main;\n")
        assert not re.search(r"\) \{\n\s*\}", text)

    def test_policy_lines_are_cut_after_five(self, profile: str) -> None:
        lines = tuple(f"shop.yaml:{number} DpuService shop/web" for number in range(1, 9))
        text = text_of(profile, service_ipv4=lines)
        assert "    // shop.yaml:5 DpuService shop/web\n    // and 3 more\n    @id(0x02000013)" in text
        assert "shop.yaml:6" not in text

    def test_five_policy_lines_are_all_shown(self, profile: str) -> None:
        lines = tuple(f"shop.yaml:{number}" for number in range(1, 6))
        text = text_of(profile, service_ipv4=lines)
        assert "    // shop.yaml:5\n    @id(0x02000013)" in text


def test_v1model_learns_by_digest() -> None:
    text = text_of("v1model")
    assert "struct learn_connections_ipv4 {\n    bit<16> flow_ipv4_network;\n    bit<8> flow_ipv4_leg;\n" in text
    assert text.count("digest<learn_") == 2
    assert "add_entry" not in text


def test_pna_learns_in_the_table_itself() -> None:
    text = text_of("PNA")
    assert "digest" not in text
    for table in ("flow_ipv4", "flow_reverse_ipv4", "flow_ipv6", "flow_reverse_ipv6"):
        assert f"@defaultonly learn_{table};" in text
        assert f"const default_action = learn_{table}();" in text
    assert text.count("add_on_miss = true;") == text.count("add_entry(") == 4
    assert "set_entry_expire_time((ExpireTimeProfileId_t)CONNECTIONS_IPV4_TCP_ESTABLISHED);" in text


@pytest.mark.parametrize("text", ['say "hi"', "back\\slash", "two\nlines"])
def test_documentation_that_p4info_would_garble_is_refused(text: str) -> None:
    with pytest.raises(InternalError, match="cannot be printed as a P4 string"):
        quoted(text)
