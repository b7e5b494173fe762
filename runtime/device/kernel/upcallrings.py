"""The rings of one pipeline, drained: packet-ins and digests, to whoever hears of them, and copies that are cut."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable
from contextlib import ExitStack

from compiler.ir.controller import CPU_PORT
from compiler.ir.nodes import Pipeline
from compiler.printers.layout import StructLayout, layout
from runtime.bpf.maps import Map
from runtime.bpf.object import Object
from runtime.bpf.ringbuf import RingReader
from runtime.device.kernel.countermaps import LostPackets
from runtime.device.kernel.draining import Drain
from runtime.device.kernel.packetins import PACKET_INS, PacketIn, read_packet_in
from runtime.device.refusals import RefusedError
from runtime.device.target import Hearer

DIGESTS, DIGESTS_LOST = "digests", "digests_lost"
"""The ring, and the counts of what had no room in it (ebpf/include/turnout/digest.h)."""
Send = Callable[[int, bytes], None]
"""Sends a frame out of a port, or raises `RefusedError`."""
LOG = logging.getLogger("turnout.device")
_U32, _U64 = struct.Struct("=I"), struct.Struct("=Q")


class UpcallRings:
    """Listens from its creation on, on the event loop that runs."""

    def __init__(self, pipeline: Pipeline, loaded: Object, hearer: Hearer, send: Send) -> None:
        """`send` sends a copy of a packet that the program could not send itself."""
        self.lost = LostPackets()
        """Packets for the controller that nobody took."""
        self._pipeline, self._loaded, self._hearer, self._send = pipeline, loaded, hearer, send
        self._lost_copies = 0
        self._held = ExitStack()
        plan = layout(pipeline)
        if plan.packet_in is not None:
            self._drain(PACKET_INS, plan.packet_in)
        if plan.digests:
            self._drain_digests(plan.digests)

    def tick(self) -> None:
        """Tell what was lost."""
        if self._lost_copies:
            LOG.warning("%d copies of packets could not be sent", self._lost_copies)
            self._lost_copies = 0
        for place, digest in enumerate(self._pipeline.digests):
            self._hearer.lost_digests(digest.name, _sum(self._loaded.map(DIGESTS_LOST), place))

    def close(self) -> None:
        self._held.close()

    def _drain(self, name: str, said: StructLayout) -> None:
        def hear(record: bytes) -> None:
            packet = read_packet_in(record, said)
            if packet.port:
                self._copied(packet)
                return
            for frame in packet.frames:
                if not self._hearer.packet_in(packet.values, frame):
                    self.lost.count(packet.full, len(frame))

        self._start(Drain(RingReader(self._loaded.map(name)), hear))

    def _copied(self, packet: PacketIn) -> None:
        for frame in packet.frames:
            if packet.port == CPU_PORT:
                self._hearer.packet_in(packet.values, frame)
                continue
            try:
                self._send(packet.port, frame)
            except RefusedError:
                self._lost_copies += 1

    def _drain_digests(self, structs: tuple[StructLayout, ...]) -> None:
        def hear(record: bytes) -> None:
            place, values = read_digest(record, structs)
            self._hearer.digest(self._pipeline.digests[place].name, values)

        self._start(Drain(RingReader(self._loaded.map(DIGESTS)), hear))

    def _start(self, drain: Drain) -> None:
        drain.start()
        self._held.callback(drain.stop)


def read_digest(record: bytes, structs: tuple[StructLayout, ...]) -> tuple[int, tuple[int, ...]]:
    """The place of a digest among the pipeline's, and its values."""
    place: int = _U64.unpack_from(record)[0]
    said = structs[place]
    return place, said.decode(record[_U64.size : _U64.size + said.size])


def _sum(counts: Map, index: int) -> int:
    raw = counts.lookup(_U32.pack(index))
    return 0 if raw is None else sum(_U64.unpack_from(value)[0] for value in counts.split_per_cpu(raw))
