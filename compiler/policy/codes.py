"""The code of every diagnostic about policies. Explained one by one in docs/diagnostics.md.

E00xx files and YAML, E01xx the shape of one object, E02xx objects together; W and N in the same hundreds.
"""

from __future__ import annotations

from typing import Final

from compiler.diagnostic import Code

UNREADABLE: Final = Code(id="E0001", name="unreadable-file")
NOT_UTF8: Final = Code(id="E0002", name="not-utf8")
CONTROL_CHARACTER: Final = Code(id="E0003", name="control-character")
YAML_SYNTAX: Final = Code(id="E0004", name="yaml-syntax")
DUPLICATE_KEY: Final = Code(id="E0005", name="duplicate-key")
TOO_LARGE: Final = Code(id="E0006", name="too-large")
TOO_DEEP: Final = Code(id="E0007", name="too-deep")
KEY_NOT_STRING: Final = Code(id="E0008", name="key-not-string")
UNSUPPORTED_YAML: Final = Code(id="E0009", name="unsupported-yaml")
NOT_AN_OBJECT: Final = Code(id="E0010", name="not-an-object")
NO_POLICIES: Final = Code(id="W0011", name="no-policies")

UNKNOWN_KIND: Final = Code(id="E0101", name="unknown-kind")
UNKNOWN_FIELD: Final = Code(id="E0102", name="unknown-field")
MISSING_FIELD: Final = Code(id="E0103", name="missing-field")
WRONG_TYPE: Final = Code(id="E0104", name="wrong-type")
INVALID_VALUE: Final = Code(id="E0105", name="invalid-value")
UNKNOWN_API_VERSION: Final = Code(id="E0106", name="unknown-api-version")
NOT_SUPPORTED: Final = Code(id="E0107", name="not-supported")
CONFLICTING_FIELDS: Final = Code(id="E0108", name="conflicting-fields")
UNKNOWN_ANNOTATION: Final = Code(id="E0109", name="unknown-annotation")
IGNORED_FIELD: Final = Code(id="W0110", name="ignored-field")
NOT_ENFORCED: Final = Code(id="W0111", name="not-enforced")
IGNORED_KIND: Final = Code(id="N0112", name="ignored-kind")
HEADLESS: Final = Code(id="N0113", name="headless-service")
EXTERNAL_NAME: Final = Code(id="N0114", name="external-name")
OTHER_PROXY: Final = Code(id="N0115", name="other-proxy")

UNKNOWN_REFERENCE: Final = Code(id="E0201", name="unknown-reference")
DUPLICATE_OBJECT: Final = Code(id="E0202", name="duplicate-object")
DUPLICATE_VNI: Final = Code(id="E0203", name="duplicate-vni")
DUPLICATE_NETWORK_ID: Final = Code(id="E0204", name="duplicate-network-id")
OVERLAPPING_CIDRS: Final = Code(id="E0205", name="overlapping-cidrs")
ADDRESS_OUTSIDE: Final = Code(id="E0206", name="address-outside-network")
DUPLICATE_ADDRESS: Final = Code(id="E0207", name="duplicate-address")
UNUSABLE_ADDRESS: Final = Code(id="E0208", name="unusable-address")
DUPLICATE_PORT: Final = Code(id="E0209", name="duplicate-port")
WORKLOAD_ON_TWO_PORTS: Final = Code(id="E0210", name="workload-on-two-ports")
WRONG_NODE: Final = Code(id="E0211", name="wrong-node")
CLUSTER_IP_TAKEN: Final = Code(id="E0212", name="cluster-ip-taken")
SERVICE_CLASH: Final = Code(id="E0213", name="service-clash")
BACKEND_IN_OTHER_NETWORK: Final = Code(id="E0214", name="backend-in-other-network")
DUPLICATE_MAC: Final = Code(id="E0215", name="duplicate-mac")
DUPLICATE_UNDERLAY: Final = Code(id="E0216", name="duplicate-underlay")
DUPLICATE_DEVICE_ADDRESS: Final = Code(id="E0217", name="duplicate-device-address")
TOO_MANY_NETWORKS: Final = Code(id="E0218", name="too-many-networks")
NO_BACKENDS: Final = Code(id="W0219", name="no-backends")
EMPTY_SELECTOR_MATCH: Final = Code(id="W0220", name="selector-matches-nothing")
NO_DEVICE: Final = Code(id="W0221", name="no-device-on-node")
NO_PORT: Final = Code(id="W0222", name="workload-without-port")
FAMILY_MISMATCH: Final = Code(id="W0223", name="family-mismatch")
MTU_TOO_LARGE: Final = Code(id="W0224", name="mtu-too-large")
ENDPOINT_OUTSIDE: Final = Code(id="W0225", name="endpoint-outside-network")
ORPHAN_SLICE: Final = Code(id="W0226", name="orphan-endpoint-slice")
DUPLICATE_DESTINATION: Final = Code(id="E0228", name="duplicate-destination")
UNDERLAY_UNREACHABLE: Final = Code(id="W0227", name="underlay-unreachable")
NO_PROXY: Final = Code(id="W0229", name="no-proxy-on-device")
PROXY_AS_BACKEND: Final = Code(id="E0230", name="proxy-as-backend")
STORAGE_WITHOUT_PORTAL: Final = Code(id="E0231", name="storage-without-portal")
RDMA_REWRITTEN: Final = Code(id="E0232", name="rdma-rewritten")
NO_TARGET_UP: Final = Code(id="W0233", name="no-target-up")
EXTERNAL_TAKEN: Final = Code(id="E0234", name="external-address-taken")
EXTERNAL_IN_TWO_NETWORKS: Final = Code(id="E0235", name="external-address-in-two-networks")
NO_WAY_IN: Final = Code(id="W0236", name="no-way-in")
NOBODY_ALLOWED: Final = Code(id="W0237", name="nobody-allowed")
NO_SUCH_PORT: Final = Code(id="W0241", name="no-such-port-name")
NODE_PORT_TAKEN: Final = Code(id="E0242", name="node-port-taken")
NO_NODE_PORT: Final = Code(id="W0243", name="no-node-port")
PICKED_PORT: Final = Code(id="N0244", name="picked-port")
GATEWAY_ADDRESS_TAKEN: Final = Code(id="E0245", name="gateway-address-taken")
NO_WAY_OUT: Final = Code(id="W0246", name="no-way-out")
LIMIT_OF_NOTHING: Final = Code(id="W0240", name="limit-of-nothing")

ABSENCES: Final = frozenset(
    {NO_BACKENDS, EMPTY_SELECTOR_MATCH, NO_DEVICE, NO_PORT, FAMILY_MISMATCH, ENDPOINT_OUTSIDE, ORPHAN_SLICE}
    | {UNDERLAY_UNREACHABLE, NO_PROXY, NO_WAY_IN, NO_WAY_OUT, NO_SUCH_PORT}
)
"""Warnings that something is not there; not given while an object is refused, since it may be the one."""
NAMELESS: Final = frozenset(
    {UNREADABLE, NOT_UTF8, CONTROL_CHARACTER, YAML_SYNTAX, TOO_LARGE, TOO_DEEP, NOT_AN_OBJECT, UNKNOWN_KIND}
    | {UNKNOWN_API_VERSION}
)
"""Mistakes after which objects may exist whose names are not known: an unknown reference may be to one of them."""
