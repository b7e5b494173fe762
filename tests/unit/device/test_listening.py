"""Addresses, and making way for a unix socket."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from runtime.device.listening import (
    ListenError,
    TcpAddress,
    UnixAddress,
    group_id,
    hand_over,
    make_way,
    parse_address,
    private_umask,
)

NO_TLS = (
    "TCP to 127.0.0.1:1 would be without TLS: give --tls-cert and the like, use unix:PATH, or --insecure on loopback"
)


def test_addresses() -> None:
    assert parse_address("unix:/run/x.sock", insecure=False, tls=False) == UnixAddress(path=Path("/run/x.sock"))
    assert parse_address("127.0.0.1:9559", insecure=True, tls=False) == TcpAddress(host="127.0.0.1", port=9559)
    assert str(parse_address("[::1]:9559", insecure=True, tls=False)) == "[::1]:9559"
    assert parse_address("localhost:0", insecure=True, tls=False) == TcpAddress(host="localhost", port=0)
    assert parse_address("0.0.0.0:9559", insecure=False, tls=True) == TcpAddress(host="0.0.0.0", port=9559)
    assert parse_address("unix:x", insecure=False, tls=False) == UnixAddress(path=Path.cwd() / "x")


@pytest.mark.parametrize(
    ("text", "insecure", "words"),
    [
        ("127.0.0.1:1", False, NO_TLS),
        ("0.0.0.0:9559", True, "TCP without TLS is for loopback only, 0.0.0.0 is not: give --tls-cert and the like"),
        ("dpu:1", True, "TCP without TLS is for loopback only, dpu is not: give --tls-cert and the like"),
        ("9559", True, "an address is unix:PATH or HOST:PORT, not '9559'"),
        ("::1:x", True, "an address is unix:PATH or HOST:PORT, not '::1:x'"),
        ("localhost:65536", True, "an address is unix:PATH or HOST:PORT, not 'localhost:65536'"),
        ("unix:/" + "x" * 107, False, "the path of a socket has 107 bytes at most: /" + "x" * 107),
    ],
)  # fmt: skip
def test_refused_addresses(text: str, insecure: bool, words: str) -> None:
    with pytest.raises(ListenError) as refused:
        parse_address(text, insecure=insecure, tls=False)
    assert str(refused.value) == words


def test_a_stale_socket_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.sock"
    make_way(UnixAddress(path=path))
    assert path.parent.is_dir()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    make_way(UnixAddress(path=path))
    assert not path.exists()


def test_a_socket_in_use_stays(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with socket.socket(socket.AF_UNIX) as held:
        held.bind(str(path))
        held.listen()
        with pytest.raises(ListenError) as refused:
            make_way(UnixAddress(path=path))
        assert str(refused.value) == f"{path} is in use: another device listens on it"
        assert path.exists()


def test_a_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    path.write_text("mine")
    with pytest.raises(ListenError, match="is there and is no socket"):
        make_way(UnixAddress(path=path))
    assert path.read_text() == "mine"


def test_a_folder_of_everybody_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(ListenError) as refused:
        make_way(UnixAddress(path=folder / "x.sock"))
    assert str(refused.value) == (f"everybody may replace files in {folder}, so also the socket: choose another folder")
    folder.chmod(0o1777)
    make_way(UnixAddress(path=folder / "x.sock"))


def test_who_may_use_a_socket(tmp_path: Path) -> None:
    address = UnixAddress(path=tmp_path / "x.sock")
    with socket.socket(socket.AF_UNIX) as held:
        with private_umask():
            held.bind(str(address.path))
        assert stat.S_IMODE(address.path.stat().st_mode) == 0o600
        own = os.getegid()
        hand_over(address, own)
        found = address.path.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, own)
        hand_over(address, None)
        assert stat.S_IMODE(address.path.stat().st_mode) == 0o600


def test_an_unknown_group() -> None:
    with pytest.raises(ListenError) as refused:
        group_id("nobody-has-this")
    assert str(refused.value) == "there is no group 'nobody-has-this' on this machine"
