"""Where the server listens: unix sockets for their owner and perhaps a group, TCP with mutual TLS.

TCP without TLS is for loopback, and only when asked for.
"""

from __future__ import annotations

import grp
import ipaddress
import os
import socket
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

SOCKET_MODE, GROUP_SOCKET_MODE = 0o600, 0o660
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


Address = UnixAddress | TcpAddress


def parse_address(text: str, *, insecure: bool, tls: bool) -> Address:
    """`unix:PATH` or `HOST:PORT`. Raises `ListenError`; TCP without `tls` is for loopback, and only if `insecure`."""
    if text.startswith("unix:"):
        path = Path(text.removeprefix("unix:")).absolute()
        if len(os.fsencode(path)) > MAX_PATH_BYTES:
            raise ListenError(f"the path of a socket has {MAX_PATH_BYTES} bytes at most: {path}")
        return UnixAddress(path=path)
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdecimal() or int(port) > 65535:
        raise ListenError(f"an address is unix:PATH or HOST:PORT, not {text!r}")
    address = TcpAddress(host=host.strip("[]"), port=int(port))
    if tls:
        return address
    if not insecure:
        raise ListenError(
            f"TCP to {address} would be without TLS: give --tls-cert and the like, use unix:PATH, "
            "or --insecure on loopback"
        )
    if not _is_loopback(address.host):
        raise ListenError(f"TCP without TLS is for loopback only, {address.host} is not: give --tls-cert and the like")
    return address


def _is_loopback(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def writable_by_all(folder: Path) -> bool:
    """Whether everybody may remove what is in a folder and put something else there."""
    mode = folder.stat().st_mode
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def group_id(name: str) -> int:
    """Raises `ListenError`."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as problem:
        raise ListenError(f"there is no group {name!r} on this machine") from problem


@contextmanager
def private_umask() -> Generator[None]:
    """For the moment in which a socket is made: it must never be open to others, not even then."""
    before = os.umask(0o777 & ~SOCKET_MODE)
    try:
        yield
    finally:
        os.umask(before)


def hand_over(address: UnixAddress, group: int | None) -> None:
    """The socket's owner alone may use it, or a group as well. Raises `ListenError`."""
    try:
        if group is None:
            address.path.chmod(SOCKET_MODE)
        else:
            os.chown(address.path, -1, group)
            address.path.chmod(GROUP_SOCKET_MODE)
    except OSError as problem:
        raise ListenError(f"cannot set who may use {address.path}: {problem.strerror}") from problem


def make_way(address: UnixAddress) -> None:
    """Make the folder, and remove a socket that nobody listens on any more. Raises `ListenError`."""
    path = address.path
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if writable_by_all(path.parent):
            raise ListenError(
                f"everybody may replace files in {path.parent}, so also the socket: choose another folder"
            )
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
