"""The whole printed program under packets on two CPUs, with the device's own code beside them.

Packets are those of hammer.bpf.c. Entries, groups, sweeps and deletions go through `KernelInstance`, as on a device;
the program that packets pass is what it activates.
"""

from __future__ import annotations

import itertools
import os
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from compiler.ir.entries import Group, Member
from compiler.ir.names import Names
from compiler.ir.nodes import Pipeline
from compiler.pipeline.ports import FIRST_PORT
from compiler.printers.ebpf.printing import INCLUDE, print_c
from compiler.printers.layout_store import Slot, StoreLayout
from compiler.printers.store_programs import store_programs
from runtime.bpf.chains import Hook
from runtime.bpf.object import LoadSettings, Object, load
from runtime.bpf.program import Program
from runtime.bpf.testrun import SkbContext, pinned_to_cpu, run_skb, run_syscall, run_xdp
from runtime.bpf.toolchain import compile_c
from runtime.build import compile_source
from runtime.device.kernel.instance import KernelInstance
from runtime.device.kernel.interfaces import DIRECT, OTHER, Interfaces
from runtime.verification.book import Book
from runtime.verification.vector import in_order
from tests.races.places import CLIENT_HOP, FRAME_BYTES, FRAME_SIZE, PORT, Places, entries, frames
from tests.races.seen import Seen, Tally, seen_of, tally_of

SOURCE = Path(__file__).with_name("hammer.bpf.c")
LOOPBACK = 1
HASH_SEED = 0x5EED
REPEAT = 10_000
GRACE_S = 0.5
"""Where a CPU has no packets."""
_U32, _U64 = struct.Struct("=I"), struct.Struct("=Q")


