"""Bulk transfers between and within nodes, direct and through a service: nothing is lost, nothing is changed."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from tests.root.end_to_end.shop import (
    ADDRESSES,
    BACKEND_OF,
    CLIENT,
    IPERF_PORT,
    SINGLE,
    SINK_PORT,
    WEB_3,
    Shop,
)
from tests.root.end_to_end.traffic import download, sink, upload

pytestmark = [pytest.mark.root, pytest.mark.slow]
versions = pytest.mark.parametrize("version", [4, 6])
DATA = random.Random(3).randbytes(20_000_000)
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(autouse=True)
def _both_settings(offloads: bool) -> None:
    """Every test of this module runs with offloads on and off."""


@versions
@pytest.mark.parametrize("service", ["near", "far"])
def test_bytes_arrive_as_they_were_sent(shop: Shop, service: str, version: int) -> None:
    backend, address = BACKEND_OF[service], SINGLE[service][version == 6]
    with sink(shop.namespace(backend), SINK_PORT) as taken:
        upload(shop.namespace(CLIENT), address, 90, DATA)
        taken.wait()
    assert (taken.digest, taken.peer) == (DIGEST, ADDRESSES[CLIENT][version == 6])
    with sink(shop.namespace(backend), SINK_PORT, outgoing=DATA) as given:
        assert download(shop.namespace(CLIENT), address, 90) == DIGEST
        given.wait()


@contextmanager
def iperf_server(shop: Shop, workload: str) -> Generator[None]:
    server = shop.start_in(workload, "iperf3", "--server", "--forceflush", "--port", str(IPERF_PORT))
    try:
        assert server.stdout is not None
        while "Server listening" not in (line := server.stdout.readline()):
            assert line, "iperf3 ended"
        yield
    finally:
        server.terminate()
        server.communicate(timeout=10)


@pytest.fixture
def server(shop: Shop) -> Generator[None]:
    with iperf_server(shop, WEB_3):
        yield


@versions
@pytest.mark.parametrize("through", ["direct", "service"])
def test_iperf3(shop: Shop, server: None, version: int, through: str) -> None:
    address = (ADDRESSES[WEB_3] if through == "direct" else SINGLE["far"])[version == 6]
    base = ["iperf3", "--json", "--client", address, "--port", str(IPERF_PORT)]
    # iperf3's server stops counting at the client's last write: what may then be under way is bounded by the buffers,
    # and without a bound the kernel lets a slow reader's grow to half of the transfer.
    bulk = ("--window", "128K", "--bytes", "30M")
    for options in (bulk, (*bulk, "--reverse")):
        received = iperf_end(shop, [*base, *options])["sum_received"]
        assert received["bytes"] > 29_000_000, options
    # As slow as this, a server that waits 200 ms for its CPU loses nothing from its socket.
    udp = iperf_end(shop, [*base, "--udp", "--bitrate", "4M", "--length", "1300", "--time", "3"])["sum"]
    assert udp["packets"] > 1000
    assert udp["lost_percent"] < 5


def iperf_end(shop: Shop, command: list[str]) -> dict[str, dict[str, float]]:
    """The end of iperf3's report."""
    done = shop.run_in(CLIENT, *command, timeout_s=30)
    report = json.loads(done.stdout)
    assert (done.returncode, report.get("error")) == (0, None)
    return report["end"]
