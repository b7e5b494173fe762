"""Mutants with a name, written by hand: faults that people make, and some that were made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from compiler.ir.expressions import Binary, Const, FieldRef, MetaRef, NetworkLength, Operator
from compiler.ir.nodes import Control, Pipeline
from compiler.ir.statements import Apply, Assign, If, Rewrite, Seek, Statement
from compiler.ir.tables import Action, Table
from compiler.pipeline.headers import TCP_RST
from runtime.bpf.chains import Hook
from tests.mutation.mutant import PRINTED, ChangedPipeline, SubstitutedText

Named = TypeVar("Named", Control, Action, Table)


def _with(found: tuple[Named, ...], name: str, change: Callable[[Named], Named]) -> tuple[Named, ...]:
    assert any(each.name == name for each in found), name
    return tuple(change(each) if each.name == name else each for each in found)


def _in_action(name: str, change: Callable[[Statement], tuple[Statement, ...]]) -> Callable[[Pipeline], Pipeline]:
    def changed(pipeline: Pipeline) -> Pipeline:
        return replace(
            pipeline, actions=_with(pipeline.actions, name, lambda a: replace(a, body=_mapped(a.body, change)))
        )

    return changed


def _in_control(name: str, change: Callable[[Statement], tuple[Statement, ...]]) -> Callable[[Pipeline], Pipeline]:
    def changed(pipeline: Pipeline) -> Pipeline:
        return replace(
            pipeline, controls=_with(pipeline.controls, name, lambda c: replace(c, body=_mapped(c.body, change)))
        )

    return changed


def _mapped(body: tuple[Statement, ...], change: Callable[[Statement], tuple[Statement, ...]]) -> tuple[Statement, ...]:
    """Each statement replaced by what `change` makes of it, inner ones first."""
    made: list[Statement] = []
    for statement in body:
        match statement:
            case If():
                then, otherwise = _mapped(statement.then, change), _mapped(statement.otherwise, change)
                made += change(replace(statement, then=then, otherwise=otherwise))
            case Apply():
                on_hit, on_miss = _mapped(statement.on_hit, change), _mapped(statement.on_miss, change)
                made += change(replace(statement, on_hit=on_hit, on_miss=on_miss))
            case _:
                made += change(statement)
    return tuple(made)


def _swap_sources(statement: Statement) -> tuple[Statement, ...]:
    """Give new_src what new_dst should get, and the other way round."""
    if not isinstance(statement, Assign) or not isinstance(statement.target, MetaRef):
        return (statement,)
    others = {"new_src_ipv4": "new_dst_ipv4", "new_dst_ipv4": "new_src_ipv4"}
    name = others.get(statement.target.name, statement.target.name)
    return (replace(statement, target=replace(statement.target, name=name)),)


def _keep_port(statement: Statement) -> tuple[Statement, ...]:
    """Rewrite addresses, but not the destination port of TCP."""
    if not isinstance(statement, Rewrite):
        return (statement,)
    kept = tuple(c for c in statement.changes if (c.target.header, c.target.name) != ("tcp", "dst_port"))
    return (replace(statement, changes=kept),)


def _keep_hops(statement: Statement) -> tuple[Statement, ...]:
    """Never count the hop limit down."""
    is_hop = isinstance(statement, Rewrite) and statement.changes[0].target.name == "hop_limit"
    return () if is_hop else (statement,)


def _reverse_of_packet(statement: Statement) -> tuple[Statement, ...]:
    """Expect replies from the service instead of from the backend."""
    if not isinstance(statement, Assign) or not isinstance(statement.target, MetaRef):
        return (statement,)
    if statement.target.name != "reverse_src_ipv4" or isinstance(statement.value, FieldRef):
        return (statement,)
    return (replace(statement, value=FieldRef(header="ipv4", name="dst", width_bits=32)),)


def _any_network(statement: Statement) -> tuple[Statement, ...]:
    """Send to next hops of all networks."""
    is_check = isinstance(statement, If) and "egress_network" in repr(statement.condition)
    return () if is_check else (statement,)


def _network_1(pipeline: Pipeline) -> Pipeline:
    """Find the services of network 1 from everywhere."""
    one = Const(value=1, width_bits=16)

    def changed(table: Table) -> Table:
        keys = (replace(key, expr=one) if key.name == "network" else key for key in table.keys)
        return replace(table, keys=tuple(keys))

    return replace(pipeline, tables=_with(pipeline.tables, "service_ipv4", changed))


def _too_big_at_once(statement: Statement) -> tuple[Statement, ...]:
    """Call a packet of exactly the MTU too big."""
    if not isinstance(statement, If) or not isinstance(statement.condition, Binary):
        return (statement,)
    if not isinstance(statement.condition.left, NetworkLength):
        return (statement,)
    return (replace(statement, condition=replace(statement.condition, operator=Operator.GE)),)


def _one_try(statement: Statement) -> tuple[Statement, ...]:
    """Give up looking for a source port as soon as the first other one is taken as well."""
    return (replace(statement, tries=1),) if isinstance(statement, Seek) else (statement,)


def _no_reset(statement: Statement) -> tuple[Statement, ...]:
    """Take what ends an association at once for any other chunk."""
    is_reset = isinstance(statement, Assign) and statement.value == Const(value=TCP_RST, width_bits=8)
    return () if is_reset else (statement,)


def _answer_probes(statement: Statement) -> tuple[Statement, ...]:
    """Answer ARP whoever asks."""
    if isinstance(statement, If):
        return statement.then
    return (statement,)


NAMED: tuple[ChangedPipeline | SubstitutedText, ...] = (
    ChangedPipeline(
        name="src and dst swapped in translate_reply", change=_in_action("translate_reply_ipv4", _swap_sources)
    ),
    ChangedPipeline(name="port rewrite forgotten", change=_in_control("send_ipv4", _keep_port)),
    ChangedPipeline(name="hop limit not decremented", change=_in_control("send_ipv6", _keep_hops)),
    ChangedPipeline(name="wrong reverse key", change=_in_control("decide_ipv4", _reverse_of_packet)),
    ChangedPipeline(name="source port sought once", change=_in_control("connection_ipv4", _one_try)),
    ChangedPipeline(name="network not compared on the way out", change=_in_control("forward", _any_network)),
    ChangedPipeline(name="network left out of the service key", change=_network_1, hook=Hook.XDP),
    ChangedPipeline(name="any ARP answered", change=_in_control("answer_arp", _answer_probes), hook=Hook.XDP),
    ChangedPipeline(name="MTU compared with >=", change=_in_control("check_ipv4", _too_big_at_once)),
    SubstitutedText(
        name="checksum difference with the wrong sign",
        file="checksum.h",
        old="return (u64)~from + to;\n}\n\nstatic __always_inline u64 changed_u48",
        new="return (u64)from + (u32)~to;\n}\n\nstatic __always_inline u64 changed_u48",
    ),
    SubstitutedText(
        name="transitions one row off",
        file=PRINTED,
        old="[CONNECTIONS_IPV4_OPEN] = 1 << CONNECTIONS_IPV4_TCP_CLOSING",
        new="[CONNECTIONS_IPV4_OPEN] = 1 << CONNECTIONS_IPV4_TCP_ESTABLISHED",
    ),
    SubstitutedText(
        name="a victim goes on counting",
        file="flow_change.h",
        old="	FLOW(uncount)(slot);\n	u32 standing",
        new="	u32 standing",
    ),
    SubstitutedText(
        name="a connection that is over goes on counting",
        file="flow_table.h",
        old="		FLOW(recount_one)(was, head, has_moved > 1 ? other_head : 0, after);\n",
        new="",
        hook=Hook.XDP,
    ),
    SubstitutedText(
        name="youngest instead of oldest victim",
        file="flow_change.h",
        old="u64 youth = 0x80000001u - FLOW(age_ms)(slot, entry->now_ms);",
        new="u64 youth = 1u + FLOW(age_ms)(slot, entry->now_ms);",
    ),
    SubstitutedText(
        name="a slot that is another's made ready",
        file="flow_change.h",
        old="if (slot && score != FLOW_SCORE_NONE)",
        new="if (slot)",
    ),
    SubstitutedText(
        name="expires a millisecond late",
        file="flow_change.h",
        old="FLOW(age_ms)(slot, now_ms) >= FLOW(timeout_ms)[profile]",
        new="FLOW(age_ms)(slot, now_ms) > FLOW(timeout_ms)[profile]",
        hook=Hook.XDP,
    ),
    ChangedPipeline(name="an ABORT is data", change=_in_control("read_sctp_ipv4", _no_reset)),
    SubstitutedText(
        name="CRC32c of an even length",
        file="crc32c.h",
        old="for (u32 i = 0; i < CRC32C_POWERS; i++)",
        new="for (u32 i = 1; i < CRC32C_POWERS; i++)",
    ),
    SubstitutedText(
        name="CRC32c that is left to the card updated", file="crc32c.h", old="if (old) {", new="if (old || position) {"
    ),
    SubstitutedText(
        name="UDP checksum of zero sent",
        file="packet_xdp.h",
        old="(flags & CHECKSUM_MAY_BE_NONE) && !now ? 0xffff : now",
        new="now",
        hook=Hook.XDP,
    ),
    SubstitutedText(
        name="missing UDP checksum updated",
        file="packet_xdp.h",
        old="if ((flags & CHECKSUM_MAY_BE_NONE) && !now)\n\t\treturn;",
        new="",
        hook=Hook.XDP,
    ),
)
