"""What Envoy is told: a static configuration for the connections that are redirected to it. Pure.

One listener for each family takes connections to any address (`transparent`) and goes on to where they were addressed
(`ORIGINAL_DST`). Ports of HTTP go through the HTTP connection manager, all others through the TCP proxy. What is
addressed to the listener itself would go round without end, so it ends in a cluster without endpoints.

Names and fields are those of Envoy's v3 API (envoy/config, envoy/extensions).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from compiler.policy.policyset import Address

LISTEN_PORT: Final = 15001
ORIGINAL, NOWHERE = "original", "nowhere"
ACCESS_LOG: Final = {
    "start": "%START_TIME%",
    "protocol": "%PROTOCOL%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "original_destination": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "upstream": "%UPSTREAM_HOST%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(:PATH)%",
    "status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
}
_FILTERS = "type.googleapis.com/envoy.extensions.filters"
Json = dict[str, Any]


def configuration(*, node: str, addresses: Sequence[Address], http_ports: Sequence[int], access_log: str) -> Json:
    """Envoy's bootstrap for a proxy with these addresses. JSON is YAML, so `envoy --config-path` takes it as .json."""
    families = sorted({address.version for address in addresses})
    return {
        "node": {"id": node, "cluster": "turnout"},
        "static_resources": {
            "listeners": [_listener(version, http_ports, access_log) for version in families],
            "clusters": [_original_cluster(), _empty_cluster()],
        },
    }


def _listener(version: int, http_ports: Sequence[int], access_log: str) -> Json:
    address = "0.0.0.0" if version == 4 else "::"
    return {
        "name": f"redirected_ipv{version}",
        "address": {"socket_address": {"address": address, "port_value": LISTEN_PORT}},
        "transparent": True,
        "listener_filters": [
            {
                "name": "envoy.filters.listener.original_dst",
                "typed_config": {"@type": f"{_FILTERS}.listener.original_dst.v3.OriginalDst"},
            }
        ],
        "filter_chains": [
            _chain({"destination_port": LISTEN_PORT}, _tcp_proxy(NOWHERE, access_log)),
            *(
                _chain({"destination_port": port}, _http(access_log))
                for port in sorted(set(http_ports) - {LISTEN_PORT})
            ),
        ],
        "default_filter_chain": {"filters": [_tcp_proxy(ORIGINAL, access_log)]},
    }


def _chain(match: Json, handler: Json) -> Json:
    return {"filter_chain_match": match, "filters": [handler]}


def _tcp_proxy(cluster: str, access_log: str) -> Json:
    return {
        "name": "envoy.filters.network.tcp_proxy",
        "typed_config": {
            "@type": f"{_FILTERS}.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": cluster,
            "cluster": cluster,
            "access_log": [_access_log(access_log)],
        },
    }


def _http(access_log: str) -> Json:
    route = {"match": {"prefix": "/"}, "route": {"cluster": ORIGINAL, "timeout": "0s"}}
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "http",
            "use_remote_address": True,
            "http_protocol_options": {"accept_http_10": True, "default_host_for_http_10": "localhost"},
            "route_config": {"virtual_hosts": [{"name": "any", "domains": ["*"], "routes": [route]}]},
            "http_filters": [
                {
                    "name": "envoy.filters.http.router",
                    "typed_config": {"@type": f"{_FILTERS}.http.router.v3.Router"},
                }
            ],
            "access_log": [_access_log(access_log)],
        },
    }


def _access_log(path: str) -> Json:
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": path,
            "log_format": {"json_format": ACCESS_LOG},
        },
    }


def _original_cluster() -> Json:
    return {"name": ORIGINAL, "type": "ORIGINAL_DST", "lb_policy": "CLUSTER_PROVIDED", "connect_timeout": "5s"}


def _empty_cluster() -> Json:
    return {"name": NOWHERE, "type": "STATIC", "load_assignment": {"cluster_name": NOWHERE}}
