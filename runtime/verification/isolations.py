"""NetworkPolicies at random, for the workloads of `meshes`: two nodes, two networks of equal addresses.

A network's namespace has its name. Policies of all kinds of peers and ports, of which many mean the same workloads in
one namespace or another. Used by the tests that hold them to what Kubernetes says, on the interpreter, and in eBPF.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from runtime.verification.meshes import NETWORKS, Mesh, redirects

LABELS = {"red": {"team": "one", "tier": "clients"}, "blue": {"team": "two"}}
"""Of the two namespaces."""
POD_SELECTORS: tuple[dict[str, Any], ...] = (
    {},
    {"matchLabels": {"host": "10"}},
    {"matchLabels": {"host": "12", "app": "web"}},
    {"matchLabels": {"app": "web"}},
    {"matchLabels": {"app": "nobody"}},
    {"matchExpressions": [{"key": "host", "operator": "NotIn", "values": ["11"]}]},
    {"matchExpressions": [{"key": "host", "operator": "In", "values": ["10", "12", "250"]}]},
    {"matchExpressions": [{"key": "host", "operator": "Exists"}, {"key": "gone", "operator": "DoesNotExist"}]},
)
NAMESPACE_SELECTORS: tuple[dict[str, Any], ...] = (
    {},
    {"matchLabels": {"team": "one"}},
    {"matchLabels": {"kubernetes.io/metadata.name": "blue"}},
    {"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]},
)
BLOCKS: tuple[dict[str, Any], ...] = (
    {"cidr": "0.0.0.0/0"},
    {"cidr": "10.1.0.0/16", "except": ["10.1.0.10/31"]},
    {"cidr": "10.1.0.0/24", "except": ["10.1.0.12/32", "10.1.0.0/28"]},
    {"cidr": "10.1.0.12/32"},
    {"cidr": "10.96.0.0/16"},
    {"cidr": "::/0", "except": ["fd00:1::a/128"]},
    {"cidr": "fd00:1::/64"},
)
PORTS: tuple[dict[str, Any], ...] = (
    {"port": 80},
    {"port": 8080, "protocol": "TCP"},
    {"port": 81, "endPort": 1025},
    {"protocol": "UDP"},
    {"protocol": "UDP", "port": 80, "endPort": 8080},
    {"port": "web"},
    {"protocol": "TCP"},
)
_PEERS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.fixed_dictionaries({"podSelector": st.sampled_from(POD_SELECTORS)}),
    st.fixed_dictionaries({"namespaceSelector": st.sampled_from(NAMESPACE_SELECTORS)}),
    st.fixed_dictionaries(
        {"podSelector": st.sampled_from(POD_SELECTORS), "namespaceSelector": st.sampled_from(NAMESPACE_SELECTORS)}
    ),
    st.fixed_dictionaries({"ipBlock": st.sampled_from(BLOCKS)}),
)
_SOME_PORTS = st.lists(st.sampled_from(PORTS), max_size=2)
_TYPES = st.sampled_from((["Ingress"], ["Egress"], ["Ingress", "Egress"], None))


def _rules(field: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    rule = st.fixed_dictionaries({}, optional={field: st.lists(_PEERS, max_size=2), "ports": _SOME_PORTS})
    return st.lists(rule, max_size=2)


def _spec(drawn: tuple[dict[str, Any], list[str] | None, list[Any], list[Any]]) -> dict[str, Any]:
    selector, types, ingress, egress = drawn
    spec: dict[str, Any] = {"podSelector": selector}
    if types is not None:
        spec["policyTypes"] = types
    if types is None or "Ingress" in types:
        spec["ingress"] = ingress
    if types is None or "Egress" in types:
        spec["egress"] = egress
    return spec


SPECS = st.tuples(st.sampled_from(POD_SELECTORS), _TYPES, _rules("from"), _rules("to")).map(_spec)
POLICIES: st.SearchStrategy[tuple[tuple[str, dict[str, Any]], ...]] = st.lists(
    st.tuples(st.sampled_from(NETWORKS), SPECS), max_size=4
).map(tuple)
"""Pairs of a policy's namespace and its spec."""


def isolated(policies: tuple[tuple[str, dict[str, Any]], ...], mesh: Mesh | None = None) -> Mesh:
    """The workloads of a mesh, of one without proxies by default, with NetworkPolicies and Namespaces."""
    namespaces = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        for name, labels in LABELS.items()
    ]
    made = [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": f"policy-{at}", "namespace": namespace},
            "spec": spec,
        }
        for at, (namespace, spec) in enumerate(policies)
    ]
    mesh = mesh or Mesh()
    return Mesh(proxies=mesh.proxies, redirects=mesh.redirects, others=(*namespaces, *made))


def isolations() -> st.SearchStrategy[Mesh]:
    """Policies, with proxies and redirects or without."""
    proxies = st.sampled_from(((), (("red", 250), ("red", 251), ("blue", 250))))
    found = st.builds(Mesh, proxies=proxies, redirects=st.just(()) | redirects())
    return st.builds(isolated, POLICIES, found)
