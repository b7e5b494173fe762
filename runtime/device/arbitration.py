"""Who may write: client arbitration (specification, section "Client Arbitration and Controller Replication").

Pure bookkeeping of one device: which clients are there, with which election ids, what their roles may do, and what they
must be told. Streams, queues and the wait for writes under way belong to `runtime.device.streams`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field

from finsy.proto import U128, p4r

from runtime.device.refusals import Code, RefusedError, denied, exhausted, not_found, precondition
from runtime.device.rights import ANYBODY, Peer
from runtime.device.roles import RoleConfig, check_apart, read_role_config, shown

MAX_CLIENTS = 64
"""Streams of one role."""
MAX_ROLES = 16
MAX_ROLE_NAME = 256
"""Characters of a role's name, which texts and notifications carry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notices:
    """Whom to tell: `now`, and after the writes under way are done (`settled`): the new primary is among those."""

    now: tuple[Hashable, ...] = ()
    settled: tuple[Hashable, ...] = ()


@dataclass(frozen=True, slots=True)
class _Client:
    election_id: int | None
    peer: Peer


@dataclass(slots=True)
class _Role:
    highest: int | None = None
    """The highest election id ever seen; the live client that has it is the primary."""
    clients: dict[Hashable, _Client] = field(default_factory=lambda: {})
    config: RoleConfig | None = None
    """The one that a primary gave last; None is full pipeline access."""

    @property
    def primary(self) -> Hashable | None:
        if self.highest is None:
            return None
        return next((key for key, client in self.clients.items() if client.election_id == self.highest), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a client stands that has arbitrated."""

    role: str
    election_id: int | None
    is_primary: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleState:
    """A role that clients name, or that had a primary. `highest` is the highest election id that it has seen."""

    name: str
    highest: int | None
    streams: int
    has_primary: bool
    is_limited: bool


@dataclass(slots=True)
class Arbitration:
    """All roles of one device."""

    device_id: int
    note_highest: Callable[[str, int], None] = lambda _role, _election_id: None
    """Called with a role's name before an election id becomes its highest. What it raises ends the client's stream."""
    note_config: Callable[[str, bytes], None] = lambda _role, _config: None
    """The same before a role gets another config: the bytes of its message, none for none."""
    _roles: dict[str, _Role] = field(default_factory=lambda: {"": _Role()})
    _role_of: dict[Hashable, str] = field(default_factory=lambda: {})

    def arbitrate(self, client: Hashable, update: p4r.MasterArbitrationUpdate, peer: Peer = ANYBODY) -> Notices:
        """Take a client's message. Raises `RefusedError`: its stream is to end with that code."""
        role_name = update.role.name if update.HasField("role") else ""
        self._check_names(client, update, role_name)
        election_id = U128.decode(update.election_id) if update.HasField("election_id") else None
        peer.check_arbitration(role_name, has_election_id=election_id is not None)
        role = self._find_role(role_name)
        self._check_id(role, client, election_id)
        config = self._read_config(role_name, update)
        if client not in role.clients and len(role.clients) >= MAX_CLIENTS:
            raise exhausted(f"{shown(role_name)} has {MAX_CLIENTS} streams, no more are taken")
        if election_id is not None and (role.highest is None or election_id >= role.highest):
            self._note(role_name, role, election_id, config)
        was_primary = role.primary == client
        self._roles[role_name], self._role_of[client] = role, role_name
        role.clients[client] = _Client(election_id, peer)
        if election_id is not None and (role.highest is None or election_id >= role.highest):
            role.highest, role.config = election_id, config
            if was_primary:
                return Notices(now=tuple(role.clients))
            return Notices(now=tuple(other for other in role.clients if other != client), settled=(client,))
        return Notices(now=tuple(role.clients) if was_primary else (client,))

    def _note(self, role_name: str, role: _Role, election_id: int, config: RoleConfig | None) -> None:
        """What an earlier primary did not say: a new one is not one before it is written down."""
        if role.highest is None or election_id > role.highest:
            self.note_highest(role_name, election_id)
        if config != role.config:
            self.note_config(role_name, b"" if config is None else config.given.SerializeToString())

    def remember(self, highest: Mapping[str, int], configs: Mapping[str, RoleConfig]) -> None:
        """By role, what an earlier process of this device has seen; only a full restart forgets it."""
        for role_name, election_id in highest.items():
            self._roles[role_name] = _Role(highest=election_id, config=configs.get(role_name))

    def leave(self, client: Hashable) -> Notices:
        """A stream has ended. When it was the primary's, there is none until another client asks to be."""
        role_name = self._role_of.pop(client, None)
        if role_name is None:
            return Notices()
        role = self._roles[role_name]
        was_primary = role.primary == client
        del role.clients[client]
        if role_name and not role.clients and role.highest is None:
            del self._roles[role_name]  # nothing of it need be remembered: it never had a primary
        return Notices(now=tuple(role.clients) if was_primary else ())

    def notification(self, client: Hashable) -> p4r.MasterArbitrationUpdate:
        """What a client is told of its role as it is now."""
        role_name = self._role_of[client]
        role = self._roles[role_name]
        message = p4r.MasterArbitrationUpdate(device_id=self.device_id)
        if role_name:
            message.role.name = role_name
        if role.config is not None:
            message.role.config.CopyFrom(role.config.given)
        if role.highest is not None:
            message.election_id.CopyFrom(U128.encode(role.highest))
        if role.primary == client:
            message.status.code = Code.OK
            message.status.message = "this client is the primary"
        elif role.primary is not None:
            message.status.code = Code.ALREADY_EXISTS
            message.status.message = "this client is a backup"
        else:
            message.status.code = Code.NOT_FOUND
            message.status.message = "this client is a backup, and there is no primary"
        return message

    def is_live(self, client: Hashable) -> bool:
        """Whether the client has arbitrated and is still there."""
        return client in self._role_of

    def standing(self, client: Hashable) -> Standing | None:
        """None for a client that has not arbitrated."""
        role_name = self._role_of.get(client)
        if role_name is None:
            return None
        role = self._roles[role_name]
        election_id = role.clients[client].election_id
        return Standing(role=role_name, election_id=election_id, is_primary=role.primary == client)

    def roles(self) -> list[RoleState]:
        return [
            RoleState(
                name=name,
                highest=role.highest,
                streams=len(role.clients),
                has_primary=role.primary is not None,
                is_limited=role.config is not None,
            )
            for name, role in self._roles.items()
        ]

    # what roles may do

    def check_writer(self, role_name: str, election_id: int | None, peer: Peer = ANYBODY) -> None:
        """Raises NOT_FOUND for an unknown role, PERMISSION_DENIED for any but the primary."""
        role = self._known_role(role_name)
        peer.check_writer(role_name)
        if role.primary is None:
            raise denied(f"Not primary: {shown(role_name)} has no primary; arbitrate first")
        if election_id is None or election_id != role.highest:
            given = "none" if election_id is None else election_id
            raise denied(f"Not primary: the election id given is {given}, the primary's is {role.highest}")
        if peer is not ANYBODY and role.clients[role.primary].peer.name != peer.name:
            raise denied(f"Not primary: election id {election_id} is that of another client, not of {peer.name!r}")

    def check_pusher(self, role_name: str) -> None:
        """Raises PERMISSION_DENIED when a role may load no pipeline."""
        config = self.config_of(role_name)
        if config is not None and not config.can_push_pipeline:
            raise denied(f"{shown(role_name)} may not load a pipeline: its config has no can_push_pipeline")

    def check_primary(self, client: Hashable) -> None:
        """Raises PERMISSION_DENIED for a stream that is not its role's primary: it may send no packets."""
        if client not in self._role_of:
            raise denied("Not primary: this stream has not arbitrated")
        if self._roles[self._role_of[client]].primary != client:
            raise denied(f"Not primary: this client is a backup of {shown(self._role_of[client])}")

    def config_of(self, role_name: str) -> RoleConfig | None:
        """What a role is limited to, None for nothing. Raises NOT_FOUND for one that no client has named."""
        return self._known_role(role_name).config

    def receivers_of_packet(self, metadata: Iterable[p4r.PacketMetadata]) -> tuple[Hashable, ...]:
        """The primaries that are to be told of a packet with this metadata."""
        given = tuple(metadata)
        return self._primaries(lambda config: config.takes_packet(given))

    def receivers_of(self, p4_id: int) -> tuple[Hashable, ...]:
        """The primaries that are to be told of a table's or a digest's news, by its id."""
        return self._primaries(lambda config: config.covers(p4_id))

    def _primaries(self, wants: Callable[[RoleConfig], bool]) -> tuple[Hashable, ...]:
        found = ((role.primary, role.config) for role in self._roles.values())
        return tuple(client for client, config in found if client is not None and (config is None or wants(config)))

    # the rules for a message, in the specification's order

    def _check_names(self, client: Hashable, update: p4r.MasterArbitrationUpdate, role_name: str) -> None:
        current = self._role_of.get(client)
        if update.device_id != self.device_id:
            if current is not None:
                raise precondition(
                    f"this stream is that of device {self.device_id}, it cannot become {update.device_id}'s"
                )
            raise not_found(f"there is no device {update.device_id} here, only {self.device_id}")
        if current is not None and current != role_name:
            raise precondition(f"this stream is that of {shown(current)}; open another for {shown(role_name)}")

    def _find_role(self, role_name: str) -> _Role:
        if role_name in self._roles:
            return self._roles[role_name]
        if len(role_name) > MAX_ROLE_NAME:
            raise exhausted(f"a role's name has {MAX_ROLE_NAME} characters at most, this one {len(role_name)}")
        if len(self._roles) >= MAX_ROLES:
            raise exhausted(f"{shown(role_name)}: the device has {MAX_ROLES} roles, no more are taken")
        return _Role()

    def _check_id(self, role: _Role, client: Hashable, election_id: int | None) -> None:
        if election_id is None:
            return
        if any(known.election_id == election_id for other, known in role.clients.items() if other != client):
            raise RefusedError(
                Code.INVALID_ARGUMENT, f"election id {election_id} is already used by another client of this role"
            )

    def _read_config(self, role_name: str, update: p4r.MasterArbitrationUpdate) -> RoleConfig | None:
        if not update.role.HasField("config"):
            return None
        config = read_role_config(role_name, update.role.config)
        check_apart(role_name, config, {name: role.config for name, role in self._roles.items()})
        return config

    def _known_role(self, role_name: str) -> _Role:
        role = self._roles.get(role_name)
        if role is None:
            raise not_found(f"no client names role {role_name!r}, and it never had a primary")
        return role
