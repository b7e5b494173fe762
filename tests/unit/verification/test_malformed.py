"""Faults are pure, come in the ways they say, change something, and take any bytes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.verification import anatomy
from runtime.verification.malformed.bases import base_frames
from runtime.verification.malformed.catalogue import BY_NAME, FAULTS
from runtime.verification.malformed.fault import Fault, damaged

SYN, SYN_V6 = (next(base.frame for base in base_frames() if base.name == f"syn v{version}") for version in (4, 6))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_fault_damages_one_of_the_frames_in_most_of_its_ways(fault: Fault) -> None:
    changing = {
        case
        for base in base_frames()
        for case in range(0, fault.cases, max(1, fault.cases // 60))
        if fault(base.frame, case) != base.frame
    }
    assert len(changing) > 0.6 * len(range(0, fault.cases, max(1, fault.cases // 60)))


@settings(derandomize=True, database=None, deadline=None, max_examples=300)
@given(
    frame=st.binary(max_size=200)
    | st.sampled_from(base_frames()).flatmap(
        lambda base: st.integers(0, len(base.frame)).map(lambda end: base.frame[:end])
    ),
    fault=st.sampled_from(FAULTS),
    case=st.integers(0, 10_000),
)
def test_a_fault_takes_any_bytes_and_does_the_same_again(frame: bytes, fault: Fault, case: int) -> None:
    if frame:
        assert fault(frame, case) == fault(frame, case)


def test_faults_one_after_the_other() -> None:
    result = damaged(SYN, [("ipv4: time to live", 3), ("cut", 30)], BY_NAME)
    assert result[22] == 0xFF
    assert len(result) == 44


def test_a_field_of_the_header_with_and_without_a_checksum_that_fits() -> None:
    fault = BY_NAME["ipv4: traffic class"]
    fitting, other = fault(SYN, 3), fault(SYN, 7)
    assert fitting[15] == other[15] == 0xFF
    assert other[24:26] == SYN[24:26] != fitting[24:26]
    assert anatomy.fitted(fitting) == fitting


def test_an_option_makes_the_header_longer() -> None:
    longer = BY_NAME["ipv4 options"](SYN, 0)
    assert (longer[14], len(longer)) == (0x46, len(SYN) + 4)
    assert anatomy.fitted(longer) == longer


def test_a_tiny_first_fragment_ends_in_the_transport_header() -> None:
    tiny = BY_NAME["ipv4 fragment"](SYN, 1)
    assert (tiny[20:22], len(tiny)) == (b"\x20\0", 34 + 8)


def test_an_overlapping_fragment_begins_in_the_transport_header() -> None:
    overlapping = BY_NAME["ipv4 fragment"](SYN, 6)
    assert overlapping[20:22] == b"\0\1"
    assert overlapping[34:] == SYN[42:50]


def test_extension_headers_come_in_a_chain() -> None:
    longer = BY_NAME["ipv6 extension headers"](SYN_V6, 7 * 6)
    names = [part.name for part in anatomy.parts(longer)]
    chain = ["hop_by_hop", "destination_options", "routing", "fragment", "destination_options"]
    assert names == ["ethernet", "ipv6", *chain, "tcp"]


def test_an_error_quotes_the_answer() -> None:
    error = BY_NAME["ICMP error"](SYN, 2)
    icmp, quoted = anatomy.last(error, "icmp"), error[42:]
    assert icmp is not None
    assert error[26:34] == SYN[26:34]
    assert (error[icmp.start], error[icmp.start + 1]) == (3, 3)
    assert (quoted[12:16], quoted[16:20]) == (SYN[30:34], SYN[26:30])
    assert (quoted[20:22], quoted[22:24]) == (SYN[36:38], SYN[34:36])


def test_an_error_about_an_error_holds_two_more_headers() -> None:
    fault = BY_NAME["ICMP error about an error"]
    assert [len(fault(SYN, case)) - len(SYN) for case in range(3)] == [28, 56, 84]


def test_a_tunnel_within_the_tunnel() -> None:
    frame = next(base.frame for base in base_frames() if base.name == "tunnelled v4")
    names = [part.name for part in anatomy.parts(BY_NAME["odd inner frame"](frame, 0))]
    tunnel = ["ethernet", "ipv4", "udp", "vxlan"]
    assert names == [*tunnel, *tunnel, "ethernet", "ipv4", "udp"]
