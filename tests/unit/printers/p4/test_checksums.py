"""The sums that the programs make behind the pipeline, against the interpreter's, rewrite by rewrite."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.ir.interpreter.checksums import computed
from compiler.ir.interpreter.packet import Packet
from compiler.ir.interpreter.rewriting import rewrite
from compiler.ir.names import Names
from compiler.pipeline.assembly import pipeline
from compiler.pipeline.portable import portable_pipeline
from compiler.printers.p4.checksums import Group, Update, rewrite_plan
from compiler.printers.p4.cutting import computations
from compiler.printers.p4.paths import companions, header_sets
from compiler.printers.p4.refusals import UnprintableError
from compiler.printers.p4.sums import SumPrinter, sums
from compiler.printers.p4.v1model import program

NAMES = Names(portable_pipeline())
PLAN = rewrite_plan(portable_pipeline())
STACKS = {
    "tcp over ipv4": ("ethernet", "ipv4", "tcp"),
    "udp over ipv4": ("ethernet", "ipv4", "udp"),
    "tcp over ipv6": ("ethernet", "ipv6", "tcp"),
    "udp over ipv6": ("ethernet", "ipv6", "udp"),
    "solicitation": ("ethernet", "ipv6", "icmpv6", "neighbor"),
}
REWRITES = {
    "tcp over ipv4": ("ipv4.src", "ipv4.dst", "tcp.src_port", "tcp.dst_port"),
    "udp over ipv4": ("ipv4.src", "ipv4.dst", "udp.src_port", "udp.dst_port"),
    "tcp over ipv6": ("ipv6.src", "ipv6.dst", "tcp.src_port", "tcp.dst_port"),
    "udp over ipv6": ("ipv6.src", "ipv6.dst", "udp.src_port", "udp.dst_port"),
    "solicitation": (
        "ipv6.src",
        "ipv6.dst",
        "icmpv6.type",
        "icmpv6.rest",
        "neighbor.option_type",
        "neighbor.option_mac",
    ),
}
Fields = Mapping[str, Mapping[str, int]]


def group_bytes(group: Group, fields: Fields) -> bytes:
    widths = {f.name: f.width_bits for f in NAMES.header_types[group.header].fields}
    number = 0
    for name in group.fields:
        number = number << widths[name] | fields[group.header][name]
    return number.to_bytes(group.width_bits // 8, "big")


def csum16(data: bytes) -> int:
    """As BMv2: the complement of the one's complement sum, 0xffff for nothing but zeros."""
    return computed(data)


def complement(data: bytes) -> bytes:
    return bytes(byte ^ 0xFF for byte in data)


def matches(update: Update, fields: Fields) -> bool:
    present = all(name in fields for name in (update.holder, *update.present))
    return present and not any(name in fields for name in update.absent)


def behind_the_pipeline(before: Fields, after: Fields, touched: frozenset[str]) -> dict[str, int]:
    """The checksums that the program computes, by holder."""
    made: dict[str, int] = {}
    for update in PLAN.updates:
        old = before.get(update.holder, {}).get(update.field, 0)
        if update.holder in touched and matches(update, after) and not (update.zero_is_none and old == 0):
            assert update.holder not in made, "one update a packet"
            own = complement(old.to_bytes(2, "big"))
            olds = b"".join(complement(group_bytes(group, before)) for group in update.groups)
            news = b"".join(group_bytes(group, after) for group in update.groups)
            value = csum16(b"\xff\xff" + own + olds + news)
            made[update.holder] = 0xFFFF if update.zero_is_none and value == 0 else value
    return made


