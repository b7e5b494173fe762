"""Addresses, and making way for a unix socket."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from runtime.device.listening import ListenError, TcpAddress, UnixAddress, make_way, parse_address


def test_addresses() -> None:
    assert parse_address("unix:/run/x.sock", insecure=False) == UnixAddress(path=Path("/run/x.sock"))
    assert parse_address("127.0.0.1:9559", insecure=True) == TcpAddress(host="127.0.0.1", port=9559)
    assert str(parse_address("[::1]:9559", insecure=True)) == "[::1]:9559"
    assert parse_address("localhost:0", insecure=True) == TcpAddress(host="localhost", port=0)
    assert parse_address("unix:x", insecure=False) == UnixAddress(path=Path.cwd() / "x")


@pytest.mark.parametrize(
    ("text", "insecure", "words"),
    [
        ("127.0.0.1:1", False, "TCP to 127.0.0.1:1 would be without TLS: use unix:PATH, or --insecure on loopback"),
        ("0.0.0.0:9559", True, "TCP without TLS is for loopback only, 0.0.0.0 is not; mutual TLS is yet to come"),
        ("dpu:1", True, "TCP without TLS is for loopback only, dpu is not; mutual TLS is yet to come"),
        ("9559", True, "an address is unix:PATH or HOST:PORT, not '9559'"),
        ("::1:x", True, "an address is unix:PATH or HOST:PORT, not '::1:x'"),
        ("localhost:65536", True, "an address is unix:PATH or HOST:PORT, not 'localhost:65536'"),
        ("unix:/" + "x" * 107, False, "the path of a socket has 107 bytes at most: /" + "x" * 107),
    ],
)  # fmt: skip
def test_refused_addresses(text: str, insecure: bool, words: str) -> None:
    with pytest.raises(ListenError) as refused:
        parse_address(text, insecure=insecure)
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
