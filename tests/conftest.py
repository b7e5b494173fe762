"""What holds for every test: root tests are skipped for other users, and in CI no skip hides a missing tool.

With CI=true a skipped test fails, since `./setup` installs all that can be installed, unless its reason starts with
one of `ALLOWED_IN_CI`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from typing import Final

import pytest
from hypothesis import settings
from scapy.config import conf
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from runtime.applied import FOLDER

# How long an example takes says how busy the machine is.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


# A shell has its background jobs ignore it, and so would all commands that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _broadcast(_link: Packet, _network: Packet) -> str:
    """For a frame without a destination: otherwise Scapy would ask the network that this machine is in, by ARP."""
    return "ff:ff:ff:ff:ff:ff"


for resolved in (IP, IPv6):
    conf.neighbor.register_l3(Ether, resolved, _broadcast)  # pyright: ignore[reportUnknownMemberType]

ALLOWED_IN_CI: Final = ("kernel lacks", "not installable:")
Reported = pytest.TestReport | pytest.CollectReport


@pytest.fixture(scope="session", autouse=True)
def _records_apart(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What tests apply is not what `turnout explain` is asked about outside of them."""
    os.environ[FOLDER] = str(tmp_path_factory.mktemp("applied"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("root") is not None:
            item.add_marker(pytest.mark.skip(reason="needs root (namespaces, BPF)"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    # An expected failure is reported as a skip as well; strict xfail takes care of those.
    if not hasattr(report, "wasxfail"):
        _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report)
    return report


def _refuse_skip(report: Reported) -> None:
    """Turn a skip into a failure when this is CI and the reason is not one that a machine may have."""
    if os.environ.get("CI") != "true" or not report.skipped:
        return
    reason = _reason(report)
    if not reason.startswith(ALLOWED_IN_CI):
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} was skipped, which CI does not allow: {reason}"


def _reason(report: Reported) -> str:
    """The words behind "Skipped: " in pytest's (path, line, message)."""
    where_and_why = report.longrepr
    message = where_and_why[2] if isinstance(where_and_why, tuple) else str(where_and_why)
    return message.removeprefix("Skipped: ")
