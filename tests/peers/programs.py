"""Programs that tests/peers/build has made, and how those of Kubernetes are started."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

BUILD: Final = Path(__file__).with_name("build")
KUBE: Final = "kube"
ETCD_ENVIRONMENT: Final = {"ETCD_UNSAFE_NO_FSYNC": "1"}
"""What is in it is of no use to anybody later."""


def place_of(peer: str) -> Path:
    """The folder that a peer's programs are in, once they are built."""
    return Path(subprocess.run([BUILD, "--where", peer], capture_output=True, text=True, check=True).stdout.strip())


def apiserver_flags(folder: Path, etcd: str, issuer: str, more: Mapping[str, object]) -> list[str]:
    """Of a server that stands alone, with files in `folder`: `tokens.csv` (token, user, uid, groups), the private key
    of service accounts `accounts.key`, and `certs`, which it makes. No controller-manager runs beside it."""
    flags = {
        "etcd-servers": etcd,
        # A loopback address cannot be an endpoint of the service `kubernetes`.
        "advertise-address": "127.0.0.1",
        "endpoint-reconciler-type": "none",
        "cert-dir": folder / "certs",
        "token-auth-file": folder / "tokens.csv",
        # Nobody makes a service account `default` in new namespaces.
        "disable-admission-plugins": "ServiceAccount",
        "service-account-issuer": issuer,
        "service-account-key-file": folder / "accounts.key",
        "service-account-signing-key-file": folder / "accounts.key",
    }
    return [f"--{name}={value}" for name, value in {**flags, **more}.items()]


def write_accounts(folder: Path, token: str, user: str) -> None:
    """The two files of `apiserver_flags`: an administrator's token, and a key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    plain = serialization.NoEncryption()
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    (folder / "accounts.key").write_bytes(text)
    (folder / "tokens.csv").write_text(f'{token},{user},{user},"system:masters"\n')
