"""Multicast groups, clone sessions and digest configurations. "PacketReplicationEngineEntry", "DigestEntry"."""

from __future__ import annotations

from collections.abc import Iterable

from finsy.proto import p4r

from tests.conformance.oracle.judgement import UNKNOWN_ID, Code, Judgement
from tests.conformance.oracle.profiles import CONTROLLER_NAME
from tests.conformance.oracle.state import Forwarding
from tests.conformance.oracle.values import to_bytes

INSERT, MODIFY, DELETE = p4r.Update.INSERT, p4r.Update.MODIFY, p4r.Update.DELETE
HIGHEST = (1 << 16) - 1
"""Of ids and of `EgressInstance_t`, if the target has 16 bits for them: more may be refused."""
SOME_BACKUPS = 8
"""Of one replica: a target may not take more."""
SHORTEST_FRAME = 14
"""An Ethernet header: a target may send nothing less."""


def judge_replication(state: Forwarding, kind: int, given: p4r.PacketReplicationEngineEntry) -> Judgement:
    found = Judgement()
    chosen = given.WhichOneof("type")
    if chosen is None:
        found.refuse(Code.INVALID_ARGUMENT)
    if not state.declared.has_replication:
        found.refuse(Code.UNIMPLEMENTED)
        return found
    if chosen == "multicast_group_entry":
        group = p4r.MulticastGroupEntry()
        group.CopyFrom(given.multicast_group_entry)
        _shorten(state, group.replicas)
        _judge_keyed(kind, group.multicast_group_id, state.multicast, group, found)
        if kind != DELETE:
            _check_replicas(state, group.replicas, found)
    elif chosen == "clone_session_entry":
        session = p4r.CloneSessionEntry()
        session.CopyFrom(given.clone_session_entry)
        _shorten(state, session.replicas)
        _judge_keyed(kind, session.session_id, state.clones, session, found)
        if kind != DELETE:
            _check_replicas(state, session.replicas, found)
            found.allow(*_odd_clone(session))
    return found


def _shorten(state: Forwarding, replicas: Iterable[p4r.Replica]) -> None:
    """Ports as they are read ("Bytestrings"); names are read as they are."""
    if state.declared.port_names:
        return
    for replica in replicas:
        for place in (replica, *replica.backup_replicas):
            if place.port:
                place.port = place.port.lstrip(b"\0") or b"\0"


def _odd_clone(given: p4r.CloneSessionEntry) -> tuple[Code, ...]:
    """What a target may not be able to do: classes of service, and lengths that are none."""
    is_odd = given.class_of_service or 0 != given.packet_length_bytes < SHORTEST_FRAME
    return (Code.INVALID_ARGUMENT, Code.UNIMPLEMENTED) if is_odd else ()


def _judge_keyed(
    kind: int,
    number: int,
    there: dict[int, p4r.MulticastGroupEntry] | dict[int, p4r.CloneSessionEntry],
    entry: p4r.MulticastGroupEntry | p4r.CloneSessionEntry,
    found: Judgement,
) -> None:
    if number == 0:
        found.refuse(Code.INVALID_ARGUMENT)
    elif kind == INSERT and number in there:
        found.refuse(Code.ALREADY_EXISTS)
    elif kind != INSERT and number not in there:
        found.refuse(Code.NOT_FOUND)
    if kind == INSERT:
        found.allow(Code.RESOURCE_EXHAUSTED)
    if number > HIGHEST:
        found.allow(Code.RESOURCE_EXHAUSTED, Code.INVALID_ARGUMENT)
    found.change = lambda: _put(kind, number, there, entry)


def _put(
    kind: int,
    number: int,
    there: dict[int, p4r.MulticastGroupEntry] | dict[int, p4r.CloneSessionEntry],
    entry: p4r.MulticastGroupEntry | p4r.CloneSessionEntry,
) -> None:
    there.pop(number, None)
    if kind != DELETE:
        there[number] = entry  # pyright: ignore[reportArgumentType]


def _check_replicas(state: Forwarding, given: Iterable[p4r.Replica], found: Judgement) -> None:
    seen: set[tuple[bytes, int]] = set()
    for replica in given:
        own = replica.port
        if replica.WhichOneof("port_kind") == "egress_port":
            own = to_bytes(replica.egress_port)  # pyright: ignore[reportDeprecated]
            found.allow(Code.INVALID_ARGUMENT, Code.UNIMPLEMENTED)  # deprecated, and no name
        if len(replica.backup_replicas) > SOME_BACKUPS:
            found.allow(Code.RESOURCE_EXHAUSTED)
        if own in [one.port for one in replica.backup_replicas]:
            found.refuse(Code.INVALID_ARGUMENT)
        for key in ((own, replica.instance), *((one.port, one.instance) for one in replica.backup_replicas)):
            if key in seen:
                found.refuse(Code.INVALID_ARGUMENT)
            seen.add(key)
            _check_place(state, *key, found)


def _check_place(state: Forwarding, port: bytes, instance: int, found: Judgement) -> None:
    names = state.declared.port_names
    if not port or (names and port not in (*names, CONTROLLER_NAME)):
        found.refuse(Code.INVALID_ARGUMENT)
    elif not names and int.from_bytes(port, "big") not in state.declared.ports:
        found.allow(Code.INVALID_ARGUMENT, Code.OUT_OF_RANGE, Code.NOT_FOUND)
    if instance > HIGHEST:
        found.allow(Code.INVALID_ARGUMENT)


def judge_digest(state: Forwarding, kind: int, given: p4r.DigestEntry) -> Judgement:
    found = Judgement()
    if given.digest_id not in state.known.digests:
        found.refuse(*UNKNOWN_ID, *(() if state.known.digests else (Code.UNIMPLEMENTED,)))
        return found
    config = given.config
    if kind == INSERT and given.digest_id in state.digests:
        found.refuse(Code.ALREADY_EXISTS)
    if kind != INSERT and given.digest_id not in state.digests:
        found.refuse(Code.NOT_FOUND)
    if kind != DELETE and min(config.max_timeout_ns, config.max_list_size, config.ack_timeout_ns) < 0:
        found.allow(Code.INVALID_ARGUMENT)
    if kind != DELETE and not given.HasField("config"):
        found.allow(Code.INVALID_ARGUMENT)
    entry = p4r.DigestEntry()
    entry.CopyFrom(given)
    entry.config.SetInParent()

    def change() -> None:
        state.digests.pop(given.digest_id, None)
        if kind != DELETE:
            state.digests[given.digest_id] = entry

    found.change = change
    return found
