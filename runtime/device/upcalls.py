"""What packets of one pipeline have for controllers, made into stream messages.

Targets call it on the device's event loop; `runtime.device.streams` knows who gets a message.
"""

from __future__ import annotations

from collections.abc import Callable

from finsy.proto import p4r

from compiler.ir.nodes import Pipeline
from runtime.device.packetio import encode_packet_in

Tell = Callable[[p4r.StreamMessageResponse], bool]
"""Offers a message to the primaries; False if none of them has taken it."""


class Upcalls:
    """The device's side of `runtime.device.target.Hearer`."""

    def __init__(self, pipeline: Pipeline, tell: Tell) -> None:
        self._packet_in = pipeline.packet_in
        self._tell = tell

    def packet_in(self, values: tuple[int, ...], frame: bytes) -> bool:
        """False: no controller has room for it, or there is none."""
        if self._packet_in is None:
            return False
        return self._tell(p4r.StreamMessageResponse(packet=encode_packet_in(self._packet_in, values, frame)))
