"""Learned entries that end in the very step in which the policy changes, under packets on two CPUs.

Each batch changes the policy and takes away what was learned by it. No packet meets an entry of the old policy together
with the new one, nor learns by the old one what the new one then meets.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from compiler.printers.ebpf.printing import print_c
from compiler.printers.store_programs import StoreEvent, store_programs
from runtime.bpf.chains import Hook
from runtime.bpf.object import Object, load
from runtime.bpf.testrun import SkbContext, run_skb
from runtime.build import compile_source
from runtime.device.kernel.instance import KernelInstance
from runtime.device.kernel.interfaces import DIRECT, OTHER, Interfaces
from runtime.device.kernel.stores import StoreMap
from runtime.device.refusals import Code, RefusedError
from tests.mutation.mutant import PRINTED, SubstitutedText
from tests.mutation.objects import changed_object
from tests.pipelines.ending import FLOW, PORT, PROBE, ending_pipeline, entries
from tests.races.sending import sending

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.alone]
BATCHES, REPEAT, IFINDEX = 500, 20_000, 1000 + PORT
MIXTURE, AGREEMENT, FULL = 1, 2, 3
PATIENCE_S = 10.0


def slowness(steps: int) -> SubstitutedText:
    """Some two nanoseconds each, between what was learned and the policy."""
    function = "static __always_inline bool apply_policy(struct scratch *scratch)\n{\n"
    return SubstitutedText(
        name="a packet takes time before the policy",
        file=PRINTED,
        old=function,
        new=f"{function}\tfor (u32 i = 0; i < {steps}; i++)\n\t\tside_of_tables();\n",
    )


class Ending:
    def __init__(self, elf: bytes) -> None:
        self.loaded: Object = load(elf)
        self.instance = KernelInstance(ending_pipeline(), self.loaded, 0, lambda _: self.loaded, lambda _: None)
        Interfaces(self.loaded.map(DIRECT), self.loaded.map(OTHER)).put(IFINDEX, PORT)
        self.version = 1
        for entry in entries(1):
            self.instance.insert_entry(entry)
        self.instance.commit()

    def next_version(self) -> None:
        self.wait_until_learned()
        self.version += 1
        for entry in entries(self.version):
            self.instance.modify_entry(entry)
        self.instance.delete_learned(FLOW)
        self.instance.commit()

    def wait_until_learned(self) -> None:
        """An entry that is not there cannot end."""
        end = time.monotonic() + PATIENCE_S
        while self.instance.find_learned(FLOW) is None:
            assert time.monotonic() < end

    def count(self, reason: int) -> int:
        return self.instance.tallies("dropped", reason, 1)[0].packets

    def event(self, event: StoreEvent) -> int:
        raw = self.loaded.map(store_programs("known").events.name).lookup(event.to_bytes(4, "little")) or b""
        return sum(int.from_bytes(raw[at : at + 8], "little") for at in range(0, len(raw), 8))

    def send(self, repeat: int) -> None:
        program = self.loaded.program(Hook.TC.value)
        run_skb(program.fd, PROBE, SkbContext(ingress_ifindex=IFINDEX), repeat=repeat)


@contextmanager
def run(elf: bytes, batches: int, repeat: int = REPEAT) -> Generator[Ending]:
    """A device after its batches, or after the first mixture."""
    device = Ending(elf)
    try:
        with sending(lambda: device.send(repeat)):
            for _ in range(batches):
                device.next_version()
                if device.count(MIXTURE):
                    break
        yield device
    finally:
        device.instance.close()


def test_what_was_learned_ends_when_the_policy_changes() -> None:
    with run(compile_source(print_c(ending_pipeline()), Hook.TC), BATCHES) as device:
        print(f"{device.count(AGREEMENT)} packets agreed in {BATCHES} batches")
        device.instance.commit()
        assert (device.count(MIXTURE), device.count(FULL)) == (0, 0)
        assert device.count(AGREEMENT) > BATCHES
        assert device.event(StoreEvent.DELETED) >= BATCHES - 1


def test_slow_packets_as_well() -> None:
    with run(changed_object((slowness(4000),), ending_pipeline(), Hook.TC), BATCHES // 5, 500) as device:
        assert device.count(MIXTURE) == 0


def test_an_entry_that_is_removed_before_the_turn_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = StoreMap.stage

    def remove_at_once(store: StoreMap, side: int) -> None:
        stage(store, side)
        store.turn()
        store.catch_up(side)

    monkeypatch.setattr(StoreMap, "stage", remove_at_once)
    with run(changed_object((slowness(4000),), ending_pipeline(), Hook.TC), BATCHES, 500) as device:
        assert device.count(MIXTURE) > 0


def test_an_entry_that_is_removed_long_after_the_turn_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = StoreMap.stage

    def not_marked(store: StoreMap, side: int) -> None:
        stage(store, side)
        store.take_back(side)

    monkeypatch.setattr(StoreMap, "stage", not_marked)
    with run(changed_object((slowness(4000),), ending_pipeline(), Hook.TC), BATCHES, 500) as device:
        assert device.count(MIXTURE) > 0


def test_a_batch_that_fails_ends_nothing() -> None:
    device = Ending(compile_source(print_c(ending_pipeline()), Hook.TC))
    device.send(3)
    assert (before := device.instance.find_learned(FLOW)) is not None
    device.instance.delete_learned(FLOW)
    device.instance.undo.back_to(0)
    device.instance.commit()
    assert (kept := device.instance.find_learned(FLOW)) is not None
    assert kept.packets == before.packets

    def refuse() -> None:
        raise RefusedError(Code.INTERNAL, "no")

    device.instance.delete_learned(FLOW)
    device.instance.undo.at_commit(refuse)
    with pytest.raises(RefusedError):
        device.instance.commit()
    device.instance.undo.back_to(0)
    device.send(2)
    assert (after := device.instance.find_learned(FLOW)) is not None
    assert (before.packets, after.packets) == (2, 4)
    device.instance.delete_learned(FLOW)
    device.instance.commit()
    assert device.instance.find_learned(FLOW) is None
    device.instance.close()
