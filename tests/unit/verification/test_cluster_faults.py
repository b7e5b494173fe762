"""A pipeline with a fault in what concerns clients outside, or next hops that stay behind when a virtual machine moves:
stories of made-up clusters do not get to their end."""

from __future__ import annotations

import pytest

from compiler.entries import succeeding
from compiler.pipeline.assembly import pipeline
from compiler.pipeline.notation import assign, meta
from runtime.verification.levels import small
from runtime.verification.stories import MOVING, OUTSIDE, Story
from tests.unit.verification.faulty import SLOTS, in_action, in_control, is_found, played, without

FAULTS = {
    "who is denied is let in": in_action("deny_source", lambda _: ()),
    "who is allowed is not": in_action("admit_source", lambda _: (assign(meta("not_admitted"), 1),)),
    "all enter the first network": in_action("enter_from_outside", lambda body: (*body, assign(meta("network"), 1))),
    "all enter the second network": in_action("enter_from_outside", lambda body: (*body, assign(meta("network"), 2))),
    "answers know no way back": in_action("enter_from_outside", without("source_nexthop")),
    "the other device is not told where it came in": in_action("enter_from_outside", without("signature")),
    "the other device does not remember where it came in": in_control("remember_entrance_ipv4", lambda _: ()),
    "answers come from the backend's address": in_action("translate_reply", without("new_src_ipv4")),
    "answers come from the backend's port": in_action("translate_reply", without("new_src_port")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str) -> None:
    assert is_found(OUTSIDE, FAULTS[fault](small(pipeline(), SLOTS)))


@pytest.mark.parametrize("story", [*OUTSIDE, *MOVING], ids=lambda story: story.name)
def test_without_a_fault_nothing_is_found(story: Story) -> None:
    played(story, small(pipeline(), SLOTS))


def test_a_virtual_machine_without_a_next_hop_of_its_own_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(succeeding, "MOST_MOVERS", 0)
    assert is_found(MOVING, small(pipeline(), SLOTS))
