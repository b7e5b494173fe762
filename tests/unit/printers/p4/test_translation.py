"""Translated types in P4 and in P4Info, as p4c makes it of the program."""

from __future__ import annotations

from finsy.proto import p4i
from google.protobuf import text_format

from compiler.printers.p4.printing import print_v1model
from compiler.printers.p4info import p4info
from tests.conformance.naming import named_pipeline
from tests.pipelines.digests import named_digests

TYPES = (
    '@p4runtime_translation("turnout.dev/port", string)\ntype bit<16> port_id;\n',
    '@p4runtime_translation("", string)\ntype bit<4> vrf_id;\n',
    '@p4runtime_translation("turnout.dev/class", 32)\ntype bit<8> class_id;\n',
)
ACTION = """
    action leave_by(port_id port, class_id class) {
        meta.out_ = (bit<16>)port;
        meta.class = (bit<8>)class;
    }
"""


def test_in_a_program() -> None:
    printed = print_v1model(named_pipeline())
    assert all(text in printed for text in TYPES)
    assert ACTION.strip() in printed
    assert '(port_id)meta.ingress_port : exact @name("port");' in printed
    assert '(class_id)hdr.probe.class : optional @name("class");' in printed
    assert "@id(1) port_id ingress_port;" in printed
    assert "ingress_port = (port_id)meta.ingress_port," in printed
    assert "standard.egress_spec = (bit<9>)(bit<16>)hdr.packet_out.egress_port;" in printed


def test_of_a_digest() -> None:
    printed = print_v1model(named_digests())
    assert "struct mac_learn {\n    port_id port;\n    host src;\n}" in printed
    assert "digest<mac_learn>(1, { (port_id)meta.ingress_port, (host)hdr.ethernet.src });" in printed
    members = p4info(named_digests()).type_info.structs["odd_type"].members
    assert [(one.type_spec.WhichOneof("type_spec"), one.type_spec.new_type.name) for one in members] == [
        ("bitstring", ""),
        ("new_type", "host"),
        ("bitstring", ""),
    ]


def test_in_p4info() -> None:
    """The width that controllers see, and none of strings."""
    info = p4info(named_pipeline())
    port = 'id: 1 name: "port" match_type: EXACT type_name { name: "port_id" }'
    assert list(info.tables[0].match_fields) == [text_format.Parse(port, p4i.MatchField())]
    params = {action.preamble.name: list(action.params) for action in info.actions}["leave_by"]
    assert [(param.bitwidth, param.type_name.name) for param in params] == [(0, "port_id"), (32, "class_id")]
    fields = info.controller_packet_metadata[0].metadata
    assert [(f.bitwidth, f.type_name.name) for f in fields] == [
        (0, "port_id"),
        (0, "vrf_id"),
        (32, "class_id"),
        (4, ""),
    ]
    types = info.type_info.new_types
    assert types["port_id"].translated_type.uri == "turnout.dev/port"
    assert types["port_id"].translated_type.HasField("sdn_string")
    assert types["class_id"].translated_type.sdn_bitwidth == 32
