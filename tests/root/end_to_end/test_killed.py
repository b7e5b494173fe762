"""Devices that are killed, and labs that go away after that."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.root.end_to_end.shop import CLIENT, WEB, Shop, shop_policies, turnout, write
from tests.root.end_to_end.traffic import ask, steady_requests

pytestmark = [pytest.mark.root, pytest.mark.slow]


def end_device(shop: Shop, device: str, number: signal.Signals) -> None:
    pid = shop.pid_of(device)
    handle = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(handle, number)
        deadline = time.monotonic() + 20
        while Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        os.close(handle)


def assert_repaired(shop: Shop) -> None:
    """`lab up` starts the device anew, empty; `apply` fills it."""
    assert turnout("lab", "status", "--name", shop.name).returncode == 1
    assert shop.up().returncode == 0
    with pytest.raises(OSError):
        ask(shop.namespace(CLIENT), WEB[0], timeout_s=0.5)
    done = shop.applied()
    assert "dpu-a: + pipeline turnout 1\n" in done.stdout
    assert "dpu-b: + pipeline" not in done.stdout
    assert {ask(shop.namespace(CLIENT), WEB[0]).server for _ in range(40)} == {"web-1", "web-2", "web-3"}


def test_packets_pass_on_when_a_device_is_killed(restored: Shop) -> None:
    """Programs and tables stay in the kernel, so nothing but changes needs the process."""
    with steady_requests(restored.namespace(CLIENT), WEB[0]) as requests:
        end_device(restored, "dpu-a", signal.SIGKILL)
        since = len(requests.answers)
        while len(requests.answers) < since + 50 and not requests.failures:
            time.sleep(0.01)
        refused = restored.apply()
    assert requests.failures == []
    assert refused.returncode == 1
    assert refused.stderr.endswith("/dpu-a.sock: connection refused; is the device running?\n")
    assert_repaired(restored)


def test_a_device_that_is_asked_to_end_takes_everything_with_it(restored: Shop) -> None:
    """Devices of a lab are ephemeral."""
    end_device(restored, "dpu-a", signal.SIGTERM)
    with pytest.raises(OSError):
        ask(restored.namespace(CLIENT), WEB[0], timeout_s=0.5)
    assert_repaired(restored)


def test_a_lab_with_a_killed_device_leaves_nothing(shop: Shop, tmp_path: Path) -> None:
    """A second lab, beside the first, which does not notice."""
    policies = shop_policies(tmp_path)
    lab = Shop(name=f"{shop.name}k", folder=tmp_path, policies=policies)
    write(lab.path, policies)
    try:
        assert lab.up().returncode == 0
        lab.applied()
        assert ask(lab.namespace(CLIENT), WEB[0]).server in {"web-1", "web-2", "web-3"}
        end_device(lab, "dpu-a", signal.SIGKILL)
    finally:
        assert lab.down().returncode == 0
    assert lab.left() == []
    assert ask(shop.namespace(CLIENT), WEB[0]).server in {"web-1", "web-2", "web-3"}
