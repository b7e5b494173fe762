from __future__ import annotations

import logging

import pytest

from runtime.device.complaints import EVERY_S, MAX_KINDS, Complaints


def test_a_line_for_all_and_no_more_for_a_while(caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints()
    with caplog.at_level(logging.WARNING):
        for _ in range(1000):
            complaints.note("client 'a'", "RPCs refused: 64 RPCs are open")
        complaints.tick(1.0)
        complaints.note("client 'a'", "RPCs refused: 64 RPCs are open")
        complaints.note("client 'b'", "messages lost")
        complaints.tick(2.0)
        complaints.tick(1.0 + EVERY_S)
    assert [record.getMessage() for record in caplog.records] == [
        "client 'a': 1000 RPCs refused: 64 RPCs are open (1000 in all)",
        "client 'b': 1 messages lost (1 in all)",
        "client 'a': 1 RPCs refused: 64 RPCs are open (1001 in all)",
    ]


def test_clients_without_end_are_told_together(caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints()
    for number in range(MAX_KINDS + 50):
        complaints.note(f"client {number}", "requests given up")
    complaints.tick(1.0)
    assert len(caplog.records) == MAX_KINDS + 1
    assert caplog.records[-1].getMessage() == "other clients: 50 requests given up (50 in all)"
