"""Tests of shop.yaml, with the fixtures that Turnout brings for pytest: `pytest examples/test_shop.py`.

Without root they run on the interpreter; as root also on the programs in the kernel, and one in the lab.
"""

from __future__ import annotations

import pytest

from runtime.verification.proof.bench import Bench
from runtime.verification.proof.lab import Lab

pytestmark = pytest.mark.turnout("shop.yaml")
BACKENDS = ("shop/web-1", "shop/web-2", "shop/web-3")


def test_the_service_answers_from_its_own_address(turnout_device: Bench) -> None:
    opening = turnout_device.send(from_="shop/client", to="10.96.0.10:80")
    opening.expect(delivered_to=BACKENDS)
    opening.reply().expect(delivered_to="shop/client", from_="10.96.0.10:80")


def test_a_connection_stays_with_its_backend(turnout_device: Bench) -> None:
    opening = turnout_device.send(from_="shop/client", to="shop/web:80")
    backend = opening.delivered_to
    assert backend in BACKENDS
    opening.reply()
    turnout_device.wait(seconds=3600)
    opening.again("PA", b"GET /").expect(delivered_to=backend)


def test_connections_spread_over_all_backends(turnout_device: Bench) -> None:
    reached = {turnout_device.send(from_="shop/client", to="[fd00:10:96::10]:80").delivered_to for _ in range(50)}
    assert reached == set(BACKENDS)


def test_blue_has_a_service_of_its_own_at_the_same_address(turnout_device: Bench) -> None:
    turnout_device.send(from_="blue/blue-client", to="10.96.0.10:80").expect(delivered_to="blue/blue-web")


def test_a_port_without_a_service_is_left_alone(turnout_device: Bench) -> None:
    turnout_device.send(from_="shop/client", to="10.96.0.10:81").expect(left_alone=True)


@pytest.mark.root
@pytest.mark.slow
def test_a_real_request_in_the_lab(turnout_lab: Lab) -> None:
    answered = turnout_lab.exec("client", "curl", "--silent", "--max-time", "5", "http://10.96.0.10/")
    assert answered.returncode == 0, answered.stderr
