"""The program in front of a proxy is accepted by the kernel of this machine."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest

from runtime.proxy.keeping import is_listening
from runtime.proxy.steering import steer


def test_listeners_are_found_by_their_port() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        assert not is_listening(port, {4})
        listener.listen()
        assert is_listening(port, {4})
        assert not is_listening(port, {4, 6})


@pytest.mark.root
@pytest.mark.slow
def test_the_program_loads_and_goes() -> None:
    attachment = steer("lo", (ip_address("10.1.0.250"), ip_address("fd00::250")), 15001)
    assert attachment.ifindex == socket.if_nametoindex("lo")
    attachment.close()
