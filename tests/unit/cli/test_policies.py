"""What `turnout apply` has read is remembered when it says so, unless there was an error."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from cli.policies import load_remembered_policies
from runtime.policymemory import memory_folder

NETWORK = """\
apiVersion: turnout.dev/v1alpha1
kind: Network
metadata: {name: default}
spec: {vni: 100, cidrs: [10.1.0.0/16]}
"""
SERVICE = """\
---
apiVersion: v1
kind: Service
metadata: {name: s{number}, namespace: team}
spec: {clusterIP: 10.96.0.{number}, ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: s{number}, namespace: team, labels: {kubernetes.io/service-name: s{number}}}
addressType: IPv4
endpoints: [{addresses: [10.1.0.{number}]}]
ports: [{port: 8080}]
"""


@pytest.mark.parametrize(("port", "files"), [("80", 1), ("0", 0)])
def test_policies_with_an_error_are_not_remembered(
    port: str, files: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "services.yaml"
    services = "".join(SERVICE.replace("{number}", str(number)) for number in range(1, 151))
    path.write_text(NETWORK + services.replace("port: 80}", f"port: {port}}}", 1))
    try:
        load_remembered_policies([path]).remember()
    except typer.Exit:
        assert files == 0
    assert len([*memory_folder().glob("*.json")]) == files
