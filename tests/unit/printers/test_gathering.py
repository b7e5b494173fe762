"""Maps that lie in an array of maps: which, and how C reaches them. What packets meet is the differential suite's."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.ir.walking import opening_tables
from compiler.pipeline.assembly import pipeline
from compiler.printers.ebpf.gathering import Gathering, gathered
from compiler.printers.layout import Layout, MapKind, layout
from tests.pipelines.acl import acl_pipeline

HOT = ("port", "tunnel", "neighbor", "network", "route_ipv4", "route_ipv6")
"""Tables that packets of known connections ask."""


def _gatherings() -> tuple[Gathering, ...]:
    return gathered(pipeline(), layout(pipeline())).gatherings


def _maps(laid: Layout, table: str) -> Iterator[str]:
    found = laid.table(table)
    yield from (held.name for held in (*found.maps, found.counters) if held is not None)


def test_members_have_one_shape_and_a_place_each() -> None:
    laid = {held.name: held for held in layout(pipeline()).maps}
    members = [name for one in _gatherings() for name in one.members]
    assert len(members) == len(set(members))
    for one in _gatherings():
        shapes = {(laid[n].kind, laid[n].key_size, laid[n].value_size, laid[n].no_prealloc) for n in one.members}
        assert len(shapes) == 1
        sizes = {laid[n].max_entries for n in one.members}
        assert one.shape.kind is not MapKind.PERCPU_ARRAY or sizes == {one.max_entries}
        assert len(one.members) > 1
        assert len(one.places) == len(one.members)


def test_arrays_are_made_to_be_among_others_of_other_sizes() -> None:
    laid = {held.name: held for held in layout(pipeline()).maps}
    arrays = [laid[name] for one in _gatherings() for name in one.members if laid[name].kind is MapKind.ARRAY]
    assert arrays
    assert all(held.may_be_inner for held in arrays)


def test_maps_of_hot_tables_are_named_by_the_program() -> None:
    """A look-up more would be paid by every packet."""
    members = {name for one in _gatherings() for name in one.members}
    assert not members & {name for table in HOT for name in _maps(layout(pipeline()), table)}


def test_c_reaches_a_map_wherever_it_is() -> None:
    found = gathered(pipeline(), layout(pipeline()))
    assert found.map("port") == "&port"
    assert found.entry("port", "&key") == "bpf_map_lookup_elem(&port, &key)"
    assert found.map("outbound_ipv4") == "map_in(&hash_maps_20_24_sparse, AT_OUTBOUND_IPV4)"
    assert found.entry("outbound_ipv4", "key") == "entry_in(&hash_maps_20_24_sparse, AT_OUTBOUND_IPV4, key)"


def test_meters_lie_in_arrays_where_first_packets_alone_are_counted() -> None:
    """Packets of known connections of storage ask its meter: they would pay the look-ups."""
    members = {name for one in _gatherings() for name in one.members}
    laid = layout(pipeline())
    for table, is_gathered in (("redirect_limit_ipv4", True), ("redirect_limit_ipv6", True), ("storage", False)):
        meter = laid.direct_meter(table)
        assert meter is not None
        assert {held.name in members for held in meter.maps} == {is_gathered}


def test_which_tables_first_packets_alone_ask() -> None:
    found = opening_tables(pipeline())
    assert {"service_ipv4", "source_range_ipv6", "redirect_limit_ipv4", "affinity_backend_ipv6"} <= found
    assert not found & {*HOT, "flow_ipv4", "storage", "arp", "eip_ipv4"}


def test_a_map_that_is_alone_stays_so() -> None:
    laid = layout(acl_pipeline())
    members = {name for one in gathered(acl_pipeline(), laid).gatherings for name in one.members}
    alone = laid.table("acl").map
    assert [
        held.name for held in laid.maps if (held.key_size, held.value_size) == (alone.key_size, alone.value_size)
    ] == ["acl"]
    assert "acl" not in members
