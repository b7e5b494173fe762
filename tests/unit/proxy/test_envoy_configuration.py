"""What Envoy is told."""

from __future__ import annotations

import json
import subprocess
from ipaddress import ip_address
from pathlib import Path

import pytest

from cli.proxy import envoy_program
from runtime.proxy.envoy import configuration

ADDRESSES = (ip_address("10.1.0.250"), ip_address("fd00:10:1::250"))


def test_a_listener_for_each_family_of_the_proxy() -> None:
    both = configuration(node="a", addresses=ADDRESSES, http_ports=(), access_log="/dev/null")
    listeners = both["static_resources"]["listeners"]
    assert [listener["address"]["socket_address"] for listener in listeners] == [
        {"address": "0.0.0.0", "port_value": 15001},
        {"address": "::", "port_value": 15001},
    ]
    one = configuration(node="a", addresses=ADDRESSES[1:], http_ports=(), access_log="/dev/null")
    assert one["static_resources"]["listeners"] == listeners[1:]


def test_ports_of_http_have_a_chain_each_and_its_own_port_leads_nowhere() -> None:
    told = configuration(node="a", addresses=ADDRESSES, http_ports=(8080, 15001, 80), access_log="/dev/null")
    listener = told["static_resources"]["listeners"][0]
    chains = {c["filter_chain_match"]["destination_port"]: c["filters"][0] for c in listener["filter_chains"]}
    assert {port: chain["name"].rpartition(".")[2] for port, chain in chains.items()} == {
        15001: "tcp_proxy",
        80: "http_connection_manager",
        8080: "http_connection_manager",
    }
    assert chains[15001]["typed_config"]["cluster"] == "nowhere"
    assert listener["default_filter_chain"]["filters"][0]["typed_config"]["cluster"] == "original"


@pytest.mark.peer
@pytest.mark.slow
def test_envoy_accepts_it(tmp_path: Path) -> None:
    told = configuration(node="a", addresses=ADDRESSES, http_ports=(80, 8080), access_log=str(tmp_path / "log"))
    path = tmp_path / "envoy.json"
    path.write_text(json.dumps(told))
    done = subprocess.run(
        [envoy_program(), "--mode", "validate", "--config-path", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, f"configuration '{path}' OK")
