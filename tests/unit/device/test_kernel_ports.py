"""Ports as users write them, slices of rings, the dispatcher's instructions, the clock."""

# ruff: noqa: E501  a row of a table is one line

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.device.kernel.dispatcher import instructions
from runtime.device.kernel.links import Link
from runtime.device.kernel.ports import Delivery, Port, PortSpec, PortSyntaxError, parse_ports, resolve
from runtime.device.kernel.slices import Slice, Slices
from runtime.device.kernel.stores import idle_ms
from runtime.device.target import TargetError


def link(name: str, *, kind: str = "veth", up: bool = True, elsewhere: bool = True) -> Link:
    return Link(index=len(name), name=name, kind=kind, is_up=up, is_alive=up, peer_is_elsewhere=elsewhere)


def test_ports_are_parsed() -> None:
    assert parse_ports(["1=eth2", "16=rep0,redirect", "511=x.1,peer"]) == (
        PortSpec(id=1, interface="eth2"),
        PortSpec(id=16, interface="rep0", delivery=Delivery.REDIRECT),
        PortSpec(id=511, interface="x.1", delivery=Delivery.PEER),
    )


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["eth0"], "a port is ID=INTERFACE, ID=INTERFACE,redirect or ID=INTERFACE,peer, not 'eth0'"),
        (["x=eth0"], "a port is ID=INTERFACE, ID=INTERFACE,redirect or ID=INTERFACE,peer, not 'x=eth0'"),
        (["1=eth0,drop"], "a port is ID=INTERFACE, ID=INTERFACE,redirect or ID=INTERFACE,peer, not '1=eth0,drop'"),
        (["1=averyverylongname"], "a port is ID=INTERFACE, ID=INTERFACE,redirect or ID=INTERFACE,peer, not '1=averyverylongname'"),
        (["0=eth0"], "port 0 is not within 1 to 511"),
        (["512=eth0"], "port 512 is not within 1 to 511"),
        (["1=eth0", "2=eth1", "1=eth2"], "port 1 is given twice"),
        (["1=eth0", "2=eth0"], "interface eth0 is given to two ports"),
    ],
)  # fmt: skip
def test_ports_that_cannot_be_meant(texts: list[str], words: str) -> None:
    with pytest.raises(PortSyntaxError) as refused:
        parse_ports(texts)
    assert str(refused.value) == words


def test_how_packets_get_to_a_port() -> None:
    specs = parse_ports(["1=up", "16=rep", "17=same", "18=nic", "19=chosen,redirect", "2=asked,peer"])
    found = [
        link("up"),
        link("rep"),
        link("same", elsewhere=False),
        link("nic", kind="", elsewhere=False),
        link("chosen"),
        link("asked"),
        link("other"),
    ]
    assert [(port.id, port.delivery) for port in resolve(specs, found)] == [
        (1, Delivery.REDIRECT),
        (16, Delivery.PEER),
        (17, Delivery.REDIRECT),
        (18, Delivery.REDIRECT),
        (19, Delivery.REDIRECT),
        (2, Delivery.PEER),
    ]
    assert resolve(specs[:1], found) == (Port(id=1, interface="up", ifindex=2, delivery=Delivery.REDIRECT),)


def test_all_missing_interfaces_are_named() -> None:
    specs = parse_ports(["1=up", "16=rep", "17=down"])
    with pytest.raises(TargetError) as refused:
        resolve(specs, [link("down", up=False)])
    assert str(refused.value) == (
        "port 1: there is no interface up; port 16: there is no interface rep; "
        "port 17: interface down is down (ip link set down up)"
    )


def test_a_peer_must_be_there() -> None:
    with pytest.raises(TargetError, match="interface nic is no veth whose other end is in another namespace"):
        resolve(parse_ports(["16=nic,peer"]), [link("nic", kind="")])


def test_the_dispatcher() -> None:
    code = instructions(7)
    assert [code[at] for at in range(0, len(code), 8)] == [0x18, 0x00, 0xB7, 0x85, 0xB7, 0x95]
    assert code[4:8] == (7).to_bytes(4, "little")
    assert code[36:40] == (-1).to_bytes(4, "little", signed=True)


@pytest.mark.parametrize(
    ("now", "seen", "idle"),
    [(10, 3, 7), (3, 0xFFFFFFFE, 5), (5, 6, 0), (5, 5, 0), (0x7FFFFFFF, 0, 0x7FFFFFFF), (0x80000001, 0, 0)],
)
def test_idle_time(now: int, seen: int, idle: int) -> None:
    assert idle_ms(now, seen) == idle


def test_a_slice_rests_before_it_is_given_again() -> None:
    slices = Slices(10)
    first, second = slices.take(4), slices.take(6)
    assert first == Slice(offset=0, size=4)
    assert second == Slice(offset=4, size=6)
    assert slices.take(1) is None
    slices.give_back(Slice(offset=0, size=4))
    slices.release()
    assert slices.take(4) is None
    slices.seal()
    assert slices.take(4) is None
    slices.release()
    assert slices.take(3) == Slice(offset=0, size=3)
    assert slices.free_slots == 1


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 9)), max_size=60))
def test_slices_never_overlap_and_all_come_back(steps: list[tuple[bool, int]]) -> None:
    slices, held = Slices(32), list[Slice]()
    for takes, size in steps:
        if takes:
            taken = slices.take(size)
            if taken is not None:
                assert taken.size == size
                assert all(taken.offset + size <= h.offset or h.offset + h.size <= taken.offset for h in held)
                held.append(taken)
        elif held:
            slices.give_back(held.pop(size % len(held)))
            slices.seal()
        else:
            slices.release()
    for one in held:
        slices.give_back(one)
    slices.seal()
    slices.release()
    assert slices.take(32) == Slice(offset=0, size=32)
