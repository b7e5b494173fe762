"""The gRPC channel to a device: a unix socket, TCP with mutual TLS, or TCP in the clear, and why there is none."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from runtime.client.errors import ClientError, UnreachableError

CONNECT_TIMEOUT_S = 5.0
PROBE_TIMEOUT_S = 2.0
_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", 4 << 20),  # one error for each update comes back as metadata
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """What a client shows a device, and whose certificates of devices it believes. Files in PEM."""

    ca: Path
    cert: Path
    key: Path


def open_channel(address: str, tls: ClientTls | None = None) -> grpc.Channel:
    """A channel that is ready. TLS is for TCP; unix sockets have none. Raises `ClientError`.

    The way is tried without gRPC first, which would try for long and not say why it fails.
    """
    if address.startswith("unix:"):
        _try_socket(address)
        channel = grpc.insecure_channel(address, options=_OPTIONS)
    elif tls is None:
        channel = grpc.insecure_channel(address, options=_OPTIONS)
    else:
        credentials = grpc.ssl_channel_credentials(_read(tls.ca), _read(tls.key), _read(tls.cert))
        _try_tls(address, tls)
        channel = grpc.secure_channel(address, credentials, options=_OPTIONS)
    try:
        grpc.channel_ready_future(channel).result(timeout=CONNECT_TIMEOUT_S)
    except grpc.FutureTimeoutError as error:
        channel.close()
        raise _unreachable(address, "" if tls else _plain_reason(address)) from error
    return channel


def _unreachable(address: str, reason: str) -> UnreachableError:
    return UnreachableError(f"no P4Runtime server answers at {address}" + (f": {reason}" if reason else ""))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ClientError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error


def _context(tls: ClientTls) -> ssl.SSLContext:
    """Raises `ClientError` for files that gRPC would only fall silent about."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["h2"])
    try:
        context.load_verify_locations(tls.ca)
    except ssl.SSLError as error:
        raise ClientError(f"{tls.ca} holds no certificate in PEM") from error
    try:
        context.load_cert_chain(tls.cert, tls.key, password="")
    except ssl.SSLError as error:
        raise ClientError(f"{tls.cert} and {tls.key} are no certificate with its key in PEM") from error
    return context


def _try_socket(address: str) -> None:
    """Raises `UnreachableError` with the kernel's reason."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(CONNECT_TIMEOUT_S)
        try:
            probe.connect(address.removeprefix("unix:"))
        except OSError as error:
            hint = "is the device running?" if not isinstance(error, PermissionError) else "run it as root"
            raise _unreachable(address, f"{_words(error)}; {hint}") from error


def _try_tls(address: str, tls: ClientTls) -> None:
    """Raises `ClientError` with the reason of the kernel or of TLS."""
    context, (host, port) = _context(tls), _split(address)
    try:
        with (
            socket.create_connection((host, port), CONNECT_TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            # What a server thinks of a client's certificate shows only when one reads: HTTP/2 sends its settings.
            if secured.recv(1):
                return
    except ssl.SSLCertVerificationError as error:
        raise _unreachable(address, f"its certificate is not believed: {error.verify_message}") from error
    except ssl.SSLError as error:
        raise _unreachable(address, f"TLS fails: {error.reason or error}") from error
    except OSError as error:
        raise _unreachable(address, _words(error)) from error
    raise _unreachable(address, f"it ends the connection: it does not believe the certificate {tls.cert}")


def _plain_reason(address: str) -> str:
    if address.startswith("unix:"):
        return "somebody listens there, and does not answer as a P4Runtime server would"
    try:
        with socket.create_connection(_split(address), PROBE_TIMEOUT_S):
            return "somebody listens there; if it asks for TLS, give --tls-ca, --tls-cert and --tls-key"
    except OSError as error:
        return _words(error)


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ClientError(f"an address is unix:PATH or HOST:PORT, not {address!r}")
    return host.strip("[]"), int(port)


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
