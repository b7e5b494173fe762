"""Devices that are killed, and labs that go away after that."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from compiler.pipeline.assembly import pipeline
from tests.root.end_to_end.shop import CLIENT, WEB, Shop, shop_policies, turnout, write
from tests.root.end_to_end.traffic import Requests, ask, steady_requests

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


def bring_back(shop: Shop) -> None:
    """`lab up` starts the device anew."""
    assert turnout("lab", "status", "--name", shop.name).returncode == 1
    assert shop.up().returncode == 0


def assert_all_answer(shop: Shop) -> None:
    assert {ask(shop.namespace(CLIENT), WEB[0]).server for _ in range(40)} == {"web-1", "web-2", "web-3"}


def test_packets_pass_on_when_a_device_is_killed(restored: Shop) -> None:
    """Programs and tables stay in the kernel: only changes need the process, and the next one takes them over."""
    with steady_requests(restored.namespace(CLIENT), WEB[0]) as requests:
        end_device(restored, "dpu-a", signal.SIGKILL)
        _wait_for_answers(requests, 50)
        refused = restored.apply()
        bring_back(restored)
        _wait_for_answers(requests, 50)
    assert requests.failures == []
    assert refused.returncode == 1
    assert refused.stderr.endswith("/dpu-a.sock: connection refused; is the device running?\n")
    assert "+" not in restored.applied().stdout
    assert_all_answer(restored)


def _wait_for_answers(requests: Requests, more: int) -> None:
    since = len(requests.answers)
    while len(requests.answers) < since + more and not requests.failures:
        time.sleep(0.01)


def test_a_device_that_is_asked_to_end_takes_everything_with_it(restored: Shop) -> None:
    """Devices of a lab are ephemeral: the next one starts empty, and `apply` fills it."""
    end_device(restored, "dpu-a", signal.SIGTERM)
    with pytest.raises(OSError):
        ask(restored.namespace(CLIENT), WEB[0], timeout_s=0.5)
    bring_back(restored)
    with pytest.raises(OSError):
        ask(restored.namespace(CLIENT), WEB[0], timeout_s=0.5)
    done = restored.applied()
    assert f"dpu-a: + pipeline turnout {pipeline().version}\n" in done.stdout
    assert "dpu-b: + pipeline" not in done.stdout
    assert_all_answer(restored)


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
