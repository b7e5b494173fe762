"""A switch that floods, mirrors and tells the controller: what packets are copied by, and entries for it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from compiler.ir.entries import ActionCall, Exact, TableEntry
from compiler.ir.nodes import Pipeline
from compiler.ir.text import from_text
from compiler.ir.verifier import check

PATH = Path(__file__).parents[1] / "conformance" / "pipelines" / "replicating.ir"
UNKNOWN_GROUP = 2
"""The reason for which packets to a group without replicas are dropped."""


@cache
def replicating() -> Pipeline:
    return check(from_text(PATH.read_text(), path=PATH.name))


@cache
def naming(sdn: str) -> Pipeline:
    """The same with a type for ports: `sdn` is `string`, or a number of bits."""
    text = PATH.read_text()
    for plain, typed in (
        ("/// Where a packet", f'type port_id: 16 ports {sdn} "turnout.dev/port"\n\n/// Where a packet'),
        ("{ 1 ingress_port: 16 ", "{ 1 ingress_port: 16 type port_id "),
        ("{ 1 egress_port: 16 }", "{ 1 egress_port: 16 type port_id }"),
        ("to_port(1 port: 16)", "to_port(1 port: 16 type port_id)"),
    ):
        assert plain in text, plain
        text = text.replace(plain, typed, 1)
    return check(from_text(text, path=PATH.name))


def mirrored(src: str, session: int) -> TableEntry:
    action = ActionCall(action="mirror_to", arguments=(session,))
    return TableEntry(table="mirrored", matches=(_address(src),), action=action)


def sent(dst: str, action: str, argument: int) -> TableEntry:
    """`to_port`, `to_group` or `flood`."""
    call = ActionCall(action=action, arguments=(argument,))
    return TableEntry(table="destination", matches=(_address(dst),), action=call)


def _address(text: str) -> Exact:
    return Exact(value=int(text.replace(":", ""), 16))
