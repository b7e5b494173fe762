"""Two nodes with a DPU each, three workloads in one network, one more in another with the same addresses."""

from __future__ import annotations

from compiler.policy.loading import load_text
from compiler.policy.policyset import PolicySet

HEAD = "apiVersion: turnout.dev/v1alpha1\nkind: "


def document(kind: str, name: str, spec: str, annotations: str = "{}") -> str:
    return f"{HEAD}{kind}\nmetadata: {{name: {name}, annotations: {annotations}}}\nspec: {spec}\n"


def workload(name: str, network: str, node: str, addresses: str, serve: str = "") -> str:
    annotations = f"{{turnout.dev/lab-serve: '{serve}'}}" if serve else "{}"
    spec = f"{{type: Pod, network: {network}, node: {node}, addresses: [{addresses}]}}"
    return document("Workload", name, spec, annotations)


def device(name: str, node: str, underlay: str, ports: str, *, folder: str, extra: str = "") -> str:
    spec = f"{{node: {node}, address: 'unix:{folder}/{name}.sock', underlay: {underlay}, ports: [{ports}]{extra}}}"
    return document("Device", name, spec)


def port(number: int, name: str, workload: str = "", extra: str = "") -> str:
    target = f"type: workload, workload: {workload}" if workload else "type: uplink"
    return f"{{id: {number}, name: {name}, {target}{extra}}}"


def shop(folder: str, *, vlan: str = "", gateways: tuple[str, str] = ("", ""), profile: str = "ebpf") -> str:
    """`folder` is where the sockets of the devices are."""
    underlays = [f"{{address: 192.0.2.{i + 1}/24, mac: '02:00:00:00:aa:0{i + 1}'{gateways[i]}}}" for i in range(2)]
    on_a = ", ".join((port(1, "p0"), port(2, "client", "client"), port(3, "a-very-long-port-name.1", "web-1")))
    on_b = ", ".join((port(1, "p0"), port(2, "web-2", "web-2", vlan), port(3, "blue", "blue")))
    return "---\n".join(
        (
            document("Network", "red", "{vni: 100, cidrs: [10.1.0.0/16, 'fd01::/64']}"),
            document("Network", "blue", "{vni: 200, cidrs: [10.1.0.0/16], mtu: 1400}"),
            document("Node", "node-a", "{addresses: [198.51.100.1]}"),
            document("Node", "node-b", "{}"),
            workload("client", "red", "node-a", "10.1.0.2, 'fd01::2'"),
            workload("web-1", "red", "node-a", "10.1.0.3, 'fd01::3'", "http:8080,udp-echo:5300"),
            workload("web-2", "red", "node-b", "10.1.0.4", "http:8080"),
            workload("blue", "blue", "node-b", "10.1.0.2"),
            device("dpu-a", "node-a", underlays[0], on_a, folder=folder, extra=f", profile: {profile}"),
            device("dpu-b", "node-b", underlays[1], on_b, folder=folder),
        )
    )


def policies(text: str) -> PolicySet:
    """The policies of a text that has no error."""
    loaded = load_text(text)
    assert not loaded.is_refused, loaded.render()
    return loaded.policies
