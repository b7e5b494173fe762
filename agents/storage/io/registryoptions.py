"""How registries are reached: what options say, without what speaks to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from agents.storage.io.credentials import CredentialFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """`ca_file` is trusted besides the system's authorities."""

    ca_file: Path | None = None
    plain_http: bool = False
    verify: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryOptions:
    """`mirrors` maps a registry to hosts that are asked before it."""

    connection: Connection = field(default_factory=Connection)
    credentials: CredentialFile | None = None
    mirrors: dict[str, tuple[str, ...]] = field(default_factory=lambda: {})
