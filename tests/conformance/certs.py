"""Certificates for tests, made by `turnout device certs`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import grpc
from typer.testing import CliRunner

from cli.main import app


@dataclass(frozen=True, kw_only=True)
class Certs:
    """A folder with `ca`, `server` and clients."""

    folder: Path

    def make(self, *arguments: str) -> None:
        made = CliRunner().invoke(app, ["device", "certs", str(self.folder), *arguments])
        assert made.exit_code == 0, made.stderr

    def path(self, name: str) -> Path:
        return self.folder / name

    @property
    def server_arguments(self) -> list[str]:
        names = {"--tls-cert": "server.pem", "--tls-key": "server.key", "--tls-ca": "ca.pem"}
        return [word for option, name in names.items() for word in (option, str(self.path(name)))]

    def client_arguments(self, name: str) -> list[str]:
        names = {"--tls-cert": f"{name}.pem", "--tls-key": f"{name}.key", "--tls-ca": "ca.pem"}
        return [word for option, name in names.items() for word in (option, str(self.path(name)))]

    def credentials(self, name: str | None, *, ca: Path | None = None) -> grpc.ChannelCredentials:
        """As client `name`, or as nobody."""
        root = (ca or self.path("ca.pem")).read_bytes()
        if name is None:
            return grpc.ssl_channel_credentials(root)
        key, certificate = self.path(f"{name}.key").read_bytes(), self.path(f"{name}.pem").read_bytes()
        return grpc.ssl_channel_credentials(root, key, certificate)
