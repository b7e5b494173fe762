"""TLS of volumes that nodes read from each other, as options of `image serve`, `image adopt` and `agent storage`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agents.storage.io.nbdtls import NbdTls

CaOption = Annotated[
    Path | None, typer.Option("--tls-ca", help="The authority that has signed the other side's certificate; PEM.")
]
CertOption = Annotated[Path | None, typer.Option("--tls-cert", help="The certificate to show to the other side; PEM.")]
KeyOption = Annotated[Path | None, typer.Option("--tls-key", help="Its private key; PEM.")]


def volume_tls(ca: Path | None, certificate: Path | None, key: Path | None) -> NbdTls | None:
    """None without any of them."""
    if ca is None and certificate is None and key is None:
        return None
    if ca is None or certificate is None or key is None:
        raise typer.BadParameter("--tls-ca, --tls-cert and --tls-key go together: both sides show a certificate")
    return NbdTls(ca=ca, certificate=certificate, key=key)
