"""The kernel target: what is the same for all pipelines of a device, and loading one."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from compiler.ir.controller import CPU_PORT
from compiler.printers.bundle import Bundle
from compiler.span import InternalError
from runtime.bpf.elf import opened
from runtime.bpf.errors import BpfError
from runtime.bpf.machine import MACHINE_CONSTANTS
from runtime.bpf.object import LoadSettings, Object, load
from runtime.bpf.program import Program
from runtime.device.kernel.attaching import Ports
from runtime.device.kernel.dispatcher import SLOT, load_dispatcher, make_prog_array
from runtime.device.kernel.instance import TC_PROGRAM, KernelInstance
from runtime.device.kernel.packetouts import CpuPort, PacketSocket
from runtime.device.kernel.ports import PortSpec
from runtime.device.kernel.statedir import StateDir
from runtime.device.refusals import Code, RefusedError, invalid
from runtime.device.target import PipelineRefusedError, TargetError

LOG = logging.getLogger("turnout.device")
HASH_SEED = "hash_seed"
FLAG_PREFIX = "uses_"


def check_rights() -> None:
    """Before anything is made. Raises `TargetError`."""
    if os.geteuid() != 0:
        raise TargetError("the kernel target needs root (BPF and network administration); run it with sudo")


class KernelTarget:
    """Ports and dispatcher from its creation on; pipelines come with `prepare`. Raises `TargetError`."""

    def __init__(self, *, state_dir: Path, ports: Iterable[PortSpec], ephemeral: bool, hash_seed: int) -> None:
        self._ephemeral = ephemeral
        self._hash_seed = hash_seed
        self._cpu_port: CpuPort | None = None
        with ExitStack() as undo:
            self._state = StateDir(state_dir)
            self._state.clear_leftovers()
            try:
                self._prog_array = make_prog_array()
                undo.callback(self._prog_array.close)
                self._prog_array.pin(self._state.pins / "dispatch_tc")
                undo.callback(self._state.remove_pins)
                self._dispatcher = load_dispatcher(self._prog_array)
                undo.callback(self._dispatcher.close)
                self._ports = Ports(ports, self._dispatcher, self._state.pins)
                undo.callback(self._ports.close)
                undo.callback(self._ports.detach_all)
                self._ports.attach_all()
                self._packet_socket = PacketSocket()
            except (BpfError, OSError) as problem:
                raise TargetError(str(problem)) from problem
            undo.pop_all()

    @property
    def name(self) -> str:
        return "kernel"

    def prepare(self, bundle: Bundle) -> KernelInstance:
        if bundle.tc is None:
            raise PipelineRefusedError("the bundle has no tc.o: it was made for a model")
        elf = bundle.tc
        try:
            settings = self._settings(elf, bundle.pipeline.name)
            loaded = load(elf, settings)
        except (BpfError, ValueError) as problem:
            raise PipelineRefusedError(str(problem)) from problem

        def load_variant(flags: Mapping[str, int]) -> Object:
            return load(elf, _variant(settings, loaded, flags))

        try:
            return KernelInstance(bundle.pipeline, loaded, self._hash_seed, load_variant, self._activate)
        except (BpfError, InternalError) as problem:
            loaded.close()
            raise PipelineRefusedError(f"tc.o does not belong to pipeline.ir: {problem}") from problem

    def take_over(self, place: str, bundle: Bundle) -> KernelInstance:
        del place
        return self.prepare(bundle)

    def keep_only(self, places: Collection[str]) -> None:
        del places

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
        self._prog_array.close()
        if self._ephemeral:
            self._state.remove_pins()

    def _activate(self, program: Program) -> None:
        self._prog_array.update_fd(SLOT, program.fd)

    def _settings(self, elf: bytes, name: str) -> LoadSettings:
        """Constants by the names that the ELF has, and the device's own maps in place of the ELF's."""
        with opened(elf, name) as handle:
            variables, maps = handle.variables(), set(handle.maps)
        constants: dict[str, int | bytes] = {
            variable.name: 1 for variable in variables if variable.name.startswith(FLAG_PREFIX) and variable.size == 1
        }
        known = {variable.name for variable in variables}
        given = {HASH_SEED: self._hash_seed, **MACHINE_CONSTANTS}
        constants |= {name: value for name, value in given.items() if name in known}
        return LoadSettings(
            name=name,
            constants=constants,
            reuse={name: own.fd for name, own in self._ports.maps.items() if name in maps},
            log_dir=self._state.verifier_logs,
        )


def _variant(whole: LoadSettings, loaded: Object, flags: Mapping[str, int]) -> LoadSettings:
    """The same program with other flags, on the maps of the one that is loaded, and none of the store's programs."""
    constants = {name: flags.get(name, value) for name, value in whole.constants.items()}
    own = {
        name: shared.fd for name, shared in loaded.maps.items() if not name.startswith(".") and name not in whole.reuse
    }
    others = frozenset(name for name in loaded.programs if name != TC_PROGRAM)
    return replace(whole, constants=constants, reuse={**whole.reuse, **own}, skip=others)
