"""Default entries that may be modified and entries from the start, in P4 and in P4Info."""

from __future__ import annotations

import pytest

from compiler.ir.text import from_text
from compiler.printers.p4.printing import print_pna, print_v1model
from compiler.printers.p4.refusals import UnprintableError
from compiler.printers.p4info import p4info
from tests.pipelines.fixed import TEXT, fixed_pipeline

KINDS = """
        const default_action = call_it(9);
        size = 16;
        counters = kinds_count;
        const entries = {
            (0x010000000000 &&& 0x010000000000, _, _) : call_it(1);
            (_, 0x0800 .. 0x86ff, _) : call_it(2);
            (_, _, 0x020000000001) : call_it(3);
        }
"""
PORTS = """
        default_action = to(5);
        size = 4;
        counters = ports_count;
        entries = {
            const (1, 1) : to(7);
            (2, 1) : nothing();
        }
"""


UNCOUNTED = TEXT.replace("  counter 0x13000001\n", "").replace("  counter 0x13000002\n", "")


def test_both_profiles_print_them() -> None:
    assert KINDS in print_v1model(fixed_pipeline())
    assert PORTS in print_v1model(fixed_pipeline())
    text = print_pna(from_text(UNCOUNTED))
    assert KINDS.replace("        counters = kinds_count;\n", "") in text
    assert PORTS.replace("        counters = ports_count;\n", "") in text


def test_pna_counts_where_an_action_runs() -> None:
    with pytest.raises(UnprintableError) as refused:
        print_pna(from_text(TEXT.replace("  counter 0x13000002\n", "")))
    assert "action call_it, which counts hits, as a default action that is not counted" in str(refused.value)


def test_priorities_are_written_where_the_order_does_not_say_them() -> None:
    text = TEXT.replace("  const entries {\n    0x1", "  entries {\n    const 0x1")
    printed = print_v1model(from_text(text))
    assert "            const priority = 3 : (0x010000000000 &&& 0x010000000000, _, _) : call_it(1);" in printed
    assert "            priority = 1 : (_, _, 0x020000000001) : call_it(3);" in printed


def test_p4info() -> None:
    kinds, ports, networks = p4info(fixed_pipeline()).tables
    assert (kinds.is_const_table, kinds.has_initial_entries, kinds.const_default_action_id) == (True, True, 0x01000003)
    assert (ports.is_const_table, ports.has_initial_entries, ports.const_default_action_id) == (False, True, 0)
    assert (networks.is_const_table, networks.has_initial_entries) == (False, False)
    call = ports.initial_default_action
    assert (call.action_id, [(a.param_id, a.value) for a in call.arguments]) == (0x01000001, [(1, b"\5")])
