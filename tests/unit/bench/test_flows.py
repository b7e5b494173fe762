"""The datagrams that bench.kubeproxy has forwarded, and what the programs at both ends are told of them."""

from __future__ import annotations

import struct

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from bench.forwarding.flows import (
    FIRST_PORT,
    PAYLOAD,
    Counted,
    End,
    Flows,
    answers,
    begun_ns,
    calls,
    counted,
    expected,
    sending,
)
from bench.forwarding.lanes import Lane, Port
from bench.forwarding.turns import FLOWS
from bench.lab.places import Way

SERVICE, BACKEND = End(address="10.96.0.11", port=7000), End(address="10.9.2.2", port=7001)
OF_SERVICE = Flows(client="10.9.1.2", called=SERVICE, served=BACKEND, count=4096)
MACS = bytes.fromhex("020000000001020000000010")


def with_port(frame: bytes, raw: bytes, *, at: int, port: int) -> bytes:
    """The frame as flows.bpf.c sends it for that flow."""
    total = struct.unpack_from("=I", raw, 48)[0] + port
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    changed = bytearray(frame)
    changed[at : at + 2], changed[40:42] = port.to_bytes(2, "big"), (~total & 0xFFFF).to_bytes(2, "big")
    return bytes(changed)


def test_calls_are_whole_datagrams() -> None:
    sent = calls(OF_SERVICE, MACS)
    whole = with_port(
        sent.frame, sending(sent, warm_up=0, is_shuffled=False), at=34, port=FIRST_PORT + OF_SERVICE.count - 1
    )
    fresh = IP(src="10.9.1.2", dst="10.96.0.11", flags="DF", id=0) / UDP(sport=FIRST_PORT + 4095, dport=7000)
    assert whole == bytes(Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:10") / fresh / bytes(PAYLOAD))


def test_answers_go_to_the_port_of_the_flow() -> None:
    sent = answers(OF_SERVICE, MACS)
    whole = with_port(sent.frame, sending(sent, warm_up=0, is_shuffled=False), at=36, port=FIRST_PORT)
    fresh = IP(src="10.9.2.2", dst="10.9.1.2", flags="DF", id=0) / UDP(sport=7001, dport=FIRST_PORT)
    assert whole[14:] == bytes(fresh / bytes(PAYLOAD))


def test_calls_arrive_translated_and_so_do_answers() -> None:
    assert expected(calls(OF_SERVICE, MACS), 9) == struct.pack(
        "=QIHHIB3x", 0x0A090102_0A090202, 4096, FIRST_PORT, 7001, 9, False
    )
    assert expected(answers(OF_SERVICE, MACS), 9) == struct.pack(
        "=QIHHIB3x", 0x0A60000B_0A090102, 4096, FIRST_PORT, 7000, 9, True
    )


def test_the_sequence_meets_every_flow_once() -> None:
    for is_shuffled in (False, True):
        raw = sending(calls(OF_SERVICE, MACS), warm_up=0, is_shuffled=is_shuffled)
        flows, position, multiplier, increment, first_port = struct.unpack_from("=4IH", raw, 52)
        met = list[int]()
        for _ in range(flows):
            met.append(position & (flows - 1))
            position = (position * multiplier + increment) % 2**32
        assert sorted(met) == [*range(4096)]
        assert (met == [*range(4096)]) is not is_shuffled
        assert first_port == FIRST_PORT


def test_flows_are_powers_of_two_below_the_ports_of_sockets() -> None:
    assert all(count.bit_count() == 1 and FIRST_PORT + count < 32_768 for count in FLOWS.values())


def test_what_the_programs_leave_is_read() -> None:
    raw = sending(calls(OF_SERVICE, MACS), warm_up=4, is_shuffled=True)
    assert begun_ns(raw) == 0
    assert begun_ns(raw[:-8] + struct.pack("=Q", 77)) == 77
    assert counted(struct.pack("=4Q", 5, 99, 0, 0)) == [
        Counted(packets=5, ended_ns=99),
        Counted(packets=0, ended_ns=0),
    ]


def test_a_lane_calls_what_its_way_calls() -> None:
    port = Port(namespace="node", interface="client")
    way = Way(name="w", client="c", server="s", address=SERVICE.address)
    lane = Lane(way=way, client="10.9.1.2", served=BACKEND, client_port=port, server_port=port)
    assert lane.flows(4096) == OF_SERVICE
