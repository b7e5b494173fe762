"""A device's program follows its entries, and its connections follow no program."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

import pytest

from compiler.pipeline.assembly import pipeline
from runtime.bpf.chains import Hook
from runtime.bpf.object import LoadSettings, Object, load
from runtime.bpf.program import Program
from runtime.bpf.testrun import SkbContext, run_skb
from runtime.device.kernel.instance import KernelInstance
from runtime.device.kernel.interfaces import DIRECT, OTHER, Interfaces
from runtime.verification.kernel_level import compiled
from runtime.verification.levels import small
from runtime.verification.malformed.bases import base_frames
from runtime.verification.shop import CLIENT_PORT, device_entries

pytestmark = pytest.mark.root
NEXT = -1
IFINDEX = 1000 + CLIENT_PORT
SYN = next(base.frame for base in base_frames() if base.name == "syn v4")


@dataclass
class Running:
    """An instance, and the program that it has chosen last."""

    programs: list[Program] = field(default_factory=list[Program])

    def __post_init__(self) -> None:
        source = small(pipeline())
        elf = compiled(source, Hook.TC)
        self.loaded = load(elf)
        others = frozenset(self.loaded.programs) - Hook.TC.programs

        def load_variant(flags: Mapping[str, int]) -> Object:
            return load(elf, LoadSettings(constants=dict(flags), reuse=self.loaded.sharable, skip=others))

        self.instance = KernelInstance(source, self.loaded, 0, load_variant, self._activate)
        Interfaces(self.loaded.map(DIRECT), self.loaded.map(OTHER)).put(IFINDEX, CLIENT_PORT)

    def _activate(self, loaded: Object) -> None:
        self.programs.append(loaded.program(Hook.TC.value))

    def verdict(self) -> int:
        return run_skb(self.programs[-1].fd, SYN, SkbContext(ingress_ifindex=IFINDEX)).verdict


@pytest.fixture
def running() -> Generator[Running]:
    made = Running()
    yield made
    made.instance.close()


def test_a_connection_goes_on_when_no_service_is_left(running: Running) -> None:
    shop = device_entries("A")
    for member in shop.members:
        running.instance.insert_member(member)
    for group in shop.groups:
        running.instance.insert_group(group)
    for entry in shop.table_entries:
        running.instance.insert_entry(entry)
    running.instance.commit()
    running.instance.activate()
    assert running.verdict() != NEXT
    for entry in shop.table_entries:
        if entry.table.startswith(("service_", "backend_")):
            running.instance.delete_entry(entry.key)
    running.instance.commit()
    while len(running.programs) < 2:
        running.instance.tick()
    assert len(running.programs) == 2
    assert running.verdict() != NEXT
