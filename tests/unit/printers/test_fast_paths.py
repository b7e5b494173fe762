"""Which packets have a fast path, where they are taken over, and which pipelines have none."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from compiler.ir.expressions import Binary, Const, FieldRef, MetaRef, Operator
from compiler.ir.headers import Match
from compiler.ir.nodes import Heat, Pipeline
from compiler.ir.statements import If, Run
from compiler.pipeline.assembly import pipeline
from compiler.printers.ebpf.fastkinds import Masked, masked
from compiler.printers.ebpf.printing import pipeline_view, print_c
from compiler.printers.ebpf.wire import sum_of_header
from runtime.bpf.chains import Hook
from runtime.build import compile_source


def cooled(*names: str) -> Pipeline:
    """The pipeline with some of its hot controls cold."""
    whole = pipeline()
    assert {control.name for control in whole.controls if control.heat is Heat.HOT} >= set(names)
    controls = tuple(replace(c, heat=Heat.COLD) if c.name in names else c for c in whole.controls)
    return replace(whole, controls=controls)


def test_the_kinds_are_those_of_connections() -> None:
    fast = pipeline_view(pipeline(), {}).fast
    assert fast is not None
    assert {(kind.name, kind.size) for kind in fast.kinds} == {
        (f"fast_{tunnel}ethernet_ipv{version}_{transport}", outer + 14 + network + size)
        for tunnel, outer in (("", 0), ("vxlan_", 50))
        for version, network in ((4, 20), (6, 40))
        for transport, size in (("tcp", 20), ("udp", 8))
    }
    assert fast.hits == (("flow_ipv4", "connections_ipv4"), ("flow_ipv6", "connections_ipv6"))


@pytest.mark.slow
def test_a_packet_is_taken_over_before_it_is_changed() -> None:
    fast = pipeline_view(pipeline(), {}).fast
    assert fast is not None
    bodies = {control.name: "\n".join(control.lines) for control in fast.controls}
    assert [name for name, body in bodies.items() if "take_over(" in body] == ["fast_forward"]
    before, after = re.split(r"\ttake_over\(scratch, known\);\n", bodies["fast_forward"])
    assert not re.search(r"packet_|forward_to|drop_for", before)
    assert "UNDECIDED" not in after


def test_what_opens_a_connection_is_left_to_the_whole_program() -> None:
    """Of TCP, by its flags, where they are in a packet of the kind; and once for each."""
    fast = pipeline_view(pipeline(), {}).fast
    assert fast is not None
    lines = [line.strip() for line in fast.dispatch]
    for kind, flags in (("ethernet_ipv4_tcp", "data + 34 + 13"), ("vxlan_ethernet_ipv6_tcp", "data + 104 + 13")):
        called = lines.index(f"return fast_{kind}(ctx, port);")
        assert lines[called - 2 : called] == [f"if ((read_u8({flags}) & 23) == 2)", "return PACKET_UNDECIDED;"]
    assert sum("& 23) == 2" in line for line in lines) == sum("_tcp(ctx, port)" in line for line in lines)


def test_a_hint_of_other_metadata_or_another_form_asks_nothing_of_the_packet() -> None:
    flags = FieldRef(header="tcp", name="flags", width_bits=8)
    known = {"tcp_flags": flags}
    meta, two = MetaRef(name="tcp_flags", width_bits=8), Const(value=2, width_bits=8)
    other = MetaRef(name="leg", width_bits=8)
    is_two = Binary(operator=Operator.EQ, left=meta, right=two)
    assert masked(is_two, known) == Masked(field=flags, match=Match(value=2))
    assert masked(replace(is_two, left=other), known) is None
    assert masked(replace(is_two, operator=Operator.NE), known) is None
    assert masked(replace(is_two, right=meta), known) is None
    assert masked(meta, known) is None


def test_a_control_is_not_run_where_nothing_is_in_its_tables() -> None:
    text = print_c(pipeline())
    used = "uses_isolated_source_ipv4 || uses_isolated_destination_ipv4"
    assert f"if (({used}) && police_ipv4() == DONE)" in text


def test_what_is_cold_leads_to_the_whole_program() -> None:
    fast = pipeline_view(cooled("connection_ipv6"), {}).fast
    assert fast is not None
    assert not [kind.name for kind in fast.kinds if "ipv6" in kind.name]


def test_no_fast_path_where_something_cold_follows_a_change() -> None:
    whole = pipeline()
    tagged = Binary(
        operator=Operator.NE,
        left=MetaRef(name="egress_vlan", width_bits=12),
        right=Const(value=0, width_bits=12),
    )
    late = If(condition=tagged, then=(Run(control="answer_arp"),))
    controls = tuple(
        replace(control, body=(*control.body[:-1], late, control.body[-1])) if control.name == "forward" else control
        for control in whole.controls
    )
    changed = replace(whole, controls=controls)
    assert pipeline_view(changed, {}).fast is None
    assert "uses_fast_path" not in print_c(changed)
    assert compile_source(print_c(changed), Hook.TC)


def test_no_fast_path_without_hot_controls() -> None:
    whole = pipeline()
    cold = replace(whole, controls=tuple(replace(control, heat=Heat.COLD) for control in whole.controls))
    assert pipeline_view(cold, {}).fast is None


def test_a_header_is_summed_from_its_values() -> None:
    header = next(h for h in pipeline().header_types if h.name == "ipv4")
    values = {
        "version": Const(value=4, width_bits=4),
        "header_length": Const(value=5, width_bits=4),
        "ttl": Const(value=64, width_bits=8),
        "protocol": Const(value=17, width_bits=8),
        "traffic_class": MetaRef(name="traffic_class", width_bits=8),
        "src": MetaRef(name="tunnel_src", width_bits=32),
    }
    assert sum_of_header(header, values) == "0x8511ull + scratch->meta.traffic_class + scratch->meta.tunnel_src"
