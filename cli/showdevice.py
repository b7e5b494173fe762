"""`turnout show device`: what devices are and how they are, as text for people and as documents for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence

import yaml
from google.protobuf.message import Message

from cli.console import Output, fail, print_rows
from runtime.client.channels import ClientTls
from runtime.client.devicestatus import read_status, starting_words
from runtime.client.errors import ClientError
from runtime.device.status import status_pb2 as told

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400


def show_devices(devices: Iterable[str], tls: ClientTls | None, output: Output) -> None:
    """`devices` are addresses. Ends the command when one does not answer; nothing is printed then."""
    try:
        found = [read_status(address, tls) for address in devices]
    except ClientError as error:
        raise fail(str(error)) from error
    match output:
        case Output.JSON:
            sys.stdout.write(json.dumps([document(one) for one in found], indent=2) + "\n")
        case Output.YAML:
            yaml.safe_dump([document(one) for one in found], sys.stdout, sort_keys=False, allow_unicode=True)
        case Output.TABLE:
            for at, one in enumerate(found):
                sys.stdout.write("\n" if at else "")
                _print(one)


def document(message: Message) -> dict[str, object]:
    """Every field by its name, numbers as numbers; None for an optional one that is not there."""
    made: dict[str, object] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if field.message_type is None:
            made[field.name] = value if not field.has_presence or message.HasField(field.name) else None
            made[field.name] = list(value) if _is_repeated(value) else made[field.name]
        else:
            made[field.name] = [document(one) for one in value] if _is_repeated(value) else _within(message, field.name)
    return made


def _within(message: Message, name: str) -> dict[str, object] | None:
    return document(getattr(message, name)) if message.HasField(name) else None


def _is_repeated(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _print(device: told.Device) -> None:
    for line in summary(device):
        print(line)
    for title, columns, rows in sections(device):
        print(f"\n{title}")
        print_rows(columns, rows, Output.TABLE)


def summary(device: told.Device) -> Iterable[str]:
    """What is said in sentences, a line each."""
    yield (
        f"device {device.name} (id {device.device_id}), {device.target} target, Turnout {device.version}, "
        f"process {device.process}, running for {duration(device.running_s)}"
    )
    if device.HasField("starting"):
        yield f"it starts: it {starting_words(device.starting)}; since {duration(device.starting.since_s)}"
    elif not device.pipelines:
        yield "no pipeline yet"
    for one in device.pipelines:
        cookie = f"cookie {one.cookie}" if one.HasField("cookie") else "no cookie"
        saved = "saved, not committed: " if one.is_saved else ""
        yield f"{saved}pipeline {one.name} {one.version}, {cookie}, layout {one.layout}"
    yield from _start(device.start)
    for activity in device.activities:
        since = f", for {duration(activity.since_s)}" if activity.since_s else ""
        waiting = f", {activity.waiting} wait for its end" if activity.waiting else ""
        yield f"under way: {activity.what}{since}{waiting}"


def _start(start: told.Start) -> Iterable[str]:
    yield f"at its start its folder had {start.found}" if start.found else "it does not say how it began"
    for placed in start.placed:
        how = "goes on with the maps of an earlier process" if placed.goes_on else "was filled anew"
        found = "" if placed.findings else "; nothing was found otherwise"
        yield (
            f"  pipeline {placed.pipeline} {how}: {placed.entries} entries, {placed.members} members, "
            f"{placed.groups} groups of the journal{found if placed.goes_on else ''}"
        )
        yield from (f"  found otherwise, and mended: {finding.text}" for finding in placed.findings)
    yield from (f"  {remark}" for remark in start.remarks)


def sections(device: told.Device) -> Iterable[tuple[str, Sequence[str], Sequence[Mapping[str, object]]]]:
    """What is said in tables: title, columns, rows. One without rows is left out."""
    every = (
        ("Ports", ("port", "name", "interface", "link", "watched_by", "out"), [*map(_port, device.ports)]),
        ("Clients with a stream", ("client", "role", "election_id", "is", "unread"), [*map(_client, device.clients)]),
        ("Roles", ("role", "highest_election_id", "primary", "rights"), [*map(_role, device.roles)]),
        ("In use", ("what", "of", "used", "limit", "percent"), _usage(device.usage)),
        ("Refused since the start", ("what", "code", "count"), [document(one) for one in device.refusals]),
        ("Clients that met a limit", ("client", "count", "what"), [document(one) for one in device.complaints]),
    )
    return (section for section in every if section[2])


def _port(port: told.Port) -> dict[str, object]:
    out = "; ".join(f"{one.count} of {one.of_all} of {one.kind} {one.of}" for one in port.out)
    return {
        "port": port.number,
        "name": port.name,
        "interface": port.interface,
        "link": "up" if port.is_up else "down",
        "watched_by": port.watchers,
        "out": out,
    }


def _client(client: told.Client) -> dict[str, object]:
    standing = "primary" if client.is_primary else "backup" if client.has_arbitrated else "not arbitrated"
    return {
        "client": client.name,
        "role": client.role or ("(default)" if client.has_arbitrated else ""),
        "election_id": client.election_id,
        "is": standing,
        "unread": client.waiting,
    }


def _role(role: told.Role) -> dict[str, object]:
    return {
        "role": role.name or "(default)",
        "highest_election_id": role.highest,
        "primary": "yes" if role.has_primary else "no",
        "rights": "as its config says" if role.is_limited else "all",
    }


def _usage(usage: Iterable[told.Usage]) -> list[dict[str, object]]:
    """What is nearest to its limit first; what is not used at all is left out."""
    used = sorted((one for one in usage if one.used), key=lambda one: (-one.used / one.limit, one.what, one.of))
    return [{**document(one), "percent": f"{100 * one.used / one.limit:.1f}"} for one in used]


def duration(seconds: float) -> str:
    """In the two largest units that it has."""
    whole = int(seconds)
    if whole >= DAY_S:
        return f"{whole // DAY_S} d {whole % DAY_S // HOUR_S} h"
    if whole >= HOUR_S:
        return f"{whole // HOUR_S} h {whole % HOUR_S // MINUTE_S} min"
    if whole >= MINUTE_S:
        return f"{whole // MINUTE_S} min {whole % MINUTE_S} s"
    return f"{seconds:.1f} s"
