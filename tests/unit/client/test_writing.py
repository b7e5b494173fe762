"""A plan in batches: one is under way while the next is made, and what is refused is told by its step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
from finsy.proto import p4r

from compiler.ir.entries import ActionCall, Entries, Member
from compiler.pipeline.assembly import pipeline
from compiler.policy.policyset import Device, Node, Profile
from runtime.client import applying
from runtime.client.applying import Outlook, PipelineState, perform
from runtime.client.contents import Contents
from runtime.client.fixup import RemovedBackends
from runtime.client.plan import Step, difference

DEVICE = Device(
    name="a",
    node=Node(name="n"),
    profile=Profile.EBPF,
    address="unix:a.sock",
    device_id=1,
    underlay=None,
    ports=(),
)


class Peer:
    """A session that says what is asked of it. Every third update is refused."""

    def __init__(self, said: list[str]) -> None:
        self.said = said
        self.count = 0

    def begin_write(self, updates: Sequence[p4r.Update]) -> Callable[[], list[p4r.Error | None]]:
        numbers = [one.entity.action_profile_member.member_id for one in updates]
        self.said.append(f"sent {numbers}")

        def answer() -> list[p4r.Error | None]:
            self.said.append(f"waited for {numbers}")
            return [p4r.Error(canonical_code=3, message=f"no {n}") if n % 3 == 0 else None for n in numbers]

        return answer


def test_one_batch_is_under_way_while_the_next_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    made = Contents.updates

    def updates(self: Contents, steps: Sequence[Step]) -> Any:
        said.append(f"made {[cast(Member, step.entity).id for step in steps]}")
        return made(self, steps)

    monkeypatch.setattr(Contents, "updates", updates)
    monkeypatch.setattr(applying, "BATCH", 2)
    monkeypatch.setattr(applying, "FIRST_BATCH", 1)
    counts: list[int] = []
    peer, meanwhile = cast(Any, Peer(said)), lambda: said.append("meanwhile")
    failures = list(perform(peer, outlook(5), pipeline(), bytes, counts.append, meanwhile))
    assert said == [
        *("made [1]", "sent [1]", "meanwhile"),
        *("made [2, 3]", "waited for [1]", "sent [2, 3]", "meanwhile"),
        *("made [4, 5]", "waited for [2, 3]", "sent [4, 5]", "meanwhile"),
        "waited for [4, 5]",
    ]
    assert [(cast(Member, failure.step.entity).id, failure.text) for failure in failures] == [(3, "no 3")]
    assert counts == [1, 2, 2]


def test_nothing_to_write() -> None:
    said: list[str] = []
    assert list(perform(cast(Any, Peer(said)), outlook(0), pipeline(), bytes, lambda _: None)) == []
    assert said == []


def outlook(members: int) -> Outlook:
    entries = Entries(members=tuple(map(member, range(1, members + 1))))
    return Outlook(
        device=DEVICE,
        pipeline=PipelineState.SAME,
        running="",
        plan=difference(Entries(), entries),
        diagnostics=(),
        desired=entries,
        removed=RemovedBackends.DRAIN,
    )


def member(number: int) -> Member:
    return Member(selector="proxies_ipv4", id=number, action=ActionCall(action="to_proxy_ipv4", arguments=(number,)))
