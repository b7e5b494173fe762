"""Which clients may do what, by the names in their certificates. `runtime.device.rightsfile` reads them.

gRPC does not show the user at the other end of a unix socket (SO_PEERCRED): who may open it has all rights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from runtime.device.refusals import denied
from runtime.device.roles import shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A client and its rights. All may read."""

    name: str
    """As the rights call it; empty for one that needs none."""
    roles: frozenset[str] | None = None
    """The roles that it may arbitrate for and write as, None for every one."""
    is_read_only: bool = False
    """It may listen on a stream, but never be the primary."""

    def check_arbitration(self, role: str, *, has_election_id: bool) -> None:
        """Raises PERMISSION_DENIED."""
        self._check_role(role)
        if self.is_read_only and has_election_id:
            raise denied(f"client {self.name!r} may only read: it may arbitrate without an election id, as a backup")

    def check_writer(self, role: str) -> None:
        """Raises PERMISSION_DENIED."""
        self._check_role(role)
        if self.is_read_only:
            raise denied(f"client {self.name!r} may only read")

    def _check_role(self, role: str) -> None:
        if self.roles is not None and role not in self.roles:
            raise denied(f"client {self.name!r} has no right to {shown(role)}")


ANYBODY = Peer(name="")
"""Clients on a unix socket, and all clients of a device without a file of rights."""


@dataclass(frozen=True, slots=True)
class Rights:
    """Peers by name, in the order of the file."""

    peers: Mapping[str, Peer]

    def of(self, names: Iterable[str]) -> Peer:
        """The rights of a certificate with these names. Raises PERMISSION_DENIED if none of them is known."""
        given = tuple(names)
        found = next((peer for name, peer in self.peers.items() if name in given), None)
        if found is None:
            raise denied(f"no rights are given to a client with the names {', '.join(map(repr, given)) or '(none)'}")
        return found


def certificate_names(properties: Mapping[str, Iterable[bytes]]) -> tuple[str, ...] | None:
    """Common name and alternative names of a client, from gRPC's auth context; None where there is no TLS."""
    if b"ssl" not in properties.get("transport_security_type", ()):
        return None
    found = [*properties.get("x509_common_name", ()), *properties.get("x509_subject_alternative_name", ())]
    return tuple(dict.fromkeys(name.decode(errors="replace") for name in found))
