"""Clients that go away while the device is saying something to them: nothing of it is in the log but one line."""

from __future__ import annotations

import pytest
from finsy.proto import p4r

from tests.conformance.wired import WiredDevice
from tests.hostile.bystander import Bystander
from tests.hostile.test_stalled import Stalled

pytestmark = pytest.mark.slow


def test_streams_that_are_cancelled_while_errors_are_sent(
    attacked: WiredDevice, bystander: Bystander, next_id: int
) -> None:
    for turn in range(100):
        stalled = Stalled(attacked.address)
        stalled.arbitrate(next_id + 1 + turn, "gone")
        assert stalled.next().arbitration.status.code == 0
        stalled.send(p4r.StreamMessageRequest(packet=p4r.PacketOut(payload=bytes(2_000))), 20 + turn)
        stalled.close()
    bystander.work()
    assert "Traceback" not in attacked.log.read_text()
