"""TLS of volumes that are read over NBD: both sides show a certificate that one authority has signed.

QEMU wants the files under names of its own in one folder; there they are links, so that a daemon that is started later
reads renewed ones.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from agents.storage.wire.errors import ImageError

Endpoint = Literal["client", "server"]
CREDENTIALS: Final = "tls"
"""What a storage daemon calls them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NbdTls:
    """Files in PEM."""

    ca: Path
    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Of a client that speaks to nobody whose certificate does not name the host. Raises ImageError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        for path in (self.ca, self.certificate, self.key):
            if not path.is_file():
                raise ImageError(f"{path}: no such file; TLS needs an authority, a certificate and its key")
        try:
            context.load_verify_locations(self.ca)
        except OSError as error:
            raise ImageError(f"{self.ca}: {said(error)}") from error
        try:
            context.load_cert_chain(self.certificate, self.key)
        except OSError as error:
            raise ImageError(f"{self.certificate} and {self.key}: {said(error)}") from error
        return context

    def options(self, folder: Path, endpoint: Endpoint) -> tuple[str, ...]:
        """Of a storage daemon that is about to start, with the files linked in `folder`."""
        self.context()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        names = {"ca-cert.pem": self.ca, f"{endpoint}-cert.pem": self.certificate, f"{endpoint}-key.pem": self.key}
        for name, path in names.items():
            link = folder / name
            link.unlink(missing_ok=True)
            link.symlink_to(path.absolute())
        place = str(folder).replace(",", ",,")
        return ("--object", f"tls-creds-x509,id={CREDENTIALS},dir={place},endpoint={endpoint},verify-peer=on")


def said(error: OSError) -> str:
    """OpenSSL's reason in words, else the system's."""
    reason = getattr(error, "reason", None)
    return str(reason).lower().replace("_", " ") if reason else error.strerror or str(error)