class WrongPacketError(AssertionError):
    """A packet went where no entry led, or in parts where two did."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        super().__init__(str(seen))


class Hammered:
    """A loaded pipeline, filled with `places`, and the programs that make packets for it. Use it as a context."""

    def __init__(self, pipeline: Pipeline, hook: Hook, places: Places, *, elf: bytes | None = None) -> None:
        self.pipeline, self.hook, self.places = pipeline, hook, places
        self.book = Book(Names(pipeline))
        self._elf = elf or compile_source(print_c(pipeline), hook)
        self._constants = {"hash_seed": HASH_SEED, "test_mode": 1}
        self._loaded = load(self._elf, LoadSettings(name="races", constants=self._constants))
        self._frames = frames(places)
        self._hammer = self._load_hammer()
        self.first = self._alias(self._loaded)
        self.device = KernelInstance(pipeline, self.first, HASH_SEED, self.variant, self.activate)
        self._variants: list[Object] = []
        self._sends = itertools.count(1)
        """Counts without a lock, as both threads do."""
        self.now_ms = 1 << 20
        self._fill()

    def __enter__(self) -> Hammered:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for variant in self._variants:
            variant.close()
        self._hammer.close()
        self._loaded.close()

    @property
    def program(self) -> Program:
        return self._loaded.program(self.hook.value)

    @property
    def constants(self) -> tuple[str, ...]:
        """Of the program: its flags are among them."""
        return tuple(variable.name for variable in self._loaded.variables)

    def variant(self, flags: Mapping[str, int]) -> Object:
        """The program with other flags over the same maps, under the name that a device knows."""
        others = frozenset(self._loaded.programs) - self.hook.programs
        own, constants = self._loaded.sharable, {**self._constants, **flags}
        settings = LoadSettings(name="races", constants=constants, reuse=own, skip=others)
        made = load(self._elf, settings)
        self._variants.append(made)
        return self._alias(made)

    def _alias(self, loaded: Object) -> Object:
        """As a device knows it. Its array of programs is left open for packets that are in it when it is closed."""
        maps = {name: held for name, held in loaded.maps.items() if name != "own_whole"}
        return Object(maps, {**loaded.programs, Hook.TC.value: loaded.program(self.hook.value)}, loaded.variables)

    def activate(self, loaded: Object) -> None:
        self._hammer.map("programs").update_fd(_U32.pack(0), loaded.program(Hook.TC.value).fd)

    def pass_time(self, step_ms: int) -> None:
        self.now_ms += step_ms
        self._loaded.map("test_clock").update(_U32.pack(0), _U64.pack(self.now_ms))

    def say_deleted(self, backends: tuple[int, ...]) -> None:
        """No packet that comes from now on may go to these."""
        self._hammer.map("deleted").update(_U32.pack(0), _U32.pack(sum(1 << backend for backend in backends)))

    @property
    def unseen(self) -> int:
        """Packets that nothing looked at: the last one of each test run."""
        return next(self._sends) - 1

    def send(self, repeat: int = REPEAT) -> None:
        """So many packets on this thread's CPU."""
        next(self._sends)
        program, frame = self._hammer.program("hammer").fd, bytes(FRAME_BYTES)
        if self.hook is Hook.XDP:
            run_xdp(program, frame, repeat=repeat)
        else:
            run_skb(program, frame, SkbContext(ifindex=LOOPBACK, ingress_ifindex=LOOPBACK), repeat=repeat)

    def seen(self) -> Seen:
        """Of all that was sent so far."""
        names = {0: "unable", **{reason.id: reason.name for reason in self.pipeline.drop_reasons}}
        return seen_of(self._tallies(), names, self._frames)

    def _tallies(self) -> list[Tally]:
        """What each CPU has counted."""
        tallies = self._hammer.map("tallies")
        return [tally_of(each) for each in tallies.split_per_cpu(tallies.lookup(_U32.pack(0)) or b"")]

    def hammer(
        self, seconds: float, beside: Callable[[], object] = lambda: time.sleep(0.01), *, until_wrong: bool = True
    ) -> Seen:
        """Packets on two CPUs, and `beside` again and again, until time is up. Raises `WrongPacketError` at once."""
        end = time.monotonic() + seconds
        failures: list[BaseException] = []

        def until_end(step: Callable[[], object], cpu: int | None) -> None:
            try:
                with pinned_to_cpu(cpu):
                    while time.monotonic() < end and not failures:
                        step()
            except BaseException as failure:  # noqa: BLE001  handed to the caller below
                failures.append(failure)

        cpus = sorted(os.sched_getaffinity(0))[:2]
        works = [(self.send, cpu) for cpu in cpus]
        threads = [threading.Thread(target=until_end, args=work) for work in works]
        for thread in threads:
            thread.start()
        until_end(lambda: self._step(beside) if until_wrong else beside(), None)
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        return self.seen()

    def _step(self, beside: Callable[[], object]) -> None:
        beside()
        seen = self.seen()
        if not seen.is_right:
            raise WrongPacketError(seen)

    def wait_for_packets(self) -> None:
        """Until no packet is on its way that came before now: every CPU has begun others since."""
        before = [tally.numbers["runs"] for tally in self._tallies()]
        end = time.monotonic() + GRACE_S
        while time.monotonic() < end:
            now = [tally.numbers["runs"] for tally in self._tallies()]
            if all(later > earlier + 1 for later, earlier in zip(now, before, strict=True) if earlier):
                return
            time.sleep(0.0005)

    def slots(self, store: StoreLayout) -> dict[int, Slot]:
        """Those in use, as they are at this moment; a slot that is being written is left out."""
        size = store.map.value_size
        with self._loaded.map(store.map.name).memory() as memory:
            raw = memory[: size * store.map.max_entries]
        decoded = {at // size: store.decode_slot(raw[at : at + size]) for at in range(0, len(raw), size)}
        return {index: slot for index, slot in decoded.items() if slot is not None}

    def leads_to(self, slot: Slot, backend: int) -> bool:
        """Whether a connection is to a backend: its next hop is the backend's own."""
        params = self.book.names.actions[slot.table.action.name].params
        named = {param.name: value for param, value in zip(params, slot.arguments, strict=True)}
        return named["nexthop"] == 100 + backend

    def run_on(self, store: StoreLayout, program: str, context: bytes) -> bytes:
        """One of the store's programs for the device."""
        name: str = getattr(store_programs(store.store.name), program)
        return run_syscall(self._loaded.program(name).fd, context).context

    def versions(self, store: StoreLayout) -> tuple[int, ...]:
        size, at = store.map.value_size, store.head_offset
        with self._loaded.map(store.map.name).memory() as memory:
            return tuple(_U32.unpack_from(memory, index * size + at)[0] for index in range(store.map.max_entries))

    def events(self, store: str) -> Counter[int]:
        """Counted events by number."""
        events = self._loaded.map(store_programs(store).events.name)
        totals: Counter[int] = Counter()
        for key, value in events.items():
            totals[_U32.unpack(key)[0]] = sum(_U64.unpack(each)[0] for each in events.split_per_cpu(value))
        return totals

    def _fill(self) -> None:
        Interfaces(self._loaded.map(DIRECT), self._loaded.map(OTHER)).put(LOOPBACK, PORT)
        for change in in_order(entries(self.places, self.book)):
            match change:
                case Member():
                    self.device.insert_member(change)
                case Group():
                    self.device.insert_group(change)
                case _:
                    self.device.insert_entry(change)
        self.device.commit()
        self.pass_time(0)
        self.device.activate()

    def _load_hammer(self) -> Object:
        scratch = self._loaded.map("scratch")
        numbers = {"FRAMES": len(self._frames), "FRAME_BYTES": FRAME_BYTES}
        numbers |= {"CLIENT_HOP": CLIENT_HOP, "FIRST_PORT": FIRST_PORT}
        numbers |= {"SCRATCH_BYTES": scratch.details.value_size, f"TURNOUT_{self.hook.name}": 1}
        defines = {name: str(number) for name, number in numbers.items()}
        elf = compile_c(SOURCE.read_text(), name=SOURCE.name, include_dirs=[INCLUDE], defines=defines)
        loaded = load(elf, LoadSettings(name="hammer", reuse={"scratch": scratch.fd}))
        with loaded.map("frames").memory() as memory:
            for at, frame in enumerate(self._frames):
                memory[at * FRAME_SIZE : (at + 1) * FRAME_SIZE] = frame
        return loaded
