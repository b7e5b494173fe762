"""The printed C for tc on real veths: frames sent and received by packet sockets, with what is beside a frame.

What test runs cannot have: the 802.1Q tag in metadata, a checksum or the cutting into segments left to a card. Where a
frame comes out tells the verdict: at a port's far end, at a pair of its own for what is left to the kernel, nowhere.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from compiler.ir.controller import CPU_PORT
from compiler.ir.entries import ActionCall, CloneSession, MulticastGroup, TableEntry
from compiler.ir.expressions import MetaRef, ParamRef
from compiler.ir.interpreter import Outcome, VerdictKind
from compiler.ir.names import Names
from compiler.ir.nodes import Pipeline
from compiler.ir.statements import Assign
from runtime.bpf.assembly import call, leave, load_instructions, set_register
from runtime.bpf.attach import FILTER_HANDLE, FILTER_PRIORITY, attach_tc
from runtime.bpf.chains import Hook
from runtime.bpf.constants import ProgramType
from runtime.bpf.program import Program
from runtime.bpf.queries import Hook as AttachHook
from runtime.bpf.testrun import MIN_FRAME, pinned_to_cpu
from runtime.verification.kernel_level import KernelLevel
from runtime.verification.kernel_state import Left
from runtime.verification.levels import HASH_SEED, LONGEST_FRAME, Contradiction
from runtime.verification.offloads import TCP, VnetHeader, awaiting_checksum, joined, place_of, with_quoted_checksum
from runtime.verification.vector import Change, PacketIn, Step
from runtime.verification.wires import Received, Wires

KERNEL = "kernel"
"""The pair at which frames come out that the program leaves to the kernel."""
PATIENCE_S = 5.0
TO_THIS_END, TO_THE_OTHER_END = 1, 2
"""EGRESS_REDIRECT and EGRESS_PEER of verdict.h."""
_TAGGED = (b"\x81\x00", b"\x88\xa8")
_SHORTEST_TAGGED = 20
"""The kernel drops a tagged frame that ends before the two bytes behind the tag's EtherType (`skb_vlan_untag`)."""
_REDIRECT = 23
_UNSEEN = 0xFFFFFFFF
_U32 = struct.Struct("<I")


