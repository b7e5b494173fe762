"""Where the API server is: kubeconfigs, good and bad, and the files of a Pod."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agents.cluster import connecting
from agents.cluster.connecting import connection, own_namespace
from agents.cluster.errors import ClusterError
from runtime.device.certificates import Validity, make_authority, make_client

VALIDITY = Validity(now=datetime.now(UTC), days=1)
AUTHORITY = make_authority(VALIDITY)
CLIENT = make_client(AUTHORITY, "controller", VALIDITY)


@pytest.fixture(autouse=True)
def _outside_of_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)


def written(folder: Path, user: dict[str, Any]) -> Path:
    cluster = {"server": "https://127.0.0.1:6443", "certificate-authority-data": encoded(AUTHORITY.certificate_pem)}
    path = folder / "config"
    path.write_text(json.dumps(config(user, cluster)))
    return path


def config(user: dict[str, Any], cluster: dict[str, Any]) -> dict[str, Any]:
    return {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(written(tmp_path, {"token": "secret"})))
    found = connection(None)
    assert (found.server, found.headers()) == ("https://127.0.0.1:6443", {"Authorization": "Bearer secret"})


def test_a_token_in_a_file_is_read_again_after_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("agents.cluster.connecting.time.monotonic", lambda: now[0])
    (tmp_path / "token").write_text("one\n")
    found = connection(written(tmp_path, {"tokenFile": "token"}))
    assert found.headers() == {"Authorization": "Bearer one"}
    (tmp_path / "token").write_text("two\n")
    assert found.headers() == {"Authorization": "Bearer one"}
    now[0] += 60
    assert found.headers() == {"Authorization": "Bearer two"}


def test_a_client_certificate(tmp_path: Path) -> None:
    user = {"client-certificate-data": encoded(CLIENT.certificate_pem), "client-key-data": encoded(CLIENT.key_pem)}
    assert connection(written(tmp_path, user)).headers() == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"config is no kubeconfig: "),
        ("a: [", r"config is no kubeconfig: "),
        (json.dumps({"current-context": "x"}), r"the kubeconfig has no context 'x'"),
        (
            json.dumps(config({"exec": {}}, {"server": "https://h"})),
            r"'exec' is not understood; expected a token or a client certificate",
        ),
        (json.dumps(config({}, {"server": "http://h"})), r"'http://h' is not an https address"),
        (
            json.dumps(config({}, {"server": "https://h", "certificate-authority": "none.pem"})),
            r"config: .*No such file or directory",
        ),
        (
            json.dumps(config({}, {"server": "https://h", "certificate-authority-data": encoded(b"no PEM")})),
            r"config",
        ),
    ],
)
def test_what_is_no_good_kubeconfig(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "config").write_text(text)
    with pytest.raises(ClusterError, match=message):
        connection(tmp_path / "config")


def test_in_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "ACCOUNT", tmp_path)
    assert own_namespace() == ""
    files = {"ca.crt": AUTHORITY.certificate_pem, "token": b"ours", "namespace": b"turnout-system"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    found = connection(None)
    assert (found.server, found.headers()) == ("https://[fd00::1]:443", {"Authorization": "Bearer ours"})
    assert own_namespace() == "turnout-system"


def test_neither() -> None:
    with pytest.raises(ClusterError, match=r"^not in a Pod \(KUBERNETES_SERVICE_HOST is not set\), and there is no"):
        connection(None)
