"""What a device is and how it is, gathered from its parts into one message. Changes nothing, and waits for nobody.

Called on the event loop, also in the midst of a batch: counts are those of the moment. What there may be much of is
gone through in slices.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib.metadata import version

from compiler.ir.controller import CPU_PORT
from compiler.printers.layout import layout
from runtime.device.admission import Admission
from runtime.device.arbitration import MAX_CLIENTS, MAX_ROLES
from runtime.device.complaints import Complaints
from runtime.device.findings import NAMED, Finding, Found, Start
from runtime.device.limits import Limits
from runtime.device.loaded import Loaded
from runtime.device.portnames import PortNames
from runtime.device.service import Parts
from runtime.device.slices import Steps
from runtime.device.status import status_pb2 as told
from runtime.device.status.outage import Watchers, watchers
from runtime.device.status.usage import usage_of
from runtime.device.target import Target

LAYOUT_DIGITS = 12
_KINDS = {Finding.MISSING: "missing", Finding.EXTRA: "extra", Finding.DIFFERENT: "different"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reporter:
    """Of one device."""

    name: str
    device_id: int
    target: Target
    ports: PortNames
    start: Start
    admission: Admission
    complaints: Complaints
    limits: Limits
    begun_s: float = field(default_factory=time.monotonic)

    def device(self, parts: Parts | None, starting: told.Starting | None) -> Steps[told.Device]:
        """Without `parts` while it is `starting`: there are no more than ports, RPCs and what was found so far."""
        found: dict[int, Watchers] = {}
        if parts is not None and parts.configs.committed is not None:
            found = yield from watchers(parts.configs.committed.contents, self.target.port_states.is_down)
        made = told.Device(
            name=self.name,
            device_id=self.device_id,
            target=self.target.name,
            version=version("turnout"),
            process=os.getpid(),
            running_s=time.monotonic() - self.begun_s,
            ports=self._ports(found),
            refusals=_refusals(self.complaints),
            complaints=_complaints(self.complaints),
            start=_start(self.start),
            starting=starting,
        )
        if parts is not None:
            made.pipelines.extend(_pipelines(parts))
            made.clients.extend(_clients(parts))
            made.roles.extend(_roles(parts))
            made.usage.extend(_usage(parts))
            made.activities.extend(_activities(parts))
        made.usage.extend(self._usage_of_clients())
        return made

    def _ports(self, found: dict[int, Watchers]) -> Iterator[told.Port]:
        """Those that were given to the device, and those that something else watches: they are none."""
        names = {port.id: port.name for port in self.ports.ports if port.id != CPU_PORT}
        states = self.target.port_states
        for number in sorted(names.keys() | found.keys() | (states.down & names.keys())):
            held = found.get(number, Watchers())
            yield told.Port(
                number=number,
                name=names.get(number, ""),
                interface=self.target.interface(number) or "",
                is_up=not states.is_down(number),
                watchers=held.count,
                out=held.out,
            )

    def _usage_of_clients(self) -> Iterator[told.Usage]:
        for client in self.admission:
            yield told.Usage(what="RPCs", of=client.name, used=client.calls, limit=self.limits.calls)
            yield told.Usage(what="reads", of=client.name, used=client.reads, limit=self.limits.reads)
        largest = self.admission.largest_bytes
        yield told.Usage(what="bytes of the largest request", used=largest, limit=self.limits.message_bytes)


def counts_of(parts: Parts) -> told.Counts:
    """Of the pipeline that packets pass: how many known connections count for each member, in order."""
    made, committed = told.Counts(), parts.configs.committed
    for profile, counts in sorted(committed.instance.counted().items()) if committed is not None else ():
        for member, connections in sorted(counts.items()):
            made.counts.add(profile=profile, member_id=member, connections=connections)
    return made


def _pipelines(parts: Parts) -> Iterator[told.Pipeline]:
    for loaded, is_saved in ((parts.configs.committed, False), (parts.configs.saved, True)):
        if loaded is not None:
            yield _pipeline(loaded, is_saved=is_saved)


def _clients(parts: Parts) -> Iterator[told.Client]:
    for stream, standing in parts.streams:
        made = told.Client(name=stream.name, waiting=len(stream.outbox), has_arbitrated=standing is not None)
        if standing is not None:
            made.role, made.is_primary = standing.role, standing.is_primary
            made.election_id = _decimal(standing.election_id)
        yield made


def _roles(parts: Parts) -> Iterator[told.Role]:
    for role in parts.arbitration.roles():
        yield told.Role(
            name=role.name,
            highest=_decimal(role.highest),
            has_primary=role.has_primary,
            is_limited=role.is_limited,
        )


def _usage(parts: Parts) -> Iterator[told.Usage]:
    """Of the pipeline that reads and writes go to, then of what clients have to share."""
    current = parts.configs.saved or parts.configs.committed
    if current is not None:
        yield from usage_of(current)
    roles = parts.arbitration.roles()
    yield told.Usage(what="roles", used=len(roles), limit=MAX_ROLES)
    for role in roles:
        of = f"role {role.name}" if role.name else "the default role"
        yield told.Usage(what="streams", of=of, used=role.streams, limit=MAX_CLIENTS)


def _activities(parts: Parts) -> Iterator[told.Activity]:
    changing, configs = parts.changing, parts.configs
    if changing.doing:
        since_s = time.monotonic() - changing.since_s
        yield told.Activity(what=changing.doing, since_s=since_s, waiting=changing.waiting)
    if parts.compaction.is_running:
        yield told.Activity(what="a snapshot of the journal is written")
    for loaded in (configs.committed, configs.saved):
        for what in loaded.instance.unfinished if loaded is not None else ():
            yield told.Activity(what=what)


def _pipeline(loaded: Loaded, *, is_saved: bool) -> told.Pipeline:
    shape = repr(layout(loaded.pipeline)).encode()
    made = told.Pipeline(
        name=loaded.pipeline.name,
        version=loaded.pipeline.version,
        is_saved=is_saved,
        layout=hashlib.sha256(shape).hexdigest()[:LAYOUT_DIGITS],
    )
    if loaded.config.HasField("cookie"):
        made.cookie = loaded.config.cookie.cookie
    return made


def _refusals(complaints: Complaints) -> Iterable[told.Refusal]:
    for (what, code), count in sorted(complaints.refusals.items()):
        yield told.Refusal(what=what, code=code, count=count)


def _complaints(complaints: Complaints) -> Iterable[told.Complaint]:
    for (client, what), count in sorted(complaints.counts.items()):
        yield told.Complaint(client=client, what=what, count=count)


def _start(start: Start) -> told.Start:
    made = told.Start(found=start.folder, remarks=start.remarks)
    for one in start.placed:
        placed = made.placed.add(pipeline=one.pipeline, goes_on=one.goes_on, **one.counts)
        placed.findings.extend(map(_finding, one.found))
    return made


def _finding(found: Found) -> told.Finding:
    return told.Finding(
        part=found.part,
        kind=_KINDS[found.finding],
        count=len(found.entries),
        entries=found.entries[:NAMED],
        text=found.text,
    )


def _decimal(election_id: int | None) -> str:
    return "" if election_id is None else str(election_id)
