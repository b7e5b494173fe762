"""Where the server listens: a unix socket that only its owner may use, or TCP on loopback without TLS when asked."""

from __future__ import annotations

import ipaddress
import os
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SOCKET_MODE = 0o600
MAX_PATH_BYTES = 107
"""`sun_path` of a unix socket address, without its final zero."""


class ListenError(Exception):
    """An address that cannot be listened on; the text is fit to print."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnixAddress:
    path: Path

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpAddress:
    """`port` 0 lets the kernel choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, *, insecure: bool) -> UnixAddress | TcpAddress:
    """`unix:PATH` or `HOST:PORT`. Raises `ListenError`; for TCP also unless `insecure` and on loopback."""
    if text.startswith("unix:"):
        path = Path(text.removeprefix("unix:")).absolute()
        if len(os.fsencode(path)) > MAX_PATH_BYTES:
            raise ListenError(f"the path of a socket has {MAX_PATH_BYTES} bytes at most: {path}")
        return UnixAddress(path=path)
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdecimal() or int(port) > 65535:
        raise ListenError(f"an address is unix:PATH or HOST:PORT, not {text!r}")
    address = TcpAddress(host=host.strip("[]"), port=int(port))
    if not insecure:
        raise ListenError(f"TCP to {address} would be without TLS: use unix:PATH, or --insecure on loopback")
    if not _is_loopback(address.host):
        raise ListenError(f"TCP without TLS is for loopback only, {address.host} is not; mutual TLS is yet to come")
    return address


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def make_way(address: UnixAddress) -> None:
    """Make the folder, and remove a socket that nobody listens on any more. Raises `ListenError`."""
    path = address.path
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if not path.exists() and not path.is_symlink():
            return
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ListenError(f"{path} is there and is no socket")
        if _answers(path):
            raise ListenError(f"{path} is in use: another device listens on it")
        path.unlink()
    except OSError as problem:
        raise ListenError(f"cannot listen on {path}: {problem.strerror}") from problem


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except TimeoutError:
            return True
        return True
