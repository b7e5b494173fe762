"""Learned entries that were to end, and the program that comes next: over the same store, or one of another layout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache

import pytest

from compiler.ir.entries import EntryKey, Exact
from compiler.ir.nodes import Pipeline
from compiler.ir.text import from_text
from compiler.printers.ebpf.printing import print_c
from compiler.printers.layout import layout
from compiler.printers.store_programs import StoreEvent, end_context, store_programs
from runtime.bpf.chains import Hook
from runtime.bpf.object import LoadSettings, Object, load
from runtime.bpf.testrun import SkbContext, run_skb, run_syscall
from runtime.build import compile_source
from runtime.device.kernel.bringing import Bringing, reading
from runtime.device.kernel.instance import KernelInstance
from runtime.device.kernel.interfaces import DIRECT, OTHER, Interfaces
from runtime.device.kernel.predecessor import Predecessor
from tests.pipelines.agreeing import ADDRESS, ETHER_TYPE
from tests.pipelines.ending import PORT, SERVICE, TEXT, ending_pipeline, entries

pytestmark = [pytest.mark.root, pytest.mark.slow]
IFINDEX = 1000 + PORT
FLOWS = 6
_WIDER = (
    ("was(1 version: 16)", "was(1 version: 16, 2 more: 8)"),
    ("was(meta.by_flow)", "was(meta.by_flow, 0x7:8)"),
    ("size 64  ways 4", "size 32  ways 2"),
)
_CROWDED = (
    ("size 64  ways 4", "size 4  ways 4"),
    ("size 32\n", "size 2\n"),
    ("profile 2 used: timeout_ms 60000 rank 0", "profile 2 used: timeout_ms 60000 rank 1"),
)


def changed(*changes: tuple[str, str]) -> Pipeline:
    text = TEXT
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return from_text(text)


@cache
def elf(pipeline: Pipeline) -> bytes:
    return compile_source(print_c(pipeline), Hook.TC)


def key(flow: int) -> EntryKey:
    return EntryKey(table="flow", matches=(Exact(value=ADDRESS + flow),))


class Running:
    """A pipeline in the kernel that packets can be sent through."""

    def __init__(self, pipeline: Pipeline, loaded: Object) -> None:
        self.pipeline, self.loaded = pipeline, loaded
        self.instance = KernelInstance(pipeline, loaded, 0, lambda _: loaded, lambda _: None)
        Interfaces(loaded.map(DIRECT), loaded.map(OTHER)).put(IFINDEX, PORT)

    def learn(self, flows: int) -> None:
        for entry in entries(1):
            self.instance.insert_entry(entry)
        self.instance.commit()
        for flow in range(flows):
            self.send(flow)

    def send(self, flow: int) -> None:
        address = (ADDRESS + flow).to_bytes(4, "big")
        frame = (bytes(12) + ETHER_TYPE.to_bytes(2, "big") + address + SERVICE.to_bytes(2, "big")).ljust(64, b"\0")
        run_skb(self.loaded.program(Hook.TC.value).fd, frame, SkbContext(ingress_ifindex=IFINDEX))

    def mark(self, flow: int, side: int) -> None:
        """As a device that is killed in the midst of a batch leaves it."""
        store = layout(self.pipeline).stores[0]
        context = end_context(store, "flow", (ADDRESS + flow,), side)
        run_syscall(self.loaded.program(store_programs("known").end_key).fd, context)

    @property
    def known(self) -> list[int]:
        return [flow for flow in range(FLOWS) if self.instance.find_learned(key(flow)) is not None]

    @property
    def predecessor(self) -> Predecessor:
        return Predecessor(pipeline=self.pipeline, maps=self.loaded.maps)

    @property
    def side(self) -> int:
        return self.predecessor.side

    def packets(self, flow: int) -> int:
        """That have met the entry, marked or not."""
        store = layout(self.pipeline).stores[0]
        (raw,) = (
            value
            for _, value in self.loaded.map("known").items()
            if value.startswith(store.encode_key((ADDRESS + flow,)))
        )
        head = store.head.decode(raw[store.head_offset : store.arguments_offset])
        return head[6]

    def event(self, event: StoreEvent) -> int:
        raw = self.loaded.map(store_programs("known").events.name).lookup(event.to_bytes(4, "little")) or b""
        return sum(int.from_bytes(raw[at : at + 8], "little") for at in range(0, len(raw), 8))

    def version_of(self, flow: int) -> int | None:
        """What it was learned by."""
        row = self.instance.find_learned(key(flow))
        return None if row is None else row.action.arguments[0]

    @property
    def slots(self) -> int:
        """How many are in use, marked or not."""
        table_at = layout(self.pipeline).stores[0].head_offset + 4
        return sum(value[table_at] != 0 for _, value in self.loaded.map("known").items())


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def first(held: ExitStack) -> Running:
    made = running(held, ending_pipeline(), load(elf(ending_pipeline()), LoadSettings(name="first")))
    made.learn(FLOWS)
    return made


def running(held: ExitStack, pipeline: Pipeline, loaded: Object) -> Running:
    made = Running(pipeline, loaded)
    held.callback(made.instance.close)
    return made


def over_same_store(held: ExitStack, first: Running) -> Running:
    shared = first.predecessor.shared_with(first.pipeline)
    settings = LoadSettings(name="second", reuse={name: one.fd for name, one in shared.items()})
    made = running(held, first.pipeline, load(elf(first.pipeline), settings))
    made.instance.follow(first.predecessor)
    return made


def over_another(held: ExitStack, first: Running, pipeline: Pipeline) -> tuple[Running, Bringing]:
    found = first.predecessor.changed(pipeline)
    assert found.losses == ()
    before = first.predecessor.before(found)
    loaded = load(elf(pipeline), reading(LoadSettings(name="second"), found.translations, before))
    made = running(held, pipeline, loaded)
    return made, Bringing(loaded, found.translations, lambda: None)


@pytest.mark.parametrize("turns", [0, 1])
def test_over_the_same_store(held: ExitStack, first: Running, turns: int) -> None:
    """What packets saw no more stays away; what they still saw goes on, until the batch is done again."""
    for version in range(turns):
        for entry in entries(2 + version):
            first.instance.modify_entry(entry)
        first.instance.commit()
    first.mark(1, first.side)
    first.mark(2, 1 - first.side)
    second = over_same_store(held, first)
    assert second.known == [0, 2, 3, 4, 5]
    assert second.slots == FLOWS - 1


def test_what_is_done_again_ends_with_the_first_packet_of_the_new_program(held: ExitStack, first: Running) -> None:
    second = over_same_store(held, first)
    second.instance.delete_learned(key(3))
    assert first.known == [0, 1, 2, 3, 4, 5]
    second.instance.activate()
    assert second.side == 1 - first.side
    assert second.known == [0, 1, 2, 4, 5]
    second.instance.settle()
    assert second.slots == FLOWS - 1


def test_the_old_program_meets_what_the_new_one_does_not(held: ExitStack, first: Running) -> None:
    second = over_same_store(held, first)
    second.mark(3, 1 - first.side)
    first.send(3)
    assert first.packets(3) == 1
    second.instance.activate()
    second.send(3)
    assert first.packets(3) == 1


def test_over_another_layout(held: ExitStack, first: Running) -> None:
    first.mark(1, first.side)
    first.mark(2, 1 - first.side)
    second, bringing = over_another(held, first, changed(*_WIDER))
    second.send(0)
    second.send(1)
    bringing.run()
    assert first.slots == 0
    assert second.slots == FLOWS
    # One was learned anew, by a program that has no policy yet.
    assert [second.version_of(flow) for flow in range(FLOWS)] == [1, 0, 1, 1, 1, 1]


def test_what_has_no_place_in_another_layout_ends_at_once(held: ExitStack, first: Running) -> None:
    """Else it could come back when there is room, after a client has deleted it."""
    for flow in range(4):
        first.send(flow)
    second, bringing = over_another(held, first, changed(*_CROWDED))
    bringing.run()
    assert second.known == [0, 1, 2, 3]
    assert second.event(StoreEvent.FULL) > 0
    assert first.slots == 0