class WireLevel(KernelLevel):
    """With `leaves_checksums`, right checksums of TCP and UDP are left to the card on the way in (CHECKSUM_PARTIAL).

    Without `has_offloads`, near ends are cards that compute and cut nothing, so the kernel does. Frames then leave by
    the near end; else by near or far end, as the port's number is even or odd.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        leaves_checksums: bool = False,
        has_offloads: bool = True,
        hash_seed: int = HASH_SEED,
        flags: Mapping[str, int] | None = None,
        elf: bytes | None = None,
        traces: bool = True,
    ) -> None:
        super().__init__(pipeline, Hook.TC, hash_seed=hash_seed, flags=flags, elf=elf, traces=traces)
        self.name = _name(leaves_checksums=leaves_checksums, has_offloads=has_offloads)
        self._leaves_checksums, self._has_offloads = leaves_checksums, has_offloads
        self._names = Names(pipeline)
        self._held = ExitStack()
        try:
            self._wires = Wires()
            self._held.callback(self._wires.close)
            self._to_kernel = _redirecting(self._wires.add(KERNEL))
            self._held.callback(self._to_kernel.close)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._held.close()
        super().close()

    def clear(self) -> None:
        super().clear()
        self._wires.drain()

    def insert(self, *changes: Change) -> None:
        super().insert(*changes)
        for change in changes:
            if isinstance(change, TableEntry) and isinstance(change.action, ActionCall):
                for port in self._ports_of(change.action):
                    self.add_port(port)

    def takes(self, step: Step, /) -> bool:
        if not isinstance(step, PacketIn):
            return True
        if step.gso_size:
            return awaiting_checksum(step.frame, step.gso_size) is not None
        shortest = _SHORTEST_TAGGED if step.frame[12:14] in _TAGGED else MIN_FRAME
        return shortest <= len(step.frame) <= LONGEST_FRAME

    def process(self, packet: PacketIn) -> Outcome:
        return replace(self._processed(packet), digests=self.sent_digests())

    def replicate(self, given: MulticastGroup | CloneSession) -> None:
        super().replicate(given)
        for replica in given.replicas:
            if replica.port != CPU_PORT:
                self.add_port(replica.port)

    def _processed(self, packet: PacketIn) -> Outcome:
        self.add_port(packet.port)
        awaiting = awaiting_checksum(packet.frame, packet.gso_size) if self._awaits(packet) else None
        header, sent = awaiting or (VnetHeader(), packet.frame)
        with pinned_to_cpu() as cpu:
            self._forget()
            self._wires.send(_interface(packet.port), header, sent)
            left = self._wait_for(cpu)
        copies = self.copies(lambda port, _: self._copy_at(_interface(port)))
        return replace(self._left(left, packet, awaiting, sent), copies=copies)

    def _copy_at(self, name: str) -> bytes:
        frame = self._wires.receive(name, PATIENCE_S)
        if frame is None:
            raise Contradiction(f"no copy came out of {name}")
        return frame.frame

    def _left(self, left: Left, packet: PacketIn, awaiting: tuple[VnetHeader, bytes] | None, sent: bytes) -> Outcome:
        """What the packet itself has become."""
        if left.kind in (VerdictKind.DROP, VerdictKind.PUNT, VerdictKind.MULTICAST):
            self._expect_silence()
            return self.outcome(left, b"")
        is_answer = left.kind is VerdictKind.REPLY
        frame = self._receive(self._exit(left, packet), packet.gso_size, is_answer=is_answer)
        if awaiting is not None and is_answer:
            frame = with_quoted_checksum(frame, sent, packet.frame)
        leaves = left.kind is not VerdictKind.TO_KERNEL
        return Outcome(verdict=left.kind, packet=frame, egress_port=left.egress_port if leaves else None)

    def add_port(self, port: int) -> None:
        """Put a pair behind a port, with the program on its near end."""
        name = _interface(port)
        if name in self._wires.ifindex:
            return
        ifindex = self._wires.add(name, has_offloads=self._has_offloads)
        is_other_end = self._has_offloads and port % 2
        self.interfaces.put(ifindex, port)
        kind = TO_THE_OTHER_END if is_other_end else TO_THIS_END
        self.map("egress").update(_U32.pack(port), struct.pack("<2I", ifindex, kind))
        for after, program in enumerate((self.program, self._to_kernel)):
            self._attach(program, ifindex, after)

    def _attach(self, program: Program, ifindex: int, after: int) -> None:
        with self._wires.near():
            attached = attach_tc(
                program,
                ifindex,
                AttachHook.INGRESS,
                priority=FILTER_PRIORITY + after,
                handle=FILTER_HANDLE + after,
            )
        self._held.callback(attached.close)

    def _awaits(self, packet: PacketIn) -> bool:
        return self._leaves_checksums or packet.gso_size > 0

    def _forget(self) -> None:
        """Let the scratch memory tell when the program has run."""
        scratch = self.map("scratch")
        size = scratch.details.buffer_size
        scratch.update(_U32.pack(0), _U32.pack(_UNSEEN) * (size // _U32.size))

    def _wait_for(self, cpu: int) -> Left:
        """The program runs before `send` returns, unless the kernel has put it off to a thread of its own."""
        end = time.monotonic() + PATIENCE_S
        while self.scratch(cpu).startswith(_U32.pack(_UNSEEN)):
            if time.monotonic() > end:
                raise Contradiction("the frame never came to the program")
        return self.read_outcome(cpu)

    def _exit(self, left: Left, packet: PacketIn) -> str:
        match left.kind:
            case VerdictKind.TO_KERNEL:
                return KERNEL
            case VerdictKind.REPLY:
                return _interface(packet.port)
            case _:
                name = _interface(left.egress_port)
                if name not in self._wires.ifindex:
                    raise Contradiction(f"the program sends to port {left.egress_port}, which no entry names")
                return name

    def _receive(self, name: str, gso_size: int, *, is_answer: bool) -> bytes:
        """What comes out at a far end, as one: segments are put together, and of the right size.

        A segment that is made its own reset stays to be cut; every other answer has only the beginning of its packet.
        """
        received: list[Received] = []
        while (frame := self._wires.receive(name, 0 if received else PATIENCE_S)) is not None:
            received.append(frame)
        self._expect_silence()
        if not received:
            raise Contradiction(f"nothing came out of {name}")
        if is_answer and not _is_segment(received[0].frame):
            gso_size = 0
        is_cut = gso_size > 0 and not self._has_offloads and name != KERNEL
        sizes = {frame.gso_size for frame in received}
        if sizes != {0 if is_cut else gso_size} or (len(received) > 1) is not is_cut:
            raise Contradiction(f"{len(received)} frames, to be cut into segments of {sizes} bytes, not of {gso_size}")
        return _joined(received) if is_cut else received[0].frame

    def _expect_silence(self) -> None:
        if waiting := self._wires.waiting():
            raise Contradiction(f"a frame came out of {', '.join(waiting)} besides")

    def _ports_of(self, call_: ActionCall) -> list[int]:
        """The ports to which an action sends: arguments that become the egress port."""
        action = self._names.actions[call_.action]
        values = dict(zip((param.name for param in action.params), call_.arguments, strict=True))
        return [
            values[statement.value.name]
            for statement in action.body
            if isinstance(statement, Assign)
            and isinstance(statement.value, ParamRef)
            and isinstance(statement.target, MetaRef)
            and statement.target.name == "egress_port"
        ]


def _is_segment(frame: bytes) -> bool:
    place = place_of(frame)
    return place is not None and place.protocol == TCP


def _joined(received: Sequence[Received]) -> bytes:
    try:
        return joined([frame.frame for frame in received])
    except ValueError as problem:
        raise Contradiction(str(problem)) from problem


def _name(*, leaves_checksums: bool, has_offloads: bool) -> str:
    return "wire" + (", checksums left" if leaves_checksums else "") + ("" if has_offloads else ", no offloads")


def _interface(port: int) -> str:
    return f"port{port}"


def _redirecting(ifindex: int) -> Program:
    """A program that sends every packet out of an interface."""
    instructions = set_register(1, ifindex) + set_register(2, 0) + call(_REDIRECT) + leave()
    return load_instructions(ProgramType.SCHED_CLS, instructions, "to_kernel")
