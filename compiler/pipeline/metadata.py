"""The metadata of a packet on its way through the pipeline, and the values that some of it takes."""

from __future__ import annotations

from compiler.ir.headers import Field

MAX_UPLINK_PORT = 15
"""Ports 1 to 15 face the underlay, the others do not: so the parser knows where a tunnel may end. P4Runtime numbers
ports as the controller likes (specification, section 8.4.6, port translation)."""

LEG_UPLINK = 1
"""The underlay: tunnels end here."""
LEG_NETWORK = 2
"""Inside a network: from a workload's port, or out of a tunnel."""
LEG_PROXY = 3
"""Inside a network as well: from the port of the network's proxy, whose packets are never redirected to it."""
LEG_OUTSIDE = 4
"""Inside a network as well: from the underlay without a tunnel, to an address that the network shows to the outside."""

_DECLARED = {
    "ingress_port": 16,
    # where the packet is and what it is
    "leg": 8,
    "network": 16,
    "vlan_id": 12,
    "source_nexthop": 16,
    "protocol": 8,
    "src_port": 16,
    "dst_port": 16,
    "tcp_flags": 8,
    # the decision
    "proxy_nexthop": 16,
    "server_port": 16,
    "redirect": 1,
    "denied": 1,
    "closed": 1,
    "not_admitted": 1,
    "limiter": 12,
    "opens": 1,
    "direct": 1,
    "policed": 1,
    "kept": 1,
    "reply_leg": 8,
    "egress_policy": 16,
    "ingress_policy": 16,
    "receiver_nexthop": 16,
    "policy_ports": 16,
    "decided": 1,
    "service_id": 16,
    "spread": 16,
    "in_turn": 1,
    "by_count": 1,
    "is_reply": 1,
    "rate_color": 2,
    "storage_marked": 1,
    "storage_class": 8,
    "affinity_ms": 32,
    "affine_address": 128,
    "affine_port": 16,
    "affine_since_ms": 32,
    "affine_across": 14,
    "affine_profile": 8,
    "profile": 8,
    "across": 14,
    "answers_itself": 1,
    "way_back": 16,
    "nexthop": 16,
    "translate": 1,
    "new_src_port": 16,
    "new_dst_port": 16,
    "reverse_leg": 8,
    "reverse_network": 16,
    "reverse_src_port": 16,
    "reverse_dst_port": 16,
    "route_ipv4": 32,
    "hairpin_ipv4": 32,
    "new_src_ipv4": 32,
    "new_dst_ipv4": 32,
    "reverse_src_ipv4": 32,
    "reverse_dst_ipv4": 32,
    "route_ipv6": 128,
    "hairpin_ipv6": 128,
    "new_src_ipv6": 128,
    "new_dst_ipv6": 128,
    "reverse_src_ipv6": 128,
    "reverse_dst_ipv6": 128,
    "related_src_ipv4": 32,
    "related_src_ipv6": 128,
    # the way out
    "egress_network": 16,
    "egress_port": 16,
    "egress_vlan": 12,
    "mtu": 16,
    "egress_dst_mac": 48,
    "egress_src_mac": 48,
    "encapsulate": 1,
    "entropy": 16,
    "inner_length": 16,
    "traffic_class": 8,
    "tunnel_src": 32,
    "tunnel_dst": 32,
    "tunnel_vni": 24,
    "tunnel_dst_mac": 48,
    "tunnel_src_mac": 48,
    "signature": 48,
    # an ICMP error to the sender
    "error": 1,
    "error_type": 8,
    "error_code": 8,
    "error_mtu": 16,
    "gateway_ipv4": 32,
    "gateway_ipv6": 128,
    "answer_mac": 48,
    "swap_mac": 48,
    "swap_ipv4": 32,
}

METADATA = tuple(Field(name=name, width_bits=width) for name, width in _DECLARED.items())
METADATA_WIDTHS = dict(_DECLARED)
