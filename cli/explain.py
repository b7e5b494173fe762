"""`turnout explain`: what becomes of a packet, and of a service, on the devices as they are now."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from cli.console import Output, fail, say
from cli.devices import TlsCa, TlsCert, TlsKey, client_tls
from compiler.pipeline.assembly import pipeline
from compiler.policy.loading import load
from compiler.policy.policyset import Protocol
from runtime.applied import AppliedError, applied_folder, read_applied
from runtime.client.errors import ClientError
from runtime.explanation import serviceview, telling
from runtime.explanation.fleet import Fleet, Placed, placed_by_policies, placed_by_records
from runtime.explanation.question import Packet, QuestionError, question_of
from runtime.explanation.seeds import seed_of
from runtime.explanation.walking import explain as walk


class ProtocolName(StrEnum):
    """How `--protocol` is written."""

    TCP = "tcp"
    UDP = "udp"
    SCTP = "sctp"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """An answer, for people and for programs."""

    lines: tuple[str, ...]
    plain: dict[str, Any]


def explain(
    subject: Annotated[
        str,
        typer.Argument(
            metavar="SRC|SERVICE",
            help="The sending workload, by name or address; alone: a service, as NAMESPACE/NAME or NAME.",
        ),
    ],
    destination: Annotated[
        str | None,
        typer.Argument(metavar="DST:PORT", help="ADDRESS:PORT, [IPV6]:PORT, or a service or workload as NAME:PORT."),
    ] = None,
    protocol: Annotated[
        ProtocolName | None, typer.Option(help="Default: that of the service's port, else tcp.")
    ] = None,
    source_port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65_535, help="Of a connection that may be known. Without it: a new one, from any port."
        ),
    ] = None,
    flags: Annotated[str, typer.Option(help="Of TCP, letters of F, S, R, P, A.")] = "S",
    ipv6: Annotated[bool, typer.Option("--ipv6", "-6", help="Where names have addresses of both families.")] = False,
    device: Annotated[
        list[str] | None,
        typer.Option(help="Only this device, by NAME, or at another address, by NAME=ADDRESS; may be repeated."),
    ] = None,
    policies: Annotated[
        list[Path] | None,
        typer.Option("--policies", help="Policies to explain by, instead of those that were applied from here."),
    ] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="How to print.")] = Output.TABLE,
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
) -> None:
    """Walk a packet through the live tables of devices and tell what decides; or tell of a service what becomes of it.

    Nothing is sent, and nothing is changed: the interpreter does what the devices would do.
    """
    tls = client_tls(tls_ca, tls_cert, tls_key)
    try:
        with Fleet(_placed(policies or [], device or []), pipeline(), seed_of, tls=tls, waits=say) as fleet:
            if destination is None:
                told = _service(fleet, subject)
            else:
                packet = Packet(
                    source=subject,
                    destination=destination,
                    protocol=None if protocol is None else Protocol[protocol.name],
                    source_port=source_port,
                    flags=_checked_flags(flags),
                    wants_ipv6=ipv6,
                )
                told = _packet(fleet, packet)
    except (AppliedError, ClientError, QuestionError) as problem:
        raise fail(str(problem)) from problem
    _print(told, output)


def _packet(fleet: Fleet, packet: Packet) -> _Told:
    explained = walk(question_of(packet, fleet.views), fleet.device)
    return _Told(lines=tuple(telling.lines(explained)), plain=telling.plain(explained))


def _service(fleet: Fleet, name: str) -> _Told:
    view = serviceview.view_of(name, fleet)
    return _Told(lines=tuple(serviceview.lines(view)), plain=serviceview.plain(view))


def _placed(policies: list[Path], wanted: list[str]) -> dict[str, Placed]:
    """The devices by name, of policies or of what was applied; those that are wanted, at the addresses given."""
    if policies:
        loaded = load(policies)
        if loaded.is_refused:
            raise QuestionError(f"the policies are refused; `turnout check` explains:\n{loaded.render()}")
        known = placed_by_policies(loaded)
        nobody = "these policies have no Device"
    else:
        folder = applied_folder()
        known = placed_by_records(read_applied(folder).values())
        nobody = (
            f"nothing was applied from here ({folder} has no record); `turnout apply` records it, or give --policies"
        )
    if not known:
        raise QuestionError(nobody)
    return _chosen(known, wanted) if wanted else known


def _chosen(known: Mapping[str, Placed], wanted: Iterable[str]) -> dict[str, Placed]:
    chosen: dict[str, Placed] = {}
    for name, _, address in (word.partition("=") for word in wanted):
        if name not in known:
            raise QuestionError(f"nothing was applied to a device '{name}' from here; known: {', '.join(known)}")
        placed = known[name]
        chosen[name] = replace(placed, device=replace(placed.device, address=address)) if address else placed
    return chosen


def _checked_flags(letters: str) -> str:
    if not letters or set(letters.upper()) - set("FSRPA"):
        raise QuestionError(f"'{letters}' are no flags of TCP: write letters of F, S, R, P, A, as in SA")
    return letters.upper()


def _print(told: _Told, output: Output) -> None:
    match output:
        case Output.TABLE:
            sys.stdout.write("".join(f"{line}\n" for line in told.lines))
        case Output.JSON:
            sys.stdout.write(json.dumps(told.plain, indent=2) + "\n")
        case Output.YAML:
            yaml.safe_dump(told.plain, sys.stdout, sort_keys=False, allow_unicode=True)
