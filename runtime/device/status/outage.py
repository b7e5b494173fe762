"""What watches ports, and gets no packets while one is down: members of groups, actions of sets, replicas. Pure.

A member or an action whose port is down is out; the copy of a replica leaves by the first of its backups whose port is
up, or is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from compiler.ir.backups import in_use
from compiler.ir.controller import CPU_PORT
from compiler.ir.entries import Replica
from runtime.device.contents import Contents
from runtime.device.records import ActionSet, Row
from runtime.device.slices import PAUSE, Steps
from runtime.device.status.status_pb2 import Out

NAMED = 10
"""So many that are out because of one port are named; all are counted."""
LOOK_AT_ONCE = 1000
IsDown = Callable[[int], bool]


@dataclass(slots=True)
class Watchers:
    """Of one port: how many members, actions and replicas there are, and what they are of while it is down."""

    count: int = 0
    out: list[Out] = field(default_factory=list[Out])


@dataclass(frozen=True, slots=True)
class _Watching:
    """A group, a set, a multicast group or a session; a port for each of its members, 0 where none is watched."""

    kind: str
    of: str
    ports: Sequence[int]
    replicas: tuple[Replica, ...] = ()


def watchers(contents: Contents, is_down: IsDown) -> Steps[dict[int, Watchers]]:
    """By port. What is written meanwhile may be missed; nothing is told that never was."""
    found: dict[int, Watchers] = {}
    for at, one in enumerate(_all(contents)):
        if at % LOOK_AT_ONCE == LOOK_AT_ONCE - 1:
            yield PAUSE
        for port, count in Counter(port for port in one.ports if port not in (0, CPU_PORT)).items():
            held = found.setdefault(port, Watchers())
            held.count += count
            if is_down(port) and len(held.out) < NAMED:
                held.out.append(
                    Out(kind=one.kind, of=one.of + _instead(one, port, is_down), count=count, of_all=len(one.ports))
                )
    return found


def _all(contents: Contents) -> Iterator[_Watching]:
    for selector in contents.selectors.values():
        for group in list(selector.groups.values()):
            named = f"profile {selector.selector.name}, group {group.id}"
            yield _Watching("group", named, [member.watched_port for member in group.members])
    for table in contents.tables.values():
        if table.selector is not None and table.selector.set_count:
            for row in list(table.rows.values()):
                yield _Watching("set", table.codec.shown(row.key), _ports_of_set(row))
    for kind, held in (("multicast group", contents.multicast_groups), ("clone session", contents.clone_sessions)):
        for number, replicated in list(held.items()):
            replicas = replicated.entry.replicas
            yield _Watching(kind, str(number), [replica.port for replica in replicas], replicas)


def _ports_of_set(row: Row) -> Sequence[int]:
    if not isinstance(row.action, ActionSet):
        return ()
    return [one.watch.port if one.watch is not None else 0 for one in row.action.actions]


def _instead(one: _Watching, port: int, is_down: IsDown) -> str:
    """Where copies leave that would leave by a port which is down."""
    replaced = [replica for replica in one.replicas if replica.port == port]
    ports = [replica.port for replica in in_use(replaced, is_down) if replica.port != port]
    return f", by port {' and '.join(map(str, ports))} instead" if ports else ""
