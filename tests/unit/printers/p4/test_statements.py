"""Statements: what they print in v1model, and what neither profile can say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from compiler.ir.expressions import NetworkLength
from compiler.ir.nodes import Pipeline
from compiler.ir.statements import Statement
from compiler.pipeline.notation import (
    add,
    advance,
    apply,
    assign,
    count,
    drawn,
    drop,
    eq,
    field,
    forward,
    hashed,
    learn,
    meta,
    pop,
    pop_vlan,
    push,
    push_vlan,
    pushed,
    reply,
    rewrite,
    run,
    to_kernel,
    truncate,
    valid,
    when,
)
from compiler.pipeline.offload import offload_pipeline
from compiler.pipeline.portable import portable_pipeline
from compiler.printers.p4.printing import print_pna, print_v1model
from compiler.printers.p4.refusals import UnprintableError
from tests.unit.printers.p4.pieces import printed, with_body

ROWS: tuple[tuple[tuple[Statement, ...], str], ...] = (
    ((assign(meta("leg"), 2),), "meta.leg = 2;"),
    ((count("drops", meta("mtu")),), "drops.count((bit<32>)meta.mtu);"),
    ((forward(meta("mtu")),), "standard.egress_spec = (bit<9>)meta.mtu;\nexit;"),
    ((forward(add(meta("mtu"), 1)),), "standard.egress_spec = (bit<9>)(meta.mtu + 1);\nexit;"),
    ((reply(),), "standard.egress_spec = standard.ingress_port;\nexit;"),
    ((to_kernel(),), "standard.egress_spec = KERNEL_PORT;\nexit;"),
    ((drop("no_route"),), "drops.count(DROP_NO_ROUTE);\nmark_to_drop(standard);\nexit;"),
    ((pop("outer_udp", "vxlan"),), "hdr.outer_udp.setInvalid();\nhdr.vxlan.setInvalid();"),
    ((pop_vlan(),), "hdr.ethernet.type = hdr.vlan.type;\nhdr.vlan.setInvalid();"),
    (
        (push_vlan(meta("egress_vlan")),),
        "hdr.vlan = {\n    priority = 0,\n    drop_eligible = 0,\n    id = meta.egress_vlan,\n"
        "    type = hdr.ethernet.type\n};\nhdr.ethernet.type = 0x8100;",
    ),
    (
        (when(valid("tcp"), assign(meta("leg"), 1), otherwise=(when(valid("udp"), assign(meta("leg"), 2)),)),),
        "if (hdr.tcp.isValid()) {\n    meta.leg = 1;\n} else if (hdr.udp.isValid()) {\n    meta.leg = 2;\n}",
    ),
    (
        (assign(meta("entropy"), hashed(16, meta("mtu"))),),
        "bit<16> hashed;\nhash(hashed, HashAlgorithm.crc32, 16w0, { meta.mtu }, 64w0x0000000000010000);\n"
        "meta.entropy = hashed;",
    ),
    (
        (when(eq(hashed(8, meta("mtu")), 0), assign(meta("leg"), 1)),),
        "bit<8> hashed;\nhash(hashed, HashAlgorithm.crc32, 8w0, { meta.mtu }, 64w0x0000000000000100);\n"
        "if (hashed == 0) {\n    meta.leg = 1;\n}",
    ),
    # What a v1model entry cannot be told leaves no empty branches behind.
    ((when(valid("tcp"), advance("close"), otherwise=(when(valid("udp"), advance("data")),)),), ""),
    (
        (assign(meta("mtu"), NetworkLength()),),
        "meta.mtu = hdr.ipv4.isValid() ? hdr.ipv4.total_length : hdr.ipv6.payload_length + 40;",
    ),
)


@pytest.mark.parametrize(("body", "text"), ROWS, ids=range(len(ROWS)))
def test_prints(body: tuple[Statement, ...], text: str) -> None:
    assert printed(*body) == text


def test_rewrite_sets_fields_and_tells_which_checksums() -> None:
    swap = rewrite((field("tcp.src_port"), field("tcp.dst_port")), (field("tcp.dst_port"), field("tcp.src_port")))
    assert printed(swap) == (
        "bit<16> new_dst_port = hdr.tcp.src_port;\n"
        "hdr.tcp.src_port = hdr.tcp.dst_port;\n"
        "hdr.tcp.dst_port = new_dst_port;\n"
        "meta.sums.update_tcp = 1;"
    )


def test_rewrite_of_an_address_tells_every_checksum_that_may_cover_it() -> None:
    text = printed(rewrite((field("ipv6.src"), meta("new_src_ipv6"))))
    assert text.splitlines()[1:] == [f"meta.sums.update_{h} = 1;" for h in ("tcp", "udp", "icmpv6")]


REFUSED_BY_BOTH: tuple[tuple[tuple[Statement, ...], str], ...] = (
    ((apply("neighbor"),), "table neighbor is applied twice"),
    ((run("check_ipv4"),), "control check_ipv4 is run twice"),
    ((push(pushed("error_icmp", type=3)),), "covers the rest of a packet that has not been cut"),
    (
        (rewrite((field("outer_ipv4.ttl"), 1)), push(pushed("outer_ipv4", ttl=1))),
        "outer_ipv4 is both pushed and rewritten",
    ),
    (
        (truncate("ipv4", 28), push(pushed("error_icmp", type=3)), reply()),
        "what follows ipv4 in the quoted packet is not known",
    ),
    (
        (when(valid("tcp"), truncate("ipv4", 25), push(pushed("error_icmp", type=3)), reply()),),
        "25 bytes from ipv4 on do not end at a field",
    ),
)


@pytest.mark.parametrize(("body", "words"), REFUSED_BY_BOTH, ids=range(len(REFUSED_BY_BOTH)))
@pytest.mark.parametrize("print_it", [print_v1model, print_pna])
def test_refused_by_both(print_it: Callable[[Pipeline], str], body: tuple[Statement, ...], words: str) -> None:
    changed = with_body("send_ipv4", *body)
    with pytest.raises(UnprintableError, match=words):
        print_it(changed)


REFUSED_BY_V1MODEL: tuple[tuple[tuple[Statement, ...], str], ...] = (
    (
        (learn("flow_ipv4", "translate_ipv4", profile=meta("profile")),),
        "entries of flow_ipv4, flow_reverse_ipv4 that are not learned side by side",
    ),
    ((truncate("ipv4", 28), assign(meta("leg"), 1)), "a cut packet goes on to other statements than a verdict"),
    (
        (truncate("ipv4", 28), when(valid("tcp"), assign(meta("leg"), 1)), reply()),
        "tcp is read after the packet was cut",
    ),
)


@pytest.mark.parametrize(("body", "words"), REFUSED_BY_V1MODEL, ids=range(len(REFUSED_BY_V1MODEL)))
def test_refused_by_v1model(body: tuple[Statement, ...], words: str) -> None:
    with pytest.raises(UnprintableError, match=words):
        print_v1model(with_body("send_ipv4", *body))


REFUSED_BY_PNA: tuple[tuple[tuple[Statement, ...], str], ...] = (
    ((reply(),), "back out of the port that the packet came in by"),
    ((forward(meta("mtu")),), "a port that is not the argument of a table's action"),
    ((when(valid("tcp"), truncate("ipv4", 28), drop("no_route")),), "a packet cut to a length"),
    (
        (learn("flow_ipv4", "translate_ipv4", profile=meta("profile")),),
        "flow_ipv4 learns elsewhere than in its own default action",
    ),
    ((advance("close"),), "event close leads to more than one profile"),
)


@pytest.mark.parametrize(("body", "words"), REFUSED_BY_PNA, ids=range(len(REFUSED_BY_PNA)))
def test_refused_by_pna(body: tuple[Statement, ...], words: str) -> None:
    with pytest.raises(UnprintableError, match=words):
        printed(*body, profile="PNA")


def test_pna_refuses_the_composition_for_other_targets() -> None:
    with pytest.raises(UnprintableError, match="PNA cannot say it"):
        print_pna(portable_pipeline())


def test_a_refusal_names_the_line() -> None:
    with pytest.raises(UnprintableError) as caught:
        printed(reply(), profile="PNA")
    assert caught.value.span.path.endswith("test_statements.py")


def test_pna_declares_what_actions_draw_by_and_hash_with_in_their_control() -> None:
    """Two actions of one control do not share a name, and what the control itself hashes with keeps its own."""
    changed = {
        "to_service_ipv4": assign(meta("mtu"), drawn(16)),
        "to_service_by_chance_ipv4": assign(meta("mtu"), drawn(16)),
        "to_backend_ipv4": assign(meta("mtu"), hashed(16, meta("leg"))),
    }
    source = offload_pipeline()
    actions = tuple(replace(a, body=(changed[a.name],)) if a.name in changed else a for a in source.actions)
    body = (assign(meta("mtu"), hashed(16, meta("leg"))), *_body_of("decide_ipv4", source))
    text = print_pna(with_body("decide_ipv4", *body, source=replace(source, actions=actions)))
    declared = ("Hash<bit<16>>(PNA_HashAlgorithm_t.TARGET_DEFAULT) hashed", "Random<bit<16>>(16w0, 16w0xffff) drawn")
    assert all(f"\n    {each};\n" in text and f"\n    {each}_;\n" in text for each in declared)
    assert [f"meta.mtu = {each};\n" in text for each in ("drawn.read()", "drawn_.read()")] == [True, True]
    assert text.count("meta.mtu = hashed.get_hash({ meta.leg });") == 1
    assert text.count("meta.mtu = hashed_.get_hash({ meta.leg });") == 1


def _body_of(control: str, source: Pipeline) -> tuple[Statement, ...]:
    return next(each.body for each in source.controls if each.name == control)
