"""A thousand batches under packets: every entity changes its version in each, and no packet meets two versions.

Tables of every kind, a default entry, a list of masks, members and a group, the configurations of meters.

Faults on purpose show that the packets would notice: one that reads the side at each table, and a device that does not
wait for packets that are still on the old side.
"""

from __future__ import annotations

import pytest

from compiler.printers.ebpf.printing import print_c
from runtime.bpf.chains import Hook
from runtime.bpf.object import Object, load
from runtime.bpf.testrun import SkbContext, run_skb
from runtime.build import compile_source
from runtime.device.kernel.grace import GracePeriods
from runtime.device.kernel.instance import KernelInstance
from runtime.device.kernel.interfaces import DIRECT, OTHER, Interfaces
from tests.mutation.mutant import PRINTED, SubstitutedText
from tests.mutation.objects import changed_object
from tests.pipelines.agreeing import (
    PORT,
    PROBE,
    agreeing_pipeline,
    backend,
    default,
    group,
    masked,
    members,
    meter,
    plain_entries,
    prefix,
)
from tests.races.sending import sending

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.alone]
BATCHES, REPEAT, IFINDEX = 1000, 20_000, 1000 + PORT
MIXTURE, AGREEMENT = 1, 2
TRIES = 10
"""Where other processes have the CPUs, packets may miss the moment for a thousand batches."""
EACH_ITS_OWN = [
    SubstitutedText(name=f"the side is read at each {what}", file=PRINTED, old=old, new=new, everywhere=True)
    for what, old, new in (
        ("hash", ".side = scratch->side", ".side = side_of_tables()"),
        ("default entry and list of masks", "u32 side = scratch->side", "u32 side = side_of_tables()"),
        ("array and meter", "* scratch->side", "* side_of_tables()"),
    )
]


def slowness(steps: int, *, before: str = "by_other") -> SubstitutedText:
    """Some two nanoseconds each, so that a packet is under way when the device goes on."""
    function = f"static __always_inline bool apply_{before}(struct scratch *scratch)\n{{\n"
    return SubstitutedText(
        name=f"a packet takes time before table {before}",
        file=PRINTED,
        old=function,
        new=f"{function}\tfor (u32 i = 0; i < {steps}; i++)\n\t\tside_of_tables();\n",
    )


def sleepiness(steps: int, *, before: str = "by_other") -> SubstitutedText:
    """Some milliseconds, which no verifier could walk through step by step."""
    function = f"static __always_inline bool apply_{before}(struct scratch *scratch)\n{{\n"
    step = "static long step(u32 index, void *context)\n{\n\treturn 0;\n}\n\n"
    loop = "static long (*loop)(u32, void *, void *, u64) = (void *)181; /* bpf_loop */\n\n"
    return SubstitutedText(
        name=f"a packet takes a long time before table {before}",
        file=PRINTED,
        old=function,
        new=f"{step}{loop}{function}\tloop({steps}, step, 0, 0);\n",
    )


class Agreeing:
    """A device with version 0 in every table."""

    def __init__(self, elf: bytes) -> None:
        self.loaded = load(elf)
        self.instance = KernelInstance(agreeing_pipeline(), self.loaded, 0, lambda _: _never(), lambda _: None)
        Interfaces(self.loaded.map(DIRECT), self.loaded.map(OTHER)).put(IFINDEX, PORT)
        self.version = 0
        for member in members(0):
            self.instance.insert_member(member)
        self.instance.insert_group(group(0))
        for entry in (*plain_entries(0), prefix(0), masked(0), backend()):
            self.instance.insert_entry(entry)
        self.instance.commit()

    def next_version(self) -> None:
        """As one batch."""
        old, new, device = self.version, self.version + 1, self.instance
        for entry in (*plain_entries(new), default(new)):
            device.modify_entry(entry)
        device.configure_meter("line", 0, 8, meter(new))
        device.delete_entry(prefix(old).key)
        device.insert_entry(prefix(new))
        device.insert_entry(masked(new))
        device.delete_entry(masked(old).key)
        for member in members(new):
            device.insert_member(member)
        device.modify_group(group(new))
        for member in members(old):
            device.delete_member("members", member.id)
        device.commit()
        self.version = new

    def count(self, reason: int) -> int:
        return self.instance.tallies("dropped", reason, 1)[0].packets

    def send(self, repeat: int) -> None:
        program = self.loaded.program(Hook.TC.value)
        run_skb(program.fd, PROBE, SkbContext(ingress_ifindex=IFINDEX), repeat=repeat)


def _never() -> Object:
    raise AssertionError("no other program is loaded")


def mixtures(elf: bytes, batches: int, repeat: int = REPEAT) -> tuple[int, int]:
    """How many packets met two versions, and how many met one, until the first has or the batches are over."""
    device = Agreeing(elf)
    try:
        with sending(lambda: device.send(repeat)):
            for _ in range(batches):
                device.next_version()
                if device.count(MIXTURE):
                    break
        return device.count(MIXTURE), device.count(AGREEMENT)
    finally:
        device.instance.close()


def test_no_packet_meets_two_versions() -> None:
    mixed, agreed = mixtures(compile_source(print_c(agreeing_pipeline()), Hook.TC), BATCHES)
    print(f"{agreed} packets agreed in {BATCHES} batches")
    assert mixed == 0
    assert agreed > BATCHES


def test_a_slow_packet_meets_one_version() -> None:
    mixed, agreed = mixtures(changed_object((slowness(4000),), agreeing_pipeline(), Hook.TC), BATCHES // 10, 500)
    assert mixed == 0
    assert agreed > 0


@pytest.mark.parametrize("fault", EACH_ITS_OWN, ids=lambda fault: fault.name)
def test_two_sides_in_one_packet_are_seen(fault: SubstitutedText) -> None:
    slow = (slowness(4000, before="by_array"), slowness(4000))
    assert mixtures(changed_object((*slow, fault), agreeing_pipeline(), Hook.TC), BATCHES, 500)[0] > 0


def test_a_device_that_does_not_wait_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def at_once(periods: GracePeriods) -> None:
        del periods

    monkeypatch.setattr(GracePeriods, "wait", at_once)
    sleepy = changed_object((sleepiness(2_000_000),), agreeing_pipeline(), Hook.TC)
    assert any(mixtures(sleepy, BATCHES, 1)[0] > 0 for _ in range(TRIES))
