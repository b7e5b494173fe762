"""How to reach the API server: as a Pod does, or by a kubeconfig.

In a Pod the kubelet renews the token in its file, so that is read again each minute. Of a kubeconfig, tokens and client
certificates are understood; plugins (`exec`, `auth-provider`) are refused by name.
"""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import yaml

from agents.cluster.errors import ClusterError

ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_REREAD_S: Final = 60.0


@dataclass(slots=True)
class Connection:
    server: str
    context: ssl.SSLContext
    token: str = ""
    token_file: Path | None = None
    _read_at_s: float = field(default=float("-inf"), init=False)

    def headers(self) -> dict[str, str]:
        if self.token_file is not None and time.monotonic() - self._read_at_s >= _REREAD_S:
            self.token, self._read_at_s = _read(self.token_file).strip(), time.monotonic()
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


def connection(kubeconfig: Path | None) -> Connection:
    """By the file, where there is one or $KUBECONFIG names one; else as a Pod. Raises ClusterError."""
    named = os.environ.get("KUBECONFIG", "")
    if kubeconfig is None and not named:
        return _of_pod()
    return _of_file(Path(named) if kubeconfig is None else kubeconfig)


def own_namespace() -> str:
    """That of this Pod; empty outside of one."""
    path = ACCOUNT / "namespace"
    return _read(path).strip() if path.exists() else ""


def _of_pod() -> Connection:
    host, port = (os.environ.get(f"KUBERNETES_SERVICE_{name}", "") for name in ("HOST", "PORT"))
    if not host or not port:
        raise ClusterError("not in a Pod (KUBERNETES_SERVICE_HOST is not set), and there is no kubeconfig")
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    return Connection(server, _trusting(_read(ACCOUNT / "ca.crt")), token_file=ACCOUNT / "token")


def _of_file(path: Path) -> Connection:
    try:
        found = yaml.safe_load(_read(path))
        context = _named(found, "contexts", "context", found["current-context"])
        cluster = _named(found, "clusters", "cluster", context["cluster"])
        user = _named(found, "users", "user", context["user"])
        for name in ("exec", "auth-provider"):
            if name in user:
                raise ClusterError(f"{path}: '{name}' is not understood; expected a token or a client certificate")
        return _connection(path, cluster, user)
    except (KeyError, TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise ClusterError(f"{path} is no kubeconfig: {error}") from error
    except (OSError, ssl.SSLError) as error:
        raise ClusterError(f"{path}: {error}") from error


def _connection(path: Path, cluster: dict[str, Any], user: dict[str, Any]) -> Connection:
    server = str(cluster["server"]).rstrip("/")
    if not server.startswith("https://"):
        raise ClusterError(f"{path}: '{server}' is not an https address")
    authority = _content(path, cluster, "certificate-authority")
    context = _trusting("" if authority is None else authority.decode())
    certificate, key = (_content(path, user, name) for name in ("client-certificate", "client-key"))
    if certificate is not None and key is not None:
        _identify(context, certificate, key)
    token_file = user.get("tokenFile")
    return Connection(
        server,
        context,
        token=str(user.get("token", "")),
        token_file=None if token_file is None else path.parent / token_file,
    )


def _named(found: dict[str, Any], many: str, one: str, name: str) -> dict[str, Any]:
    for entry in found.get(many) or ():
        if entry["name"] == name:
            return cast("dict[str, Any]", entry[one])
    raise ClusterError(f"the kubeconfig has no {one} '{name}'")


def _content(path: Path, entry: dict[str, Any], name: str) -> bytes | None:
    """A file that is named, relative to the kubeconfig, or what stands in it."""
    if f"{name}-data" in entry:
        return base64.b64decode(entry[f"{name}-data"])
    return (path.parent / entry[name]).read_bytes() if name in entry else None


def _trusting(authority: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=authority or None)
    # Authorities of clusters are often made without the extensions that OpenSSL's strict mode wants.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _identify(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """OpenSSL takes them from a file alone."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(certificate + b"\n" + key)
        file.flush()
        context.load_cert_chain(file.name)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise ClusterError(f"{path}: {error.strerror}") from error
