"""What packets of one pipeline have for controllers, made into stream messages.

Targets call it on the device's event loop; `runtime.device.streams` knows who gets a message.
"""

from __future__ import annotations

import logging
from collections import Counter
from functools import partial

from finsy.proto import p4r

from runtime.device.contents import Contents
from runtime.device.digesting import DigestLists, Tell
from runtime.device.packetio import encode_packet_in
from runtime.device.schema import Schema

LOG = logging.getLogger("turnout.device")


class Upcalls:
    """The device's side of `runtime.device.target.Hearer`. `tell` offers a message to the primaries."""

    def __init__(self, schema: Schema, contents: Contents, tell: Tell) -> None:
        self._schema = schema
        self._tell = tell
        types = schema.translations.types
        self._digests = {
            digest.name: DigestLists(digest, partial(contents.digests.get, digest.name), tell, types)
            for digest in schema.digests.values()
        }
        self._lost: Counter[str] = Counter()
        """Digests that have not even come here."""
        self._logged: Counter[str] = Counter()

    def packet_in(self, values: tuple[int, ...], frame: bytes) -> bool:
        """False: no controller has room for it, or there is none."""
        header = self._schema.pipeline.packet_in
        if header is None:
            return False
        return self._tell(
            p4r.StreamMessageResponse(packet=encode_packet_in(header, values, frame, self._schema.translations.types))
        )

    def digest(self, name: str, values: tuple[int, ...]) -> None:
        self._digests[name].hear(values)

    def lost_digests(self, name: str, total: int) -> None:
        """How many the target has lost up to now."""
        self._lost[name] = total

    def acknowledge(self, given: p4r.DigestListAck) -> None:
        """Raises INVALID_ARGUMENT for a digest that is none of the pipeline's."""
        self._digests[self._schema.digest(given.digest_id).name].acknowledge(given.list_id)

    def tick(self) -> None:
        """Say what was lost since the last time."""
        for name, lists in self._digests.items():
            total = lists.lost + self._lost[name]
            if total > self._logged[name]:
                LOG.warning("digest %s: %d lost, %d in all", name, total - self._logged[name], total)
                self._logged[name] = total
