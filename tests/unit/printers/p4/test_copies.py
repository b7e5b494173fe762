"""Copies of packets in the printed programs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compiler.ir.nodes import Pipeline
from compiler.ir.text import from_text
from compiler.ir.verifier import check
from compiler.printers.p4.printing import print_pna, print_v1model
from compiler.printers.p4.refusals import UnprintableError
from tests.pipelines.controllers import controllers
from tests.pipelines.replicating import PATH, replicating

PARTS = (
    """\
    bit<16> said_ingress_port;
    bit<16> said_reason;
    @field_list(1) bit<16> cloned_ingress_port;
    @field_list(1) bit<16> cloned_reason;
    bit<1> not_back;
    sums_t sums;
""",
    """\
        if (meta.mirror == 1) {
            meta.cloned_ingress_port = meta.ingress_port;
            meta.cloned_reason = 1;
            clone_preserving_field_list(CloneType.I2E, (bit<32>)meta.session, 1);
        }
""",
    """\
        if (meta.group == 0) {
            dropped.count(DROP_UNKNOWN_GROUP);
            mark_to_drop(standard);
        } else {
            meta.said_ingress_port = meta.ingress_port;
            meta.said_reason = 3;
            meta.not_back = 1;
            standard.mcast_grp = meta.group;
        }
        exit;
""",
    """\
/// Each copy of a packet, where its port is known.
control egress_copies(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard) {
    apply {
        if (standard.instance_type == 5 && meta.not_back == 1
            && standard.egress_port == standard.ingress_port) {
            mark_to_drop(standard);
        }
        if (standard.instance_type == 5 && standard.egress_port == CPU_PORT) {
            hdr.packet_in = {
                ingress_port = meta.said_ingress_port,
                reason = meta.said_reason
            };
        }
        if (standard.instance_type == 1 && standard.egress_port == CPU_PORT) {
            hdr.packet_in = {
                ingress_port = meta.cloned_ingress_port,
                reason = meta.cloned_reason
            };
        }
    }
}
""",
    "V1Switch(parse(), verify_checksums(), process(), egress_copies(), update_checksums(), deparse()) main;\n",
)


def bare(session: str = "meta.session") -> Pipeline:
    """Packets are cloned, and the copies say nothing."""
    said = "clone meta.session { ingress_port = meta.ingress_port  reason = 1 }"
    text = PATH.read_text().replace(said, f"clone {session}")
    begin, end = text.index("control leave"), text.index("/// All of it.")
    made = from_text(text[:begin] + "control leave { forward meta.egress_port }\n" + text[end:])
    return check(replace(made, packet_in=None, packet_out=None))


@pytest.mark.parametrize("part", PARTS)
def test_v1model_copies_by_groups_and_sessions(part: str) -> None:
    assert part in print_v1model(replicating())


def test_v1model_has_nothing_of_it_without_copies() -> None:
    printed = print_v1model(controllers())
    assert "egress_copies" not in printed
    assert "said_" not in printed
    assert "clone(CloneType.I2E, (bit<32>)meta.session);" in print_v1model(bare())
    assert "egress_copies" not in print_v1model(bare())


def test_pna_mirrors_and_knows_no_groups() -> None:
    assert "            mirror_packet((MirrorSlotId_t)0, (MirrorSessionId_t)7);\n" in print_pna(bare("7"))
    for session in ("meta.session", "0"):
        with pytest.raises(UnprintableError, match=r"a clone session that is no constant, or 0, which PNA keeps "):
            print_pna(bare(session))
    whole = replace(replicating(), packet_out=None)
    with pytest.raises(UnprintableError, match=r"PNA cannot say it: a packet that goes to a multicast group$"):
        print_pna(whole)
