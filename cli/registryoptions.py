"""Registries, as options of `image convert`, and of `agent storage`, prefixed since its TLS is that of volumes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from agents.storage.io.credentials import CredentialFile
from agents.storage.io.registryoptions import Connection, RegistryOptions

_CREDENTIALS = "A config.json; default: where docker and podman look."
_CA = "PEM file of authorities to trust besides the system's."
_PLAIN = "No TLS; for loopback that is the default."
_MIRROR = "REGISTRY=HOST[:PORT], asked first; may be given again."

CaOption = Annotated[Path | None, typer.Option("--tls-ca", help=_CA)]
PlainOption = Annotated[bool, typer.Option("--plain-http", help=_PLAIN)]
CredentialsOption = Annotated[Path | None, typer.Option("--credentials", help=_CREDENTIALS)]
MirrorOption = Annotated[list[str] | None, typer.Option("--mirror", help=_MIRROR)]

RegistryCaOption = Annotated[Path | None, typer.Option("--registry-ca", help=f"Of registries: {_CA}")]
RegistryPlainOption = Annotated[bool, typer.Option("--registry-plain-http", help=f"To registries: {_PLAIN}")]
RegistryCredentialsOption = Annotated[
    Path | None,
    typer.Option("--registry-credentials", help=f"For layers that are fetched again: {_CREDENTIALS} Read each time."),
]
RegistryMirrorOption = Annotated[list[str] | None, typer.Option("--registry-mirror", help=_MIRROR)]


def registries(
    credentials: Path | None, ca: Path | None, plain_http: bool, mirrors: Sequence[str] | None
) -> RegistryOptions:
    """Raises `BadParameter`, and `ImageError` for a file of credentials that cannot be read."""
    return RegistryOptions(
        connection=Connection(ca_file=ca, plain_http=plain_http),
        credentials=CredentialFile(credentials),
        mirrors=_mirrors(mirrors or ()),
    )


def _mirrors(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for text in texts:
        registry, sign, host = text.partition("=")
        if not (registry and sign and host) or "/" in host:
            raise typer.BadParameter(f"'{text}' is no mirror; expected REGISTRY=HOST[:PORT]")
        found[registry] = (*found.get(registry, ()), host)
    return found
