"""A pipeline with a fault in what concerns fragments: stories of made-up clusters do not get to their end."""

from __future__ import annotations

import pytest

from compiler.pipeline.assembly import pipeline
from compiler.pipeline.notation import assign, meta
from runtime.verification.levels import small
from runtime.verification.stories import FRAGMENTS, Story
from tests.unit.verification.faulty import SLOTS, in_action, in_control, is_found, played, without

FAULTS = {
    "nothing of a first fragment is kept": in_control("keep_fragment_ipv4", lambda _: ()),
    "nothing of an answer's first fragment is kept": in_control("keep_fragment_reply_ipv4", lambda _: ()),
    "those behind it go where a first one would": in_action("translate", without("new_dst_ipv4")),
    "answers in fragments come from the backend": in_action("translate_reply", without("new_src_ipv4")),
    "all fragments leave by one way": in_action("translate_reply", lambda body: (*body, assign(meta("nexthop"), 1))),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault: str) -> None:
    assert is_found(FRAGMENTS, FAULTS[fault](small(pipeline(), SLOTS)))


@pytest.mark.parametrize("story", FRAGMENTS, ids=lambda story: story.name)
def test_without_a_fault_nothing_is_found(story: Story) -> None:
    played(story, small(pipeline(), SLOTS))
