"""Who is the primary of each role, and who is told. Section "Client Arbitration and Controller Replication"."""

from __future__ import annotations

from dataclasses import dataclass, field

from finsy.proto import U128, p4r

from tests.conformance.oracle.judgement import Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A notification: `election_id` is None when there never was a primary."""

    role: str
    election_id: int | None
    code: Code


@dataclass(slots=True)
class Role:
    highest: int | None = None
    clients: dict[int, int | None] = field(default_factory=dict[int, int | None])
    """Election ids of live controllers, by the number of their stream."""

    @property
    def primary(self) -> int | None:
        found = [stream for stream, number in self.clients.items() if number is not None and number == self.highest]
        return found[0] if found else None


@dataclass(slots=True)
class Arbitration:
    """All roles of one device. They outlive everything but the device."""

    device_id: int
    roles: dict[str, Role] = field(default_factory=lambda: {"": Role()})
    role_of: dict[int, str] = field(default_factory=dict[int, str])

    def arbitrate(self, stream: int, given: p4r.MasterArbitrationUpdate) -> tuple[Code, dict[int, Told]]:
        """The code that ends this stream, OK if it goes on; and what each stream is told."""
        name = given.role.name
        refusal = self._refusal(stream, name, given)
        if refusal is not None:
            return refusal, self.leave(stream)
        role = self.roles.setdefault(name, Role())
        was_primary = role.primary == stream
        number = U128.decode(given.election_id) if given.HasField("election_id") else None
        self.role_of[stream] = name
        role.clients[stream] = number
        if number is not None and (role.highest is None or number >= role.highest):
            role.highest = number
            return Code.OK, self._told(name, list(role.clients))
        return Code.OK, self._told(name, list(role.clients) if was_primary else [stream])

    def leave(self, stream: int) -> dict[int, Told]:
        name = self.role_of.pop(stream, None)
        if name is None:
            return {}
        role = self.roles[name]
        was_primary = role.primary == stream
        del role.clients[stream]
        if name and not role.clients and role.highest is None:
            del self.roles[name]  # it never had an election id, which alone must be remembered
        return self._told(name, list(role.clients)) if was_primary else {}

    def may_write(self, role: str, election_id: int | None) -> Code:
        """The first of the checks that fails ("Write RPC")."""
        known = self.roles.get(role)
        if known is None:
            return Code.NOT_FOUND
        if known.primary is None or election_id is None or election_id != known.highest:
            return Code.PERMISSION_DENIED
        return Code.OK

    def _refusal(self, stream: int, name: str, given: p4r.MasterArbitrationUpdate) -> Code | None:
        current = self.role_of.get(stream)
        if given.device_id != self.device_id:
            return Code.NOT_FOUND if current is None else Code.FAILED_PRECONDITION
        if current is not None and current != name:
            return Code.FAILED_PRECONDITION
        if given.HasField("election_id"):
            number = U128.decode(given.election_id)
            others = self.roles.get(name, Role()).clients.items()
            if any(known == number for other, known in others if other != stream):
                return Code.INVALID_ARGUMENT
        return None

    def _told(self, name: str, streams: list[int]) -> dict[int, Told]:
        role = self.roles[name]
        codes = dict.fromkeys(streams, Code.NOT_FOUND if role.primary is None else Code.ALREADY_EXISTS)
        if role.primary in codes:
            codes[role.primary] = Code.OK
        return {stream: Told(role=name, election_id=role.highest, code=code) for stream, code in codes.items()}
