"""References and restrictions of actions, in P4 and in P4Info."""

from __future__ import annotations

from compiler.printers.p4.printing import print_pna, print_v1model
from compiler.printers.p4info import p4info
from tests.conformance.referring import referring_pipeline

KEY = 'meta.interface : exact @name("interface") @refers_to(interface, id);'
ACTIONS = """
    @id(0x01000003) @name(".set_next_hop")
    action set_next_hop(
        @refers_to(interface, id) @refers_to(neighbor, interface) bit<8> interface,
        @format(IPV4_ADDRESS) @refers_to(neighbor, address) bit<32> address
    ) {
"""
GROUP = """
    @id(0x01000005) @name(".to_group")
    @action_restriction("group != 0")
    action to_group(@refers_to(builtin::multicast_group_table, multicast_group_id) bit<16> group) {
"""


def test_in_both_profiles() -> None:
    for printed in (print_v1model(referring_pipeline()), print_pna(referring_pipeline())):
        assert KEY in printed
        assert ACTIONS in printed
        assert GROUP in printed


def test_in_p4info_as_p4c_spells_it() -> None:
    info = p4info(referring_pipeline())
    actions = {action.preamble.name: action for action in info.actions}
    assert [list(param.annotations) for param in actions["set_next_hop"].params] == [
        ["@refers_to(interface , id)", "@refers_to(neighbor , interface)"],
        ["@format(IPV4_ADDRESS)", "@refers_to(neighbor , address)"],
    ]
    assert list(actions["to_group"].params[0].annotations) == [
        "@refers_to(builtin : : multicast_group_table , multicast_group_id)"
    ]
    assert list(actions["to_group"].preamble.annotations) == ['@action_restriction("group != 0")']
    neighbor = next(table for table in info.tables if table.preamble.name == "neighbor")
    assert [list(field.annotations) for field in neighbor.match_fields] == [
        ["@refers_to(interface , id)"],
        ["@format(IPV4_ADDRESS)"],
    ]
