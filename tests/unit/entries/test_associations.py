"""Services with ports of SCTP: entries like those of other protocols, and refused where a CRC32c cannot follow."""

from __future__ import annotations

from pathlib import Path

from compiler.policy.loading import load_texts
from compiler.policy.policyset import Protocol
from tests.unit.entries.test_entering import compiled, lines

EIP = (Path(__file__).parents[3] / "examples" / "eip.yaml").read_text()
SCTP = EIP.replace("protocol: TCP, port: 80,", "protocol: SCTP, port: 80,", 1)
KUBERNETES = """
apiVersion: turnout.dev/v1alpha1
kind: Network
metadata: {name: default}
spec: {vni: 1, cidrs: [10.3.0.0/16]}
---
apiVersion: v1
kind: Service
metadata: {name: diameter}
spec:
  type: NodePort
  clusterIPs: [10.96.0.1]
  clusterIP: 10.96.0.1
  ports: [{port: 3868, protocol: SCTP, nodePort: 30868}]
"""


def test_entries_name_the_protocol() -> None:
    found = compiled(SCTP, "dpu-a")
    assert [d for d in found.diagnostics if d.severity.value == "error"] == []
    assert lines(found, "service_ipv4", "protocol=132 ", "port=80 ")


def test_v1model_cannot() -> None:
    device = SCTP.replace("  node: node-a\n", "  node: node-a\n  profile: v1model\n", 1)
    found = compiled(device, "dpu-a")
    assert [d.code.id for d in found.diagnostics] == ["E0311"]
    assert found.diagnostics[0].message == "service 'shop/web' has a port of SCTP; device 'dpu-a' has profile v1model"


def test_a_service_of_kubernetes() -> None:
    loaded = load_texts({"a.yaml": KUBERNETES})
    assert not loaded.is_refused, loaded.render()
    (port,) = loaded.policies.services[0].ports
    assert (port.protocol, port.node_port) == (Protocol.SCTP, 30868)
