"""Legal P4 identifiers for the names of a pipeline, each name its own.

Control plane names come from `@name`, so what an identifier looks like matters only to readers. A name that P4 or the
printed program needs itself gets an underscore behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from compiler.ir.names import Names
from compiler.ir.nodes import Pipeline
from compiler.ir.tables import Store, Table
from compiler.span import InternalError

_LEGAL = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


KEYWORDS = _words("""
    abstract action actions apply bit bool break const continue control default else entries enum error exit extern
    exact false for header header_union if in inout int key list lpm match_kind optional out package parser priority
    range return select selector set state string struct switch table ternary this transition true tuple type typedef
    valueset varbit void
""")
PARAMETERS = ("hdr", "meta", "standard", "input", "output", "packet")
"""What the blocks of a program call their parameters."""
_TAKEN = _words("""
    accept reject start headers_t metadata_t sums_t parse verify_checksums prepare process egress_nothing before
    before_main main sum update_checksums deparse KERNEL_PORT CPU_PORT NoAction mark_to_drop digest hash random truncate
    clone resubmit recirculate assert assume log_msg verify verify_checksum update_checksum counter direct_counter
    meter direct_meter register action_selector add_entry set_entry_expire_time restart_expire_timer send_to_port
    drop_packet mirror_packet static_assert allocate_flow_id SelectByDirection
""")
"""What the frames of the programs and the architectures' own declarations are called."""
_MEMBER_NAMES = ("key", "priority", "state", "type")
"""Keywords that a field may have as its name all the same (P4_16 specification, section 6.4.1)."""
_HEADER_METHODS = ("isValid", "setValid", "setInvalid", "minSizeInBytes", "minSizeInBits")


class Scope:
    """Names of one scope; a name given twice gets another identifier the second time."""

    def __init__(self, taken: Iterable[str] = (), *, members: bool = False) -> None:
        self._taken = {*KEYWORDS, *taken}
        if members:
            self._taken.difference_update(_MEMBER_NAMES)

    def allocate(self, name: str) -> str:
        if not _LEGAL.match(name):
            raise InternalError(f"'{name}' cannot be a name in P4")
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def allocate_all(self, names: Iterable[str]) -> dict[str, str]:
        return {name: self.allocate(name) for name in names}

    def copy(self) -> Scope:
        made = Scope()
        made._taken = set(self._taken)
        return made


@dataclass(frozen=True, kw_only=True)
class Identifiers:
    """Identifiers by the IR's names. All that is declared in blocks or at the top shares one scope."""

    tables: Mapping[str, str]
    actions: Mapping[str, str]
    counters: Mapping[str, str]
    selectors: Mapping[str, str]
    direct_counters: Mapping[str, str]
    """By the name of the table."""
    meters: Mapping[str, str]
    direct_meters: Mapping[str, str]
    """By the name of the table."""
    digests: Mapping[str, str]
    """The struct of what v1model tells of a store's new entries, by the store's name."""
    learners: Mapping[str, str]
    """The default action of PNA that learns, by the table's name."""
    controls: Mapping[str, str]
    types: Mapping[str, str]
    reasons: Mapping[str, str]
    profiles: Mapping[tuple[str, str], str]
    """Constants for expiry profiles, by store and profile."""
    top: Scope
    headers: Mapping[str, str]
    fields: Mapping[tuple[str, str], str]
    """By header type and field."""
    metadata: Mapping[str, str]
    metadata_scope: Scope
    states: Mapping[str, str]
    params: Mapping[tuple[str, str], str]
    """By action and parameter."""
    digest_types: Mapping[str, str]
    """The struct of each digest, by its name."""
    translated: Mapping[str, str]
    """Translated types: the one kind of name that P4Info takes from a program as it is."""
    controller_types: Mapping[str, str]
    """The header types of packets to and from controllers, by `packet_in` and `packet_out`."""
    controller_fields: Mapping[tuple[str, str], str]
    """By that, and field."""


def direct_counter_name(table: Table) -> str:
    return f"{table.name}_count"


def direct_meter_name(table: Table) -> str:
    return f"{table.name}_meter"


def digest_name(store: Store) -> str:
    """The name of the digest, and of its struct, by which v1model learns for a store."""
    return f"learn_{store.name}"


def learner_name(table: Table) -> str:
    """The default action by which PNA learns for a table."""
    return f"learn_{table.name}"


def identifiers(pipeline: Pipeline) -> Identifiers:
    """Identifiers for one pipeline; the same for the same pipeline."""
    names, top, metadata = Names(pipeline), Scope((*PARAMETERS, *_TAKEN)), Scope(members=True)
    tables = pipeline.tables
    return Identifiers(
        translated=top.allocate_all(one.name for one in pipeline.types),
        tables=top.allocate_all(table.name for table in tables),
        actions=top.allocate_all(action.name for action in pipeline.actions),
        counters=top.allocate_all(counter.name for counter in pipeline.counters),
        selectors=top.allocate_all(names.selectors),
        direct_counters={t.name: top.allocate(direct_counter_name(t)) for t in tables if t.counter_id is not None},
        meters=top.allocate_all(meter.name for meter in pipeline.meters),
        direct_meters={t.name: top.allocate(direct_meter_name(t)) for t in tables if t.meter is not None},
        digests={store.name: top.allocate(digest_name(store)) for store in pipeline.stores},
        learners={t.name: top.allocate(learner_name(t)) for t in tables if t.store is not None},
        controls=top.allocate_all(control.name for control in pipeline.controls),
        types={t.name: top.allocate(f"{t.name}_t") for t in pipeline.header_types},
        reasons={r.name: top.allocate(f"DROP_{r.name.upper()}") for r in pipeline.drop_reasons},
        profiles={
            (s.name, p.name): top.allocate(f"{s.name.upper()}_{p.name.upper()}")
            for s in pipeline.stores
            for p in s.profiles
        },
        top=top,
        headers=Scope(members=True).allocate_all(header.name for header in pipeline.headers),
        fields=_fields(pipeline),
        metadata=metadata.allocate_all(f.name for f in pipeline.metadata),
        metadata_scope=metadata,
        states=_states(pipeline),
        params=_params(pipeline),
        digest_types=top.allocate_all(digest.name for digest in pipeline.digests),
        controller_types={name: top.allocate(f"{name}_t") for name in pipeline.controller_headers},
        controller_fields={
            (name, field): own
            for name, header in pipeline.controller_headers.items()
            for field, own in Scope(_HEADER_METHODS, members=True).allocate_all(header.names).items()
        },
    )


def _fields(pipeline: Pipeline) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for header_type in pipeline.header_types:
        scope = Scope(_HEADER_METHODS, members=True)
        found.update({(header_type.name, f.name): scope.allocate(f.name) for f in header_type.fields})
    return found


def _states(pipeline: Pipeline) -> dict[str, str]:
    """P4 starts in the state `start`, wherever the pipeline does."""
    first, *rest = pipeline.parser
    scope = Scope(("start", "accept", "reject", *PARAMETERS))
    return {first.name: "start", **scope.allocate_all(state.name for state in rest)}


def _params(pipeline: Pipeline) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for action in pipeline.actions:
        scope = Scope(PARAMETERS)
        found.update({(action.name, p.name): scope.allocate(p.name) for p in action.params})
    return found
