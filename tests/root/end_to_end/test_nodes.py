"""Nodes call services of the default network: examples/nodeport.yaml, where each host has a port of its own into it.

The host is the namespace behind that port, as bare metal is: addresses of its own, and everything by the gateway.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterator

import pytest

from runtime.bpf.namespaces import entered
from tests.root.end_to_end.shop import Shop, find, standing_example
from tests.root.end_to_end.test_outside import FAMILIES, PATIENCE_S
from tests.root.end_to_end.traffic import ask, download, echo, sink

pytestmark = [pytest.mark.root, pytest.mark.slow]
HOSTS = {"default.host-a": "web-1", "default.host-b": "web-2", "default.host-c": ""}
"""By workload the backend of its node."""
ADDRESSES = {
    "default.host-a": ("10.1.0.101", "fd00:10:1::101"),
    "default.host-b": ("10.1.0.102", "fd00:10:1::102"),
    "default.host-c": ("10.1.0.103", "fd00:10:1::103"),
}
WEB = ("10.96.0.10", "fd00:10:96::10")
ON_EACH_HOST = pytest.mark.parametrize("host", HOSTS)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with standing_example("h", tmp_path_factory.mktemp("nodes"), "nodeport.yaml") as built:
        yield built


@pytest.fixture
def changing(lab: Shop) -> Iterator[Shop]:
    yield lab
    lab.applied()


@FAMILIES
@ON_EACH_HOST
def test_a_node_calls_a_service(lab: Shop, host: str, family: int) -> None:
    answers = [ask(lab.namespace(host), WEB[family], timeout_s=PATIENCE_S) for _ in range(20)]
    assert {answer.server for answer in answers} == {"web-1", "web-2"}
    assert {answer.seen for answer in answers} == {ADDRESSES[host][family]}
    assert echo(lab.namespace(host), WEB[family], 5300, b"datagram") == WEB[family]


@FAMILIES
def test_much_data_to_a_node(changing: Shop, family: int) -> None:
    policies = changing.changed()
    find(policies, "Service", "web", "default")["spec"]["ports"].append({"name": "sink", "port": 90, "nodePort": 30090})
    for kind in ("ipv4", "ipv6"):
        ports = find(policies, "EndpointSlice", f"web-{kind}", "default")
        ports["ports"].append({"name": "sink", "protocol": "TCP", "port": 9000})
        ports["endpoints"] = ports["endpoints"][:1]
    changing.applied(policies)
    data = os.urandom(4 << 20)
    with sink(changing.namespace("default.web-1"), 9000, data):
        digest = download(changing.namespace("default.host-c"), WEB[family], 90)
    assert digest == hashlib.sha256(data).hexdigest()


@FAMILIES
def test_with_local_a_node_gets_its_own_backends(changing: Shop, family: int) -> None:
    policies = changing.changed()
    find(policies, "Service", "web", "default")["spec"]["internalTrafficPolicy"] = "Local"
    changing.applied(policies)
    for host, backend in HOSTS.items():
        if backend:
            servers = {ask(changing.namespace(host), WEB[family], timeout_s=PATIENCE_S).server for _ in range(10)}
            assert servers == {backend}
        else:
            with entered(changing.namespace(host)), pytest.raises(ConnectionRefusedError):
                socket.create_connection((WEB[family], 80), PATIENCE_S)
