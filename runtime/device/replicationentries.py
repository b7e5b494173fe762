"""Multicast groups and clone sessions, written and read (specification, "PacketReplicationEngineEntry")."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TypeVar

from finsy.proto import p4r

from compiler.ir.controller import CPU_PORT
from compiler.ir.entries import Backup, CloneSession, MulticastGroup, Replica
from compiler.ir.walking import clones, multicasts
from compiler.printers.layout_replication import MAX_GROUPS, MAX_REPLICAS, MAX_SESSIONS
from runtime.device.bytestrings import to_bytes
from runtime.device.contents import Contents
from runtime.device.records import GroupRow, SessionRow
from runtime.device.refusals import exhausted, exists, invalid, not_found, unimplemented
from runtime.device.schema import Schema
from runtime.device.target import MAX_PORT, Instance
from runtime.device.translation import Ports

INSERT, DELETE = p4r.Update.INSERT, p4r.Update.DELETE
HIGHEST_ID = (1 << 16) - 1
"""Of groups, sessions and instances: the pipeline has 16 bits for each."""
HIGHEST_NUMBER = (1 << 32) - 1
"""Of the deprecated `egress_port`."""
MAX_BACKUPS = 16
"""Of one replica. Packets do not see them."""
SHORTEST_FRAME = 14
"""An Ethernet header, without which no interface sends anything."""
R = TypeVar("R", GroupRow, SessionRow)


class ReplicationWriter:
    def __init__(self, schema: Schema, contents: Contents, instance: Instance) -> None:
        pipeline = schema.pipeline
        self._pipeline, self._ports, self._instance = pipeline, schema.translations.ports, instance
        self._groups, self._sessions = contents.multicast_groups, contents.clone_sessions
        self._references = contents.references
        self._multicasts, self._clones = multicasts(pipeline), clones(pipeline)

    def entry(self, kind: int, given: p4r.PacketReplicationEngineEntry) -> None:
        """Raises `RefusedError`; nothing has changed then."""
        match given.WhichOneof("type"):
            case "multicast_group_entry":
                self._group(kind, given.multicast_group_entry)
            case "clone_session_entry":
                self._session(kind, given.clone_session_entry)
            case _:
                raise invalid("packet_replication_engine_entry: neither a multicast group nor a clone session is given")

    def _group(self, kind: int, given: p4r.MulticastGroupEntry) -> None:
        if not self._multicasts:
            raise unimplemented(f"multicast_group_entry: no packet of pipeline {self._pipeline.name} goes to a group")
        number = given.multicast_group_id
        where = f"multicast group {number}"
        _check_place(kind, number, self._groups, where, MAX_GROUPS)
        if kind == DELETE:
            self._references.check_group_unused(number)
            self._delete(self._groups, number)
            self._note(number, -1)
            return
        replicas = self._replicas(given.replicas, where)
        made = MulticastGroup(id=number, replicas=replicas)
        self._put(self._groups, GroupRow(made, given.metadata, _old_style(given.replicas)))
        if kind == INSERT:
            self._note(number, 1)

    def _note(self, group_id: int, step: int) -> None:
        """There is one more that others may refer to, or one less."""
        targets = self._references.multicast
        if targets is not None:
            targets.note((group_id,), step)
            self._instance.undo.note(partial(targets.note, (group_id,), -step))

    def _session(self, kind: int, given: p4r.CloneSessionEntry) -> None:
        if not self._clones:
            raise unimplemented(f"clone_session_entry: no packet of pipeline {self._pipeline.name} is cloned")
        number = given.session_id
        where = f"clone session {number}"
        _check_place(kind, number, self._sessions, where, MAX_SESSIONS)
        if kind == DELETE:
            self._delete(self._sessions, number)
            return
        if given.class_of_service:
            raise invalid(f"{where}: class_of_service is {given.class_of_service}; ports have one class alone, 0")
        length = given.packet_length_bytes
        if length and length < SHORTEST_FRAME:
            raise invalid(
                f"{where}: packet_length_bytes is {length}; it is 0 (the whole packet) or {SHORTEST_FRAME} at least"
            )
        replicas = self._replicas(given.replicas, where)
        made = CloneSession(id=number, replicas=replicas, packet_length_bytes=length)
        self._put(self._sessions, SessionRow(made, _old_style(given.replicas)))

    def _put(self, held: dict[int, R], row: R) -> None:
        self._instance.put_replication(row.entry)
        self._instance.undo.put(held, row.entry.id, row)

    def _delete(self, held: dict[int, R], number: int) -> None:
        self._instance.delete_replication(held[number].entry)
        self._instance.undo.pop(held, number)

    def _replicas(self, given: Sequence[p4r.Replica], where: str) -> tuple[Replica, ...]:
        if len(given) > MAX_REPLICAS:
            raise exhausted(f"{where}: {len(given)} replicas, at most {MAX_REPLICAS} are possible")
        replicas: list[Replica] = []
        seen: set[tuple[int, int]] = set()
        for at, one in enumerate(given, 1):
            named = f"{where}, replica {at}"
            replica = Replica(
                port=self._port(one, named),
                instance=_instance(one.instance, named),
                backups=self._backups(one.backup_replicas, named),
            )
            self._check_unique(replica, seen, named)
            replicas.append(replica)
        return tuple(replicas)

    def _backups(self, given: Sequence[p4r.BackupReplica], where: str) -> tuple[Backup, ...]:
        if len(given) > MAX_BACKUPS:
            raise exhausted(f"{where}: {len(given)} backup_replicas, at most {MAX_BACKUPS} are possible")
        named = [(one, f"{where}, backup {at}") for at, one in enumerate(given, 1)]
        return tuple(
            Backup(port=self._decoded(one.port, place), instance=_instance(one.instance, place)) for one, place in named
        )

    def _check_unique(self, replica: Replica, seen: set[tuple[int, int]], where: str) -> None:
        """`seen` are ports and instances of all before it, and then its own. Raises INVALID_ARGUMENT."""
        for at, place in enumerate((replica, *replica.backups)):
            named = f"{where}, backup {at}" if at else where
            if at and place.port == replica.port:
                raise invalid(f"{named}: port {self._said(place.port)} is that of the replica itself")
            if (place.port, place.instance) in seen:
                raise invalid(f"{named}: port {self._said(place.port)} has instance {place.instance} already")
            seen.add((place.port, place.instance))

    def _port(self, given: p4r.Replica, where: str) -> int:
        match given.WhichOneof("port_kind"):
            case "port":
                return self._decoded(given.port, where)
            case "egress_port":
                number = given.egress_port  # pyright: ignore[reportDeprecated]
                decoded = self._ports and self._ports.decode_number(number, "egress_port", where)
                return self._checked(number if decoded is None else decoded, where)
            case None:
                raise invalid(f"{where}: the port is missing")

    def _decoded(self, data: bytes, where: str) -> int:
        port = int.from_bytes(data, "big") if self._ports is None else self._ports.decode(data, where)
        return self._checked(port, where)

    def _checked(self, port: int, where: str) -> int:
        if not 1 <= port <= MAX_PORT:
            raise invalid(f"{where}: port {port} is not within 1 to {MAX_PORT}")
        if port == CPU_PORT and self._pipeline.packet_in is None:
            raise invalid(
                f"{where}: port {self._said(port)} is the controller's, and pipeline {self._pipeline.name} has no "
                "packet_in"
            )
        return port

    def _said(self, port: int) -> str:
        return str(port) if self._ports is None else self._ports.said(port)


def _instance(number: int, where: str) -> int:
    if number > HIGHEST_ID:
        raise invalid(f"{where}: instance {number} is above {HIGHEST_ID}")
    return number


class ReplicationReader:
    def __init__(self, schema: Schema, contents: Contents) -> None:
        pipeline, self._ports = schema.pipeline, schema.translations.ports
        self._groups, self._sessions = contents.multicast_groups, contents.clone_sessions
        self._multicasts, self._clones = multicasts(pipeline), clones(pipeline)

    def entries(self, asked: p4r.PacketReplicationEngineEntry) -> Iterator[p4r.Entity]:
        """All of a kind for id 0, else the one if it is there; of both kinds when none is named.

        Raises UNIMPLEMENTED: one is asked for of a kind that the pipeline has no use for.
        """
        kind = asked.WhichOneof("type")
        group, session = asked.multicast_group_entry.multicast_group_id, asked.clone_session_entry.session_id
        if (group and not self._multicasts) or (session and not self._clones):
            raise unimplemented(f"{kind}: this pipeline has none")
        found: list[p4r.PacketReplicationEngineEntry] = []
        if kind != "clone_session_entry":
            found += (_encode_group(row, self._ports) for row in _chosen(self._groups, group))
        if kind != "multicast_group_entry":
            found += (_encode_session(row, self._ports) for row in _chosen(self._sessions, session))
        return (p4r.Entity(packet_replication_engine_entry=one) for one in found)


def _check_place(kind: int, number: int, held: dict[int, R], where: str, most: int) -> None:
    """Raises INVALID_ARGUMENT, ALREADY_EXISTS, NOT_FOUND, RESOURCE_EXHAUSTED."""
    if not 1 <= number <= HIGHEST_ID:
        raise invalid(f"{where}: ids are 1 to {HIGHEST_ID}")
    if kind == INSERT and number in held:
        raise exists(f"{where}: it is there already")
    if kind != INSERT and number not in held:
        raise not_found(f"{where}: there is none")
    if kind == INSERT and len(held) >= most:
        raise exhausted(f"{where}: there are {most} already, as many as there may be")


def _chosen(held: dict[int, R], wanted: int) -> list[R]:
    if not wanted:
        return list(held.values())
    return [held[wanted]] if wanted in held else []


def _old_style(given: Sequence[p4r.Replica]) -> frozenset[int]:
    """The places of replicas with the deprecated `egress_port`, which are read as they were written."""
    return frozenset(at for at, one in enumerate(given) if one.WhichOneof("port_kind") == "egress_port")


def _encode_group(row: GroupRow, ports: Ports | None) -> p4r.PacketReplicationEngineEntry:
    replicas = _encode_replicas(row.entry.replicas, row.old_style, ports)
    made = p4r.MulticastGroupEntry(multicast_group_id=row.entry.id, replicas=replicas, metadata=row.metadata)
    return p4r.PacketReplicationEngineEntry(multicast_group_entry=made)


def _encode_session(row: SessionRow, ports: Ports | None) -> p4r.PacketReplicationEngineEntry:
    replicas = _encode_replicas(row.entry.replicas, row.old_style, ports)
    length = row.entry.packet_length_bytes
    made = p4r.CloneSessionEntry(session_id=row.entry.id, replicas=replicas, packet_length_bytes=length)
    return p4r.PacketReplicationEngineEntry(clone_session_entry=made)


def _encode_replicas(given: Sequence[Replica], old_style: frozenset[int], ports: Ports | None) -> list[p4r.Replica]:
    return [_encode_replica(one, at in old_style, ports) for at, one in enumerate(given)]


def _encode_replica(given: Replica, is_old_style: bool, ports: Ports | None) -> p4r.Replica:
    """A port that has got no number since it was written by one is told as bytes."""
    encode = to_bytes if ports is None else ports.encode
    backups = [p4r.BackupReplica(port=encode(one.port), instance=one.instance) for one in given.backups]
    number = given.port if ports is None else ports.encode_number(given.port, HIGHEST_NUMBER)
    if is_old_style and number is not None:
        return p4r.Replica(egress_port=number, instance=given.instance, backup_replicas=backups)
    return p4r.Replica(port=encode(given.port), instance=given.instance, backup_replicas=backups)
