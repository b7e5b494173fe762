"""Packets to and from controllers in the printed programs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from compiler.printers.p4.printing import print_pna, print_v1model
from compiler.printers.p4.refusals import UnprintableError
from compiler.printers.p4info import p4info
from compiler.printers.v1model_p4info import v1model_p4info
from tests.pipelines.controllers import controllers

PARTS = (
    "const bit<9> CPU_PORT = 509;\n",
    """\
@controller_header("packet_in")
header packet_in_t {
    @id(1) bit<16> ingress_port;
    @id(2) bit<6> reason;
    @id(4) bit<10> entropy;
}
""",
    """\
@controller_header("packet_out")
header packet_out_t {
    @id(1) bit<16> egress_port;
    @id(2) bit<1> submit_to_ingress;
    @padding @id(3) bit<7> unused;
}
""",
    """\
struct headers_t {
    packet_in_t packet_in;
    packet_out_t packet_out;
    ethernet_t ethernet;
}
""",
    """\
    state start {
        meta.ingress_port = (bit<16>)standard.ingress_port;
        transition select(standard.ingress_port) {
            CPU_PORT: from_controller;
            default: frame;
        }
    }

    /// In front of a frame that comes from the controller.
    state from_controller {
        packet.extract(hdr.packet_out);
        transition select(hdr.packet_out.submit_to_ingress) {
            1: frame;
            default: accept;
        }
    }

    state frame {
        packet.extract(hdr.ethernet);
        transition accept;
    }
""",
    """\
                hdr.packet_in = {
                    ingress_port = meta.ingress_port,
                    reason = meta.reason,
                    entropy = 0
                };
                standard.egress_spec = CPU_PORT;
                exit;
""",
    """\
        if (hdr.packet_out.isValid()) {
            if (hdr.packet_out.submit_to_ingress == 0) {
                standard.egress_spec = (bit<9>)hdr.packet_out.egress_port;
                hdr.packet_out.setInvalid();
                exit;
            }
            hdr.packet_out.setInvalid();
        }
        standard.egress_spec = KERNEL_PORT;
""",
)


@pytest.mark.parametrize("part", PARTS)
def test_v1model_puts_headers_in_front_of_frames(part: str) -> None:
    assert part in print_v1model(controllers())


def test_pna_has_no_words_for_them() -> None:
    with pytest.raises(UnprintableError, match=r"PNA cannot say it: packets that come from the controller$"):
        print_pna(controllers())
    with pytest.raises(UnprintableError, match=r"PNA cannot say it: a packet that goes to the controller$"):
        print_pna(replace(controllers(), packet_out=None))


def test_p4info_says_what_the_metadata_is() -> None:
    ours, p4c = p4info(controllers()), v1model_p4info(controllers())
    assert [(m.preamble.id, m.preamble.name) for m in ours.controller_packet_metadata] == [
        (0x04000001, "packet_in"),
        (0x04000002, "packet_out"),
    ]
    fields = [[(f.id, f.name, f.bitwidth) for f in m.metadata] for m in ours.controller_packet_metadata]
    assert fields == [
        [(1, "ingress_port", 16), (2, "reason", 6), (4, "entropy", 10)],
        [(1, "egress_port", 16), (2, "submit_to_ingress", 1), (3, "unused", 7)],
    ]
    assert [list(f.annotations) for f in ours.controller_packet_metadata[1].metadata] == [[], [], ["@padding"]]
    assert [m.preamble.id >> 24 for m in p4c.controller_packet_metadata] == [0x04, 0x04]
