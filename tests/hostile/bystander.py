"""A controller that goes on with its work while others do their worst, and notices whatever is not as it should be."""

# ruff: noqa: E501  an entry is one line

from __future__ import annotations

from finsy.proto import p4r

from tests.conformance.client import Client, Session, entity
from tests.conformance.wired import Wire

PUNT = r'action { action { action_id: 0x01000003 params { param_id: 1 value: "\x05" } params { param_id: 2 value: "\x02" } } }'
KEY = r'table_id: 0x02000001 match {{ field_id: 1 exact {{ value: "\x06\x00\x00\x00{high}{low}" }} }}'
SOURCE = bytes(5) + b"\x02"
"""What the pipeline puts into a packet for the controller."""


class Bystander:
    """The primary of the default role, on the pipeline `controllers`."""

    def __init__(self, client: Client, session: Session, wire: Wire) -> None:
        self.client, self.session, self._wire = client, session, wire
        self.rounds = 0

    def work(self) -> None:
        """One round: an entry is written, read, met by a packet that is told, and deleted. All of it must come out."""
        self.rounds += 1
        key = _key(self.rounds)
        self.client.write(f"INSERT table_entry {{ {key} {PUNT} }}")
        assert self.client.read(f"table_entry {{ {key} }}") == [entity(f"table_entry {{ {key} {PUNT} }}")]
        self.packet()
        self.client.write(f"DELETE table_entry {{ {key} }}")
        assert self.client.read(f"table_entry {{ {key} }}") == []

    def packet(self) -> None:
        """A packet for the entry of this round; the next message is this packet."""
        frame = _address(self.rounds) + bytes(6) + b"\x08\x00" + self.rounds.to_bytes(50, "big")
        self._wire.send(16, frame)
        told = self.session.receive()
        assert told.packet.payload == frame[:6] + SOURCE + frame[12:]

    def listen(self) -> None:
        """Have packets told from now on, without any more writing."""
        self.rounds += 1
        self.client.write(f"INSERT table_entry {{ {_key(self.rounds)} {PUNT} }}")

    def arbitrate(self) -> None:
        """Say again that it is the primary, and hear so."""
        assert self.client.election_id is not None
        self.session.arbitrate(self.client.election_id)
        assert self.session.told() == (0, self.client.election_id)

    def answered(self) -> None:
        """Requests that read nothing and write nothing."""
        assert self.client.stub.Capabilities(p4r.CapabilitiesRequest(), timeout=20).p4runtime_api_version == "1.5.0"


def _address(number: int) -> bytes:
    return b"\x06\0\0\0" + number.to_bytes(2, "big")


def _key(number: int) -> str:
    high, low = divmod(number, 256)
    return KEY.format(high=rf"\x{high:02x}", low=rf"\x{low:02x}")
