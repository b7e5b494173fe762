"""Pages over HTTP: where they are served and where not, who is sent away, what probes are told."""

from __future__ import annotations

import http.client
import logging
import socket
import time
from collections.abc import Mapping

import pytest

from agents.metrics.server import (
    Answer,
    BeyondLoopbackError,
    Page,
    PageServer,
    ServingError,
    parse_tcp,
    probe_page,
)
from tests.images.registry import free_port

PAGES: Mapping[str, Page] = {"/page": lambda: Answer(200, "text/plain", b"a page\n")}


def asked(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":9464", ("", 9464)),
        ("0.0.0.0:9464", ("0.0.0.0", 9464)),
        ("[::]:9464", ("::", 9464)),
        ("10.1.2.3:9464", ("10.1.2.3", 9464)),
        ("localhost:9464", ("127.0.0.1", 9464)),
    ],
)
def test_addresses_that_others_reach_are_taken_where_that_is_asked_for(text: str, address: tuple[str, int]) -> None:
    assert parse_tcp(text, beyond_loopback=True) == address
    if not address[0].startswith("127."):
        with pytest.raises(ServingError):
            parse_tcp(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("9464", "'9464' is no address; expected ADDRESS:PORT, or :PORT for every address"),
        (":0", "':0' is no address; expected ADDRESS:PORT, or :PORT for every address"),
        (":65536", "':65536' is no address; expected ADDRESS:PORT, or :PORT for every address"),
        ("", "'' is no address; expected ADDRESS:PORT, or :PORT for every address"),
        ("pod:9464", "'pod' is no IP address; expected ADDRESS:PORT, or :PORT for every address"),
    ],
)
def test_what_is_no_address_beyond_loopback_either(text: str, said: str) -> None:
    with pytest.raises(ServingError) as refused:
        parse_tcp(text, beyond_loopback=True)
    assert str(refused.value) == said
    assert not isinstance(refused.value, BeyondLoopbackError)


def test_every_address_is_of_both_families() -> None:
    port = free_port()
    server = PageServer(("", port), PAGES)
    try:
        hosts = ("127.0.0.1", "::1") if socket.has_dualstack_ipv6() else ("127.0.0.1",)
        assert [asked(port, "/page?now", host) for host in hosts] == [(200, b"a page\n")] * len(hosts)
        assert asked(port, "/")[0] == 404
    finally:
        server.close()


def test_an_address_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServingError, match=rf"^127\.0\.0\.1:{port} cannot be listened on: Address already in use$"):
            PageServer(("127.0.0.1", port), PAGES)


def test_who_comes_when_too_many_are_there_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is served again once one of them has left."""
    monkeypatch.setattr("agents.metrics.server._MOST_AT_ONCE", 3)
    port = free_port()
    server = PageServer(("127.0.0.1", port), PAGES)
    try:
        there = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)):
            asked(port, "/page")
        there.pop().close()
        end = time.monotonic() + 10
        while True:
            try:
                assert asked(port, "/page") == (200, b"a page\n")
                break
            except (http.client.RemoteDisconnected, ConnectionError):
                assert time.monotonic() < end
        for one in there:
            one.close()
    finally:
        server.close()


def test_a_page_that_fails_is_in_the_log_and_takes_no_place(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.metrics.server._MOST_AT_ONCE", 1)

    def broken() -> Answer:
        raise KeyError("nothing")

    port = free_port()
    server = PageServer(("127.0.0.1", port), {**PAGES, "/broken": broken})
    try:
        with caplog.at_level(logging.ERROR), pytest.raises(http.client.RemoteDisconnected):
            asked(port, "/broken")
        end = time.monotonic() + 10
        while not caplog.records and time.monotonic() < end:
            time.sleep(0.01)
        assert [record.getMessage() for record in caplog.records] == ["a page could not be shown"]
        while time.monotonic() < end:
            try:
                assert asked(port, "/page") == (200, b"a page\n")
                break
            except (http.client.RemoteDisconnected, ConnectionError):
                time.sleep(0.01)
        else:
            raise AssertionError("its place is not given back")
    finally:
        server.close()


def test_probes_are_told_what_is_wrong() -> None:
    assert probe_page(lambda: [])() == (200, "text/plain; charset=utf-8", b"ok\n")
    assert probe_page(lambda: ["one", "two"])() == (500, "text/plain; charset=utf-8", b"one\ntwo\n")
