"""Tables with every kind of match, in both profiles and in P4Info."""

from __future__ import annotations

from compiler.ir.text import from_text
from compiler.printers.p4.printing import print_pna, print_v1model
from compiler.printers.p4info import p4info
from tests.pipelines.acl import TEXT, acl_pipeline

FOR_PNA = TEXT.replace("forward meta.out + meta.member", "forward meta.out").replace("{ meta.out = 0 }", "{ }")
"""PNA sends a packet only to a port that an action was given."""
KEY = """
        key = {
            meta.ingress_port : exact @name("port");
            hdr.probe.address : lpm @name("address");
            hdr.probe.wide : ternary @name("wide") @format(IPV6_ADDRESS);
            hdr.probe.port : range @name("number");
            hdr.probe.kind : optional @name("kind");
        }
"""


def test_the_key_of_a_table() -> None:
    assert KEY in print_v1model(acl_pipeline())
    assert KEY in print_pna(from_text(FOR_PNA))


RESTRICTION = '@entry_restriction("number::low != 666; kind::mask != 0 && kind == 9 -> ::priority < 100")'


def test_the_restriction_of_a_table() -> None:
    assert f"    {RESTRICTION}\n    table acl {{" in print_v1model(acl_pipeline())
    assert f"    {RESTRICTION}\n    table acl {{" in print_pna(from_text(FOR_PNA))
    assert list(p4info(acl_pipeline()).tables[0].preamble.annotations) == [RESTRICTION]


def test_match_types_of_p4info() -> None:
    acl = p4info(acl_pipeline()).tables[0]
    assert [field.MatchType.Name(field.match_type) for field in acl.match_fields] == [
        "EXACT",
        "LPM",
        "TERNARY",
        "RANGE",
        "OPTIONAL",
    ]
