"""The kernel target: what is the same for all pipelines of a device, and loading one."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Collection, Generator, Iterable, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from compiler.ir.controller import CPU_PORT
from compiler.ir.nodes import Pipeline
from compiler.printers.bundle import Bundle
from compiler.span import InternalError
from runtime.bpf.chains import Hook
from runtime.bpf.elf import opened
from runtime.bpf.errors import BpfError
from runtime.bpf.machine import machine_constants
from runtime.bpf.maps import Map
from runtime.bpf.object import LoadSettings, Object, load
from runtime.device.kernel.attaching import Ports
from runtime.device.kernel.bringing import reading, sharable
from runtime.device.kernel.dispatcher import Dispatch, load_dispatcher
from runtime.device.kernel.foreignpins import check_pins, without_foreign
from runtime.device.kernel.indexpins import index_maps
from runtime.device.kernel.instance import KernelInstance
from runtime.device.kernel.packetouts import CpuPort, PacketSocket
from runtime.device.kernel.places import Places
from runtime.device.kernel.ports import PortSpec
from runtime.device.kernel.predecessor import Predecessor
from runtime.device.kernel.statedir import StateDir
from runtime.device.kernel.translation import UNCHANGED
from runtime.device.portstates import PortStates
from runtime.device.refusals import Code, RefusedError, invalid
from runtime.device.target import Before, Instance, PipelineRefusedError, TargetError

LOG = logging.getLogger("turnout.device")
HASH_SEED = "hash_seed"
FLAG_PREFIX = "uses_"


def check_rights() -> None:
    """Before anything is made. Raises `TargetError`."""
    if os.geteuid() != 0:
        raise TargetError("the kernel target needs root (BPF and network administration); run it with sudo")


class KernelTarget:
    """Ports and dispatcher from its creation on; pipelines come with `prepare`. Raises `TargetError`."""

    def __init__(
        self, *, state_dir: Path, ports: Iterable[PortSpec], ephemeral: bool, hash_seed: int, is_clean: bool
    ) -> None:
        """`is_clean`: what an earlier process left pinned is not to be taken over, whatever it is."""
        self._ephemeral = ephemeral
        self._hash_seed = hash_seed
        self._cpu_port: CpuPort | None = None
        self._state = StateDir(state_dir)
        try:
            if is_clean:
                self._state.clear_leftovers()
            check_pins(self._state.pins)
        except (BpfError, OSError) as problem:
            raise TargetError(str(problem)) from problem
        self._places = Places(self._state.pins)
        with ExitStack() as undo:
            try:
                self._dispatch = Dispatch(self._state.pins)
                undo.callback(self._dispatch.close)
                is_there = not self._dispatch.is_new
                if not is_there:
                    undo.callback(self._state.remove_pins)
                self._dispatcher = load_dispatcher(self._dispatch.first)
                undo.callback(self._dispatcher.close)
                self._ports = Ports(ports, self._dispatcher, self._state.pins)
                undo.callback(self._ports.close)
                if not is_there:
                    undo.callback(self._ports.detach_all)
                self._ports.attach_all()
                self._packet_socket = PacketSocket()
            except (BpfError, OSError) as problem:
                raise TargetError(str(problem)) from problem
            undo.pop_all()

    @property
    def name(self) -> str:
        return "kernel"

    @property
    def port_states(self) -> PortStates:
        return self._ports.states

    def interface(self, port: int) -> str | None:
        return self._ports.interface(port)

    def prepare(self, bundle: Bundle) -> KernelInstance:
        return self._made(bundle, None, None)

    def prepare_after(self, old: Instance, bundle: Bundle) -> KernelInstance:
        """Beside `old`, with its learned entries and its counters where they have the same place in both.

        Raises `RefusedError`: what was written to `old` last cannot be brought to its end.
        """
        if isinstance(old, KernelInstance):
            old.settle()
        with self._predecessor(Before(place=old.place, pipeline=old.pipeline)) as predecessor:
            return self._made(bundle, predecessor, predecessor)

    def take_over(
        self, place: str, bundle: Bundle, before: Before | None = None, *, anew: bool = False
    ) -> KernelInstance:
        with (
            self._predecessor(Before(place=place, pipeline=bundle.pipeline)) as predecessor,
            self._predecessor(before) as older,
        ):
            name = bundle.pipeline.name
            if predecessor is None:
                LOG.warning(
                    "the maps of pipeline %s are gone, though the machine has not been started anew (is the BPF file "
                    "system unmounted?): they are filled from the journal; connections and counters begin anew",
                    name,
                )
            own = predecessor.own() if predecessor is not None and before is None and not anew else None
            if own is None and predecessor is not None and not anew and before is None:
                LOG.warning(
                    "the maps of pipeline %s are not all there as they were: all entries are written anew", name
                )
            return self._made(bundle, predecessor, older, own)

    def keep_only(self, places: Collection[str]) -> None:
        self._places.keep_only(places)

    @contextmanager
    def _predecessor(self, before: Before | None) -> Generator[Predecessor | None]:
        """What is pinned in a place; None if nothing is. Raises `PipelineRefusedError`."""
        if before is None:
            yield None
            return
        try:
            maps = self._places.open(before.place)
        except BpfError as problem:
            raise PipelineRefusedError(str(problem)) from problem
        try:
            maps = without_foreign(before.pipeline, maps, before.place)
            yield Predecessor(pipeline=before.pipeline, maps=maps) if maps else None
        finally:
            for held in maps.values():
                held.close()

    def _made(
        self,
        bundle: Bundle,
        predecessor: Predecessor | None,
        older: Predecessor | None,
        going_on: Mapping[str, Map] | None = None,
    ) -> KernelInstance:
        """Loaded, pinned, and on no port. Stores of `older` that have another layout are looked into.

        `going_on` are maps of `predecessor` that the program goes on with as they are, with all entries.
        """
        if bundle.tc is None:
            raise PipelineRefusedError("the bundle has no tc.o: it was made for a model")
        elf = bundle.tc
        shared = {} if predecessor is None else going_on or predecessor.shared_with(bundle.pipeline)
        changed = UNCHANGED if older is None else older.changed(bundle.pipeline)
        for loss in changed.losses:
            LOG.warning("%s", loss)
        before = {} if older is None else older.before(changed)
        try:
            settings = self._settings(elf, bundle.pipeline.name, shared)
            loaded = load(elf, reading(settings, changed.translations, before))
        except (BpfError, ValueError) as problem:
            raise PipelineRefusedError(str(problem)) from problem

        def load_variant(flags: Mapping[str, int]) -> Object:
            return load(elf, _variant(settings, loaded, bundle.pipeline, flags))

        with ExitStack() as undo:
            undo.callback(loaded.close)
            try:
                indices = index_maps(bundle.pipeline)
                for held in indices.values():
                    undo.callback(held.close)
                own = sharable(bundle.pipeline, loaded)
                place = self._places.pin({**{name: loaded.map(name) for name in own}, **indices})
                undo.callback(self._places.remove, place)
                made = KernelInstance(
                    bundle.pipeline,
                    loaded,
                    self._hash_seed,
                    load_variant,
                    self._dispatch.activate,
                    self._ports.states,
                    self.send,
                    indices=indices,
                    takes_over=going_on is not None,
                )
                made.pinned_at(place, self._places.remove)
            except (BpfError, InternalError, OSError) as problem:
                raise PipelineRefusedError(f"tc.o does not belong to pipeline.ir: {problem}") from problem
            if predecessor is not None:
                made.follow(predecessor)
            made.bring(changed.translations)
            made.write_initial()
            undo.pop_all()
        return made

    def send(self, port: int, frame: bytes) -> None:
        interface = self._ports.interface(port)
        if interface is None:
            raise invalid(f"packet-out: there is no port {port} here")
        self._packet_socket.send(interface, frame, f"packet-out: port {port}")

    def submit(self, frame: bytes) -> None:
        if self._cpu_port is None:
            try:
                self._cpu_port = CpuPort(self._dispatcher, lambda ifindex: self._ports.put(ifindex, CPU_PORT))
            except (BpfError, OSError) as problem:
                raise RefusedError(Code.UNAVAILABLE, f"packet-out: there is no CPU port: {problem}") from problem
            LOG.info("the CPU port is %s", self._cpu_port.name)
        self._cpu_port.submit(frame)

    def start(self) -> None:
        asyncio.get_running_loop().add_reader(self._ports.fileno(), self._ports.tick)

    def tick(self) -> None:
        self._ports.tick()

    def close(self) -> None:
        """End; unless ephemeral, the ports, the dispatcher and the pipeline stay and packets pass on."""
        if self._ephemeral:
            self._ports.detach_all()
        if self._cpu_port is not None:
            self._cpu_port.close()
        self._packet_socket.close()
        self._ports.close()
        self._dispatcher.close()
        self._dispatch.close()
        if self._ephemeral:
            self._state.remove_pins()

    def _settings(self, elf: bytes, name: str, shared: Mapping[str, Map]) -> LoadSettings:
        """Constants by the names that the ELF has; in place of its maps the device's own and `shared`."""
        with opened(elf, name) as handle:
            variables, maps = handle.variables(), set(handle.maps)
        constants: dict[str, int | bytes] = {
            variable.name: 1 for variable in variables if variable.name.startswith(FLAG_PREFIX) and variable.size == 1
        }
        known = {variable.name for variable in variables}
        given = {HASH_SEED: self._hash_seed, **machine_constants()}
        constants |= {name: value for name, value in given.items() if name in known}
        given_maps = {**self._ports.maps, **self._dispatch.maps, **shared}
        return LoadSettings(
            name=name,
            constants=constants,
            reuse={name: own.fd for name, own in given_maps.items() if name in maps},
            skip=Hook.TC.not_taken(elf),
            log_dir=self._state.verifier_logs,
        )


def _variant(whole: LoadSettings, loaded: Object, pipeline: Pipeline, flags: Mapping[str, int]) -> LoadSettings:
    """The same programs with other flags, on maps of those that are loaded, and none of the store's programs."""
    constants = {name: flags.get(name, value) for name, value in whole.constants.items()}
    own = sharable(pipeline, loaded)
    others = whole.skip | frozenset(loaded.programs) - Hook.TC.programs
    return replace(whole, constants=constants, reuse={**whole.reuse, **own}, skip=others)
