"""The cluster of bench.kubeproxy: real kube-proxies have the rules that it counts and waits for, and obey them."""

from __future__ import annotations

import socket
from collections.abc import Generator

import pytest

from bench.kube.cluster import SLICES, Cluster, cluster, kube_program
from bench.kube.objects import CALLED, called, endpoints_of, filling
from bench.kube.programming import programmed_by_proxy
from bench.kube.proxying import Mode, node_of, proxying
from bench.lab.kernelway import ADDRESSES, CLIENT, NEAR, KernelWay, kernel_way
from bench.lab.places import DIRECT_PORT, SERVED_PORT
from runtime.bpf.namespaces import entered

PREFIX = "turnout-test-kube"
SERVICES = (*called(), *filling(0, 3))
ENDPOINTS = endpoints_of(SERVICES)
pytestmark = [pytest.mark.root, pytest.mark.peer]


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Generator[Cluster]:
    with cluster(kube_program(), PREFIX, tmp_path_factory.mktemp("kube")) as found:
        found.add_all(SERVICES)
        yield found


@pytest.fixture(scope="module", params=Mode)
def mode(request: pytest.FixtureRequest) -> Mode:
    return Mode(request.param)


@pytest.fixture(scope="module")
def node(control: Cluster, mode: Mode) -> Generator[KernelWay]:
    with kernel_way(f"{PREFIX}-{mode}") as found:
        control.plug(node_of(mode), found.namespace("node-a"))
        yield found


def source_of_a_call(node: KernelWay) -> str:
    """The address that the workload sees of a client that calls the service in front of it."""
    with entered(node.namespace(NEAR)):
        server = socket.create_server((ADDRESSES[NEAR], SERVED_PORT))
    with server:
        server.settimeout(5)
        with entered(node.namespace(CLIENT)), socket.create_connection((CALLED[NEAR], DIRECT_PORT), 5):
            connection, address = server.accept()
            connection.close()
    return address[0]


def test_a_proxy_has_what_the_cluster_says(control: Cluster, mode: Mode, node: KernelWay) -> None:
    with proxying(control, mode, node.namespace("node-a"), ENDPOINTS) as proxy:
        assert proxy.cold_s > 0
        assert proxy.endpoint_rules() == sum(len(one.endpoints) * len(one.protocols) for one in SERVICES)
        assert source_of_a_call(node) == ADDRESSES[CLIENT]
        assert proxy.connections() > 0
        assert proxy.peak_memory_mb() > 10
    with entered(node.namespace(CLIENT)), pytest.raises(OSError):
        socket.create_connection((CALLED[NEAR], DIRECT_PORT), 1)


def test_changes_are_waited_for_and_taken_back(control: Cluster, mode: Mode, node: KernelWay) -> None:
    found = programmed_by_proxy(control, mode, node.namespace("node-a"), SERVICES, changes=2)
    assert len(found.more_s) == len(found.changed_s) == 2
    assert found.rules == 10
    with control.api() as api:
        slices = api.call("GET", SLICES)["items"]
    there = [address for one in slices for endpoint in one["endpoints"] for address in endpoint["addresses"]]
    assert sorted(there) == sorted(ENDPOINTS)
