"""A controller that writes random batches without a pause, and knows after each one what the device must hold."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from typing import Final

from finsy.proto import p4r

from tests.conformance.client import Client, RpcRefusedError

INSERT, MODIFY, DELETE = p4r.Update.INSERT, p4r.Update.MODIFY, p4r.Update.DELETE
ATOMICITIES: Final = (
    p4r.WriteRequest.CONTINUE_ON_ERROR,
    p4r.WriteRequest.ROLLBACK_ON_ERROR,
    p4r.WriteRequest.DATAPLANE_ATOMIC,
)
ARP, ANSWER, BACKEND, BACKENDS, TO_BACKEND = 0x02000003, 0x01000005, 0x02000014, 0x11000014, 0x01000014
FIRST_ADDRESS = 0x0AFF0000
FIRST_SERVICE, NETWORK = 5000, 4000
"""Of nobody else's entries."""
FIRST_ID = 30_000
MOST_UPDATES = 40
SOME_FAIL = 0.05
"""The share of updates that the device refuses."""
State = dict[tuple[str, int], tuple[int, ...]]
"""What this controller has written: kind and number of each entity, and what it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    request: p4r.WriteRequest
    after: State


def random_batch(rng: random.Random, state: State) -> Batch:
    """Some updates of it are refused, and then an atomic batch changes nothing."""
    request = p4r.WriteRequest(device_id=1, atomicity=rng.choice(ATOMICITIES))
    after, has_failed = dict(state), False
    for _ in range(rng.randint(1, MOST_UPDATES)):
        key, value = _chosen(rng, after)
        is_there = key in after
        kind = rng.choice((MODIFY, MODIFY, DELETE)) if is_there else INSERT
        if kind == DELETE and key[0] in ("member", "group"):  # may be referred to
            kind = MODIFY
        if rng.random() < SOME_FAIL:
            kind, has_failed = INSERT if is_there else MODIFY, True
        elif kind == DELETE:
            del after[key]
        else:
            after[key] = value
        request.updates.append(p4r.Update(type=kind, entity=entity_of(key, value)))
    takes_none = has_failed and request.atomicity != p4r.WriteRequest.CONTINUE_ON_ERROR
    return Batch(request=request, after=state if takes_none else after)


def _chosen(rng: random.Random, state: State) -> tuple[tuple[str, int], tuple[int, ...]]:
    members = [number for kind, number in state if kind == "member"]
    groups = [number for kind, number in state if kind == "group"]
    match rng.choice(("arp", "arp", "arp", "member", "group", "backend")):
        case "group" if members:
            chosen = sorted(rng.sample(members, rng.randint(1, min(4, len(members)))))
            return ("group", rng.randrange(8)), tuple(chosen)
        case "backend" if groups:
            return ("backend", rng.randrange(8)), (rng.choice(groups),)
        case "member":
            return ("member", rng.randrange(30)), (rng.getrandbits(32), rng.getrandbits(16))
        case _:
            return ("arp", rng.randrange(300)), (rng.getrandbits(48),)


def entity_of(key: tuple[str, int], value: tuple[int, ...]) -> p4r.Entity:
    kind, number = key
    made = p4r.Entity()
    match kind:
        case "arp":
            made.table_entry.CopyFrom(_entry(ARP, NETWORK, FIRST_ADDRESS + number))
            made.table_entry.action.action.CopyFrom(_call(ANSWER, *value))
        case "member":
            member = made.action_profile_member
            member.action_profile_id, member.member_id = BACKENDS, FIRST_ID + number
            member.action.CopyFrom(_call(TO_BACKEND, *value))
        case "group":
            group = made.action_profile_group
            group.action_profile_id, group.group_id = BACKENDS, FIRST_ID + number
            for one in value:
                group.members.add(member_id=FIRST_ID + one, weight=1)
        case _:
            made.table_entry.CopyFrom(_entry(BACKEND, FIRST_SERVICE + number))
            made.table_entry.action.action_profile_group_id = FIRST_ID + value[0]
    return made


def _entry(table: int, *keys: int) -> p4r.TableEntry:
    made = p4r.TableEntry(table_id=table)
    for number, key in enumerate(keys, 1):
        made.match.add(field_id=number).exact.value = _bytes(key)
    return made


def _call(action: int, *arguments: int) -> p4r.Action:
    made = p4r.Action(action_id=action)
    for number, argument in enumerate(arguments, 1):
        made.params.add(param_id=number, value=_bytes(argument))
    return made


def _bytes(number: int) -> bytes:
    """The shortest form (specification, section "Bytestrings")."""
    return number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big")


def held(client: Client) -> State:
    """What the device holds of this controller's, by reading everything."""
    found: State = {}
    for entity in client.read("table_entry { }", "action_profile_member { }", "action_profile_group { }"):
        key, value = _known(entity)
        if key is not None:
            found[key] = value
    return found


def _known(entity: p4r.Entity) -> tuple[tuple[str, int] | None, tuple[int, ...]]:
    entry, member, group = entity.table_entry, entity.action_profile_member, entity.action_profile_group
    keys = [int.from_bytes(match.exact.value, "big") for match in entry.match]
    if entry.table_id == ARP and keys[0] == NETWORK:
        return ("arp", keys[1] - FIRST_ADDRESS), _numbers(entry.action.action)
    if entry.table_id == BACKEND and keys[0] >= FIRST_SERVICE:
        return ("backend", keys[0] - FIRST_SERVICE), (entry.action.action_profile_group_id - FIRST_ID,)
    if member.member_id >= FIRST_ID:
        return ("member", member.member_id - FIRST_ID), _numbers(member.action)
    if group.group_id >= FIRST_ID:
        return ("group", group.group_id - FIRST_ID), tuple(sorted(one.member_id - FIRST_ID for one in group.members))
    return None, ()


def _numbers(action: p4r.Action) -> tuple[int, ...]:
    return tuple(int.from_bytes(param.value, "big") for param in action.params)


class Writing:
    """Writes until the device is gone. `pending` is what it holds if it has done the last batch without saying so."""

    def __init__(self, client: Client, rng: random.Random, state: State) -> None:
        self.acknowledged, self.pending = state, state
        self.batches = 0
        self._client, self._rng = client, rng
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """When the device is gone."""
        self._thread.join()

    def _write(self) -> None:
        while True:
            batch = random_batch(self._rng, self.acknowledged)
            self.pending = batch.after
            try:
                self._client.write_request(batch.request)
            except RpcRefusedError as refused:
                if refused.code != "UNKNOWN":
                    return
            self.acknowledged = batch.after
            self.batches += 1
