"""Clients outside with the address of a workload inside: what redirects say of that workload is not said of them."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from compiler.pipeline.assembly import pipeline
from runtime.verification import cluster
from runtime.verification.cluster_steps import Enter
from runtime.verification.levels import small
from runtime.verification.policies.plan import (
    DEVICES,
    PlannedDirection,
    PlannedRanges,
    PlannedRedirect,
    PlannedWorkload,
    PolicyPlan,
)
from runtime.verification.stories import SHOP

PROXY = PlannedWorkload(network=0, host=16, app="")
ALL_OUTBOUND = PlannedRedirect(network=0, app="web", outbound=PlannedDirection())
NOBODY_ELSE = PlannedRanges(allow=(3, 9))
SHOWN = replace(SHOP, underlay="routed", services=(replace(SHOP.services[0], is_shown=True, ranges=NOBODY_ELSE),))
REDIRECTED = replace(SHOWN, proxies=(PROXY,), redirects=(ALL_OUTBOUND,))


def play(plan: PolicyPlan) -> None:
    """One call from outside."""
    played = cluster.Cluster(dict.fromkeys(DEVICES, ()), [plan], small(pipeline(), 16))
    played.run([Enter(device="dpu-a", client=0, service=1, version=4, src_port=1024)])


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients have the address of a workload that is behind the device."""
    monkeypatch.setattr(cluster, "CLIENTS", {4: (ip_address("10.0.0.11"),), 6: (ip_address("fd00::11"),)})


@pytest.mark.usefixtures("inside")
def test_source_ranges_keep_it_out() -> None:
    play(SHOWN)


@pytest.mark.usefixtures("inside")
def test_source_ranges_keep_it_out_where_that_workload_goes_by_a_proxy() -> None:
    """It is not brought to that workload's proxy."""
    play(REDIRECTED)


def test_a_client_outside_goes_by_the_proxy_of_whom_it_calls() -> None:
    inbound = replace(ALL_OUTBOUND, outbound=None, inbound=PlannedDirection(), is_closed=False)
    play(replace(REDIRECTED, services=(replace(SHOWN.services[0], ranges=None),), redirects=(inbound,)))
