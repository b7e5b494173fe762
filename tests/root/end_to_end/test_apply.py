"""`turnout apply` on devices that carry traffic: what it changes, what it leaves, and being stopped half-way."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from compiler.ir.entries import Entries
from compiler.pipeline.assembly import pipeline
from runtime.client.contents import Contents
from tests.root.end_to_end.shop import (
    ADDRESSES,
    BIG_A,
    CLIENT,
    DEVICES,
    TURNOUT,
    WEB,
    WEB_2,
    Shop,
    find,
    many_services,
    turnout,
)
from tests.root.end_to_end.traffic import ask, steady_requests

MANY = 8000
"""Nearly as many as a device has rings for, so that a signal comes while they are written."""
ATTEMPTS = 10
pytestmark = [pytest.mark.root, pytest.mark.slow]


def held(shop: Shop) -> list[Entries]:
    """What all devices hold."""
    found: list[Entries] = []
    for name in DEVICES:
        with shop.session(name) as session:
            found.append(Contents(pipeline()).read(session))
    return found


def test_twice_is_once(shop: Shop) -> None:
    before = held(shop)
    done = shop.apply()
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": 0 to add, 0 to change, 0 to remove, ") == len(done.stdout.splitlines()) == len(DEVICES)
    assert held(shop) == before


def test_a_backend_goes_and_comes_without_hurting_the_others(restored: Shop) -> None:
    """Only connections to the backend that went may fail; here it goes on serving, so none does."""
    less = restored.changed()
    find(less, "Workload", "web-2")["metadata"]["labels"] = {"app": "other"}
    namespace = restored.namespace(CLIENT)
    with steady_requests(namespace, WEB[0]) as requests:
        wait_for(lambda: len(requests.servers()) == 3)
        removed = restored.applied(less)
        then = {ask(namespace, WEB[0]).server for _ in range(40)}
        added = restored.applied()
        since = len(requests.answers)
        wait_for(lambda: len(requests.servers(since)) == 3)
    assert requests.failures == []
    assert then == {"web-1", "web-3"}
    assert "dpu-a: ~ backends_ipv4 group" in removed.stdout
    assert "dpu-a: ~ backends_ipv4 group" in added.stdout


def wait_for(fact: Callable[[], bool], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_service_goes_and_comes(restored: Shop) -> None:
    less = [p for p in restored.changed() if p["kind"] != "DpuService" or p["metadata"]["name"] != "web"]
    namespace = restored.namespace(CLIENT)
    with steady_requests(restored.namespace(BIG_A), ADDRESSES[WEB_2][0], 8080) as others:
        restored.applied(less)
        for address in WEB:
            with pytest.raises(OSError):
                ask(namespace, address, timeout_s=0.5)
        restored.applied()
        for address in WEB:
            assert ask(namespace, address).server in {"web-1", "web-2", "web-3"}
    assert others.failures == []


def test_a_dry_run_changes_nothing(restored: Shop) -> None:
    before = held(restored)
    less = [p for p in restored.changed() if p["kind"] != "DpuService"]
    dry = restored.apply(less, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert held(restored) == before
    assert told_of_entries(restored.applied(less).stdout) == told_of_entries(dry.stdout)


def told_of_entries(text: str) -> list[str]:
    """Without the numbers of connections, which end by themselves meanwhile."""
    return [line for line in text.splitlines() if ": known connections: " not in line]


def test_policies_with_errors_change_nothing(restored: Shop) -> None:
    before = held(restored)
    wrong = restored.changed()
    find(wrong, "Workload", "web-2")["spec"]["addresses"] = ["172.16.0.1"]
    find(wrong, "DpuService", "web")["spec"]["network"] = "shopp"
    refused = restored.apply(wrong)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.count("error[") == 2
    broken = restored.folder / "broken.yaml"
    broken.write_text("kind: [\n")
    refused = turnout("apply", restored.path, broken)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "broken.yaml:" in refused.stderr
    assert held(restored) == before


@pytest.fixture(scope="module")
def large(shop: Shop) -> Path:
    """The file of policies with `MANY` services more."""
    return shop.file([*shop.changed(), *many_services(MANY)], "large.yaml")


def started(shop: Shop, path: Path) -> subprocess.Popen[str]:
    """An apply that has begun to write to its first device."""
    before = shop.group_count("dpu-a")
    run = subprocess.Popen([TURNOUT, "apply", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: shop.group_count("dpu-a") != before, timeout_s=60)
    return run


def stopped(shop: Shop, path: Path, number: signal.Signals) -> tuple[int, str]:
    """Exit code and stderr of an apply that gets a signal while it writes to its first device.

    Where it was faster than the signal, what it did is taken away, and another one is started.
    """
    before, few = shop.group_count("dpu-a"), shop.group_count("dpu-b")
    for _ in range(ATTEMPTS):
        run = started(shop, path)
        run.send_signal(number)
        _, said = run.communicate(timeout=60)
        if run.returncode and shop.group_count("dpu-b") == few and shop.group_count("dpu-a") < before + MANY:
            return run.returncode, said
        assert shop.apply().returncode == 0
    raise AssertionError(f"{ATTEMPTS} times it had written all groups of its first device before a signal came")


def assert_large(shop: Shop, few: list[int]) -> None:
    """All of the services are there, and answer."""
    assert [shop.group_count(device) for device in DEVICES] == [count + MANY for count in few]
    for number in (0, 1000, MANY - 1):
        address = f"10.97.{number >> 8}.{number & 255}"
        assert ask(shop.namespace(BIG_A), address).server in {"web-1", "web-2", "web-3"}


@pytest.mark.alone
def test_interrupted_and_run_again(restored: Shop, large: Path) -> None:
    few = [restored.group_count(device) for device in DEVICES]
    with steady_requests(restored.namespace(CLIENT), WEB[0]) as requests:
        code, said = stopped(restored, large, signal.SIGINT)
        assert code == 130
        assert re.fullmatch(
            r"turnout: stopped after \d+ of \d+ updates; what worked still works, run it again to finish\n", said
        )
        again = turnout("apply", large)
    assert (again.returncode, again.stderr) == (0, "")
    assert requests.failures == []
    assert_large(restored, few)


def test_killed_and_run_again_twice_at_once(restored: Shop, large: Path) -> None:
    few = [restored.group_count(device) for device in DEVICES]
    with steady_requests(restored.namespace(CLIENT), WEB[0]) as requests:
        stopped(restored, large, signal.SIGKILL)
        first = started(restored, large)
        second = restored.apply()
        _, said = first.communicate(timeout=120)
    assert (first.returncode, said) == (0, "")
    assert (second.returncode, second.stdout) == (1, "")
    assert second.stderr == (
        f"turnout: error: {restored.address('dpu-a')} refused arbitration (INVALID_ARGUMENT): election id 1 is already "
        "used by another client of this role; another `turnout apply` may be at work there\n"
    )
    assert requests.failures == []
    assert_large(restored, few)
    again = turnout("apply", large)
    assert again.stdout.count(": 0 to add, 0 to change, 0 to remove, ") == len(DEVICES)