@pytest.mark.parametrize("stack", STACKS)
@given(data=st.data())
def test_one_sum_at_the_end_is_every_rewrite_on_the_way(stack: str, data: st.DataObject) -> None:
    raw = data.draw(st.binary(min_size=140, max_size=140))
    packet = Packet(NAMES, raw)
    for header in STACKS[stack]:
        packet.extract(header)
    for holder in ("tcp", "udp", "icmpv6"):
        if packet.is_valid(holder):
            edge = st.sampled_from([0, 1, 0xFFFE, 0xFFFF])
            packet.write(holder, "checksum", data.draw(edge | st.integers(0, 0xFFFF)))
    before = {header: dict(fields) for header, fields in packet.fields.items()}
    for _ in range(data.draw(st.integers(1, 3))):
        rewrite(packet, NAMES, {_split(path): _value(data, path) for path in REWRITES[stack]})
    touched = frozenset(PLAN.holders)
    for holder, value in behind_the_pipeline(before, packet.fields, touched).items():
        assert value == packet.fields[holder]["checksum"], holder


def _split(path: str) -> tuple[str, str]:
    header, _, name = path.partition(".")
    return header, name


def _value(data: st.DataObject, path: str) -> int:
    header, name = _split(path)
    width = next(f.width_bits for f in NAMES.header_types[header].fields if f.name == name)
    top = (1 << width) - 1
    return data.draw(st.sampled_from([0, top]) | st.integers(0, top))


def test_the_plan_remembers_what_rewrites_change() -> None:
    remembered = {header: [group.fields for group in groups] for header, groups in PLAN.complements}
    assert remembered["ipv4"] == [
        ("version", "header_length", "traffic_class"),
        ("ttl", "protocol"),
        ("checksum",),
        ("src",),
        ("dst",),
    ]
    assert remembered["ipv6"] == [("src",), ("dst",)]
    assert PLAN.holders == ("ipv4", "tcp", "udp", "icmpv6")
    assert [holder for holder, _ in PLAN.zero_fixes] == ["udp"]


def test_pushed_headers_are_computed_from_what_is_quoted() -> None:
    found = {(c.holder, c.present): c.data for c in computations(portable_pipeline())}
    assert set(found) == {
        ("error_ipv4", ()),
        ("error_icmp", ("tcp",)),
        ("error_icmp", ("udp",)),
        ("error_icmpv6", ("tcp",)),
        ("error_icmpv6", ("udp",)),
        ("outer_ipv4", ()),
    }
    assert found["error_icmp", ("tcp",)][-3:] == (("tcp", "src_port"), ("tcp", "dst_port"), ("tcp", "sequence"))
    pseudo = (("error_ipv6", "src"), ("error_ipv6", "dst"), (56, 32), (0, 24), ("error_ipv6", "next_header"))
    assert found["error_icmpv6", ("udp",)][:5] == pseudo


def test_headers_meet_as_the_parser_says() -> None:
    assert frozenset(("ethernet", "ipv4", "tcp")) in header_sets(portable_pipeline())
    assert not any({"tcp", "udp"} <= found for found in header_sets(portable_pipeline()))
    others = frozenset(("ipv4", "ipv6", "neighbor"))
    assert companions(portable_pipeline(), "icmpv6", others) == (frozenset(("ipv6", "neighbor")), frozenset(("ipv6",)))


def test_a_udp_checksum_of_zero_is_left_and_a_new_one_is_mended() -> None:
    ids = program(portable_pipeline()).ids
    views = SumPrinter(names=NAMES, ids=ids, sums=sums(portable_pipeline(), ids)).all()
    update = next(v for v in views if v.target == "hdr.udp.checksum" and "hdr.ipv4.isValid()" in v.condition)
    assert update.condition.endswith("meta.sums.update_udp == 1 && hdr.udp.checksum != 0")
    fix = next(v for v in views if v.data == ("16w0",))
    assert "meta.sums.not_udp_checksum != 0xffff && hdr.udp.checksum == 0" in fix.condition
    assert views.index(fix) > views.index(update)


def test_a_checksum_that_another_one_covers_is_refused() -> None:
    """The whole pipeline rewrites what ICMP errors quote; what is printed as P4 does not."""
    with pytest.raises(UnprintableError, match=r"the checksum of quoted_\w+ changes, and that of icmp\w* covers it"):
        rewrite_plan(pipeline())
