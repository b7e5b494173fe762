"""The file of `turnout device run --rights`, read with positions as policies are.

apiVersion: turnout.dev/v1alpha1
kind: DeviceRights
clients:
- {name: alice, roles: ["", routing]}
- {name: monitor, readOnly: true}
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, ValidationError

from compiler.diagnostic import Report, render_all
from compiler.policy import codes
from compiler.policy.document import MappingNode, Node, node_to_plain, read_documents
from compiler.policy.located import Located
from compiler.policy.model import Model
from compiler.policy.refusals import report_refusals
from runtime.device.rights import Peer, Rights

MAX_BYTES = 1 << 20


class Client(Model):
    field_hints: ClassVar[dict[str, str]] = {"role": "'roles' is a list, such as [routing]"}

    name: Annotated[str, Field(description="The client's common name or alternative name.")]
    roles: tuple[str, ...] | None = None
    read_only: bool = False


class DeviceRights(Model):
    api_version: Literal["turnout.dev/v1alpha1"]
    kind: Literal["DeviceRights"]
    clients: Annotated[tuple[Client, ...], Field(min_length=1, description="Who may connect.")]


class RightsError(Exception):
    """A file that says nothing clear; the text has places, carets and hints."""


def read_rights(path: Path) -> Rights:
    """Raises `RightsError` with every mistake in the file."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1).decode()
    except (OSError, UnicodeDecodeError) as problem:
        raise RightsError(f"cannot read {path}: {getattr(problem, 'strerror', None) or 'not UTF-8'}") from problem
    if len(text) > MAX_BYTES:
        raise RightsError(f"{path} is larger than {MAX_BYTES} bytes")
    report = Report()
    documents = read_documents(str(path), text, report)
    found = _rights(documents, report) if not report.sorted() else None
    if found is None:
        said = render_all(report.sorted(), {str(path): text})
        raise RightsError(said or f"{path}: there has to be one DeviceRights in it")
    return found


def _rights(documents: list[Node], report: Report) -> Rights | None:
    if len(documents) != 1:
        return None
    document = documents[0]
    if not isinstance(document, MappingNode):
        report.add(codes.NOT_AN_OBJECT, document.span, "found no object", expected="an object with apiVersion and kind")
        return None
    try:
        model = DeviceRights.model_validate(node_to_plain(document))
    except ValidationError as error:
        report_refusals(error, DeviceRights, document, report)
        return None
    _check_clients(Located(model, document), report)
    if report.sorted():
        return None
    return Rights({client.name: _peer(client) for client in model.clients})


def _check_clients(located: Located[DeviceRights], report: Report) -> None:
    seen: set[str] = set()
    for number, client in enumerate(located.model.clients):
        span = located.at("clients", number, "name")
        if not client.name:
            report.add(codes.INVALID_VALUE, span, f"clients[{number}].name: it is empty", expected="a name")
        elif client.name in seen:
            report.add(codes.DUPLICATE_OBJECT, span, f"clients[{number}].name: '{client.name}' is there already")
        if client.roles is None and not client.read_only:
            expected = "'roles', the roles that it may have (\"\" is the default role), or 'readOnly: true'"
            report.add(codes.MISSING_FIELD, span, f"clients[{number}] has no right at all", expected=expected)
        seen.add(client.name)


def _peer(client: Client) -> Peer:
    roles = None if client.roles is None else frozenset(client.roles)
    return Peer(name=client.name, roles=roles, is_read_only=client.read_only)
