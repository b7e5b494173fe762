"""Mutual TLS of the device: its certificate, its key, and the authority whose clients it takes.

The three files are looked at again with each connection, so that renewed ones are taken up without a restart. Files
that do not fit together are refused at the start, and passed over later: the ones before them stay in use.
"""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import serialization

LOG = logging.getLogger("turnout.device")
State = tuple[tuple[int, int, int], ...]


class TlsError(Exception):
    """Files that no connection can be made with; the text is fit to print."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """All in PEM. `cert` may have intermediate certificates behind it, `ca` several authorities."""

    cert: Path
    key: Path
    ca: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsBytes:
    """What the files hold; certificate and key belong together."""

    cert: bytes
    key: bytes
    ca: bytes
    ends: datetime
    """Until when the certificate is valid."""


def read_tls(files: TlsFiles, now: datetime) -> TlsBytes:
    """Raises `TlsError` for what every client would refuse: other formats, another's key, a validity that is over."""
    cert, key, ca = _read(files.cert), _read(files.key), _read(files.ca)
    own = _certificates(files.cert, cert)[0]
    if _public_key(files.key, key) != own.public_key():
        raise TlsError(f"{files.key} is not the key of the certificate in {files.cert}")
    if not own.not_valid_before_utc <= now <= own.not_valid_after_utc:
        first, last = own.not_valid_before_utc.date(), own.not_valid_after_utc.date()
        raise TlsError(f"the certificate in {files.cert} is valid from {first} to {last}, not today")
    for authority in _certificates(files.ca, ca):
        if not _is_authority(authority):
            raise TlsError(f"{files.ca}: {authority.subject.rfc4514_string()} is not a certificate authority")
    return TlsBytes(cert=cert, key=key, ca=ca, ends=own.not_valid_after_utc)


class Renewal:
    """Credentials of a server that follow their files. Raises `TlsError` when they are not right at the start."""

    def __init__(self, files: TlsFiles, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._files = files
        self._now = now
        self._seen = _state(files)
        first = read_tls(files, now())
        _warn_of_readers(files.key)
        LOG.info("TLS: %s is valid until %s", files.cert, first.ends.date())
        fetch: Any = self.changed  # may also answer None, which gRPC's stubs do not know
        self.credentials = grpc.dynamic_ssl_server_credentials(
            _configuration(first), fetch, require_client_authentication=True
        )

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """The files, when they are others than before and fit together. gRPC asks in threads of its own."""
        try:
            state = _state(self._files)
            if state == self._seen:
                return None
            self._seen = state
            read = read_tls(self._files, self._now())
        except TlsError as problem:
            LOG.warning("TLS: the renewed files are not taken: %s", problem)
            return None
        LOG.info("TLS: %s is renewed, valid until %s", self._files.cert, read.ends.date())
        return _configuration(read)


def _configuration(read: TlsBytes) -> Any:
    return grpc.ssl_server_certificate_configuration([(read.key, read.cert)], read.ca)


def _state(files: TlsFiles) -> State:
    """What changes when a file is replaced or written. A file that is missing is as good as changed."""
    return tuple(_state_of(path) for path in (files.cert, files.key, files.ca))


def _state_of(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def _warn_of_readers(key: Path) -> None:
    mode = stat.S_IMODE(key.stat().st_mode)
    if mode & stat.S_IROTH:
        LOG.warning("TLS: everybody on this machine can read the key %s (mode %04o)", key, mode)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise TlsError(f"cannot read {path}: {problem.strerror}") from problem


def _certificates(path: Path, pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as problem:
        raise TlsError(f"{path} holds no certificate in PEM") from problem


def _public_key(path: Path, pem: bytes) -> Any:
    try:
        return serialization.load_pem_private_key(pem, password=None).public_key()
    except TypeError as problem:
        raise TlsError(f"{path} is protected by a password, which nobody could give") from problem
    except ValueError as problem:
        raise TlsError(f"{path} holds no private key in PEM") from problem


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
