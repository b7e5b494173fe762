"""Packets that bench.kubeproxy has forwarded are counted where they have to arrive, and only as they have to."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import pytest
from scapy.layers.inet import UDP
from scapy.layers.l2 import Ether

from bench.forwarding.flows import FIRST_PORT, End, Flows, calls, sending
from bench.forwarding.lanes import Lane, Port
from bench.forwarding.turns import FLOWS, forwarding, loaded_flows
from bench.lab.kernelway import ADDRESSES, CLIENT, FAR, NEAR, KernelWay, kernel_way
from bench.lab.places import DIRECT_PORT, Way
from bench.lab.programs import TrafficError
from runtime.bpf.testrun import run_xdp

PREFIX = "turnout-test-forward"
pytestmark = [pytest.mark.root, pytest.mark.alone]


@pytest.fixture(scope="module")
def nodes() -> Generator[KernelWay]:
    with kernel_way(PREFIX) as found:
        yield found


def lane_to(nodes: KernelWay, server: str) -> Lane:
    way = Way(name=server, client=nodes.namespace(CLIENT), server=nodes.namespace(server), address=ADDRESSES[server])
    ports = [Port(namespace=space, interface=name) for space, name in map(nodes.port, (CLIENT, server))]
    served = End(address=ADDRESSES[server], port=DIRECT_PORT)
    return Lane(way=way, client=ADDRESSES[CLIENT], served=served, client_port=ports[0], server_port=ports[1])


def test_packets_arrive_on_both_nodes(nodes: KernelWay) -> None:
    lanes = [lane_to(nodes, server) for server in (NEAR, FAR)]
    with forwarding(lanes) as making:
        for mode in FLOWS:
            for lane in lanes:
                outcome = making.turn(mode, lane.way, milliseconds=5)
                assert outcome.count > 0
                assert outcome.ns > 0
                assert outcome.cpu_ns > 0
        assert making.bare("forward_1", lanes[0].way, milliseconds=5).count > 0


def test_what_arrives_otherwise_does_not_count(nodes: KernelWay) -> None:
    lane = lane_to(nodes, NEAR)
    other = replace(lane, served=End(address=ADDRESSES[NEAR], port=DIRECT_PORT + 1))
    message = "forwarding to near: 4,097 packets sent, counted by each CPU: 0"
    with pytest.raises(TrafficError, match=message), forwarding([other]):
        pass


def test_checksums_are_right() -> None:
    called = End(address="10.9.2.2", port=7000)
    sent = calls(Flows(client="10.9.1.2", called=called, served=called, count=4096), bytes(12))
    with loaded_flows() as loaded:
        loaded.map("sending").update(bytes(4), sending(sent, warm_up=0, is_shuffled=False))
        for flow in range(3):
            found = Ether(run_xdp(loaded.program("send").fd, sent.frame).frame)
            assert found[UDP].sport == FIRST_PORT + flow
            given = found[UDP].chksum
            del found[UDP].chksum
            assert Ether(bytes(found))[UDP].chksum == given
