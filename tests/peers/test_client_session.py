"""Our client against a device that other clients have used before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from compiler.pipeline.assembly import pipeline
from compiler.printers.bundle import write_bundle
from compiler.printers.p4info import p4info
from runtime.client.errors import NotPrimaryError
from runtime.client.session import Session
from tests.peers.processes import model_device

pytestmark = pytest.mark.slow


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with model_device(tmp_path) as found:
        yield found


def test_it_writes_after_a_client_with_a_higher_id_has_left(address: str) -> None:
    with Session(address, election_id=10) as other:
        other.become_primary()
    with Session(address) as ours:
        ours.become_primary()
        assert ours.election_id.low == 10
        ours.set_pipeline(p4info(pipeline()), write_bundle(pipeline()), 1)


def test_it_does_not_while_the_other_is_there(address: str) -> None:
    with Session(address, election_id=10) as other:
        other.become_primary()
        with Session(address) as ours, pytest.raises(NotPrimaryError, match="with election id 10"):
            ours.become_primary()


def test_two_of_us_at_once(address: str) -> None:
    with Session(address) as first:
        first.become_primary()
        with Session(address) as second, pytest.raises(NotPrimaryError, match="another `turnout apply`"):
            second.become_primary()
