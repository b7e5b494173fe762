"""What of a pipeline has a P4Runtime id, by that id; tables as codecs, which are made once for each pipeline.

No P4Info is looked at per entry: a table's codec holds everything that decoding one of its entries needs. Says nothing
about what is in the tables; that is `runtime.device.contents`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from finsy.proto import p4r

from compiler.ir.controller import Digest
from compiler.ir.entries import (
    ActionCall,
    EntryKey,
    Exact,
    GroupRef,
    Lpm,
    MatchValue,
    Optional,
    Range,
    TableEntry,
    Ternary,
    numbers_of,
)
from compiler.ir.nodes import Pipeline
from compiler.ir.statements import ExecuteDirect
from compiler.ir.tables import Action, Counter, Meter, Selector, Table
from compiler.ir.walking import statements
from compiler.span import InternalError
from runtime.device.actioncodec import ActionChoice, action_choice
from runtime.device.keyforms import KeyForm
from runtime.device.matchcodec import MatchCodec, match_codec
from runtime.device.portnames import NO_PORTS, PortNames
from runtime.device.records import ActionSet, Row, RowAction, RowKey
from runtime.device.refusals import invalid
from runtime.device.rowactions import RowActionCodec, id_of
from runtime.device.translation import NO_TRANSLATIONS, Ports, Translations, translations
from runtime.device.wireforms import TableForm, has_form
from runtime.device.wiremembers import MemberForm, member_form
from runtime.device.wirerows import RowForm


@dataclass(frozen=True, kw_only=True)
class TableCodec:
    """One table: `p4.v1.TableEntry` to a `Row` and back.

    The forms of its entries' bytes are made when somebody asks for them: a client has no use for most of them.
    """

    table: Table
    actions: Mapping[str, Action]
    """By name, the table's and maybe more."""
    matches: tuple[MatchCodec, ...]
    positions: Mapping[int, int]
    """Place in `matches` by field id."""
    wildcards: tuple[MatchValue | None, ...]
    keys: KeyForm
    choice: ActionChoice
    row_actions: RowActionCodec
    metering: frozenset[str] = frozenset()
    """The actions that execute the table's direct meter."""
    ports: Ports | None = None
    """Of ports that members watch, where the pipeline translates ports."""

    @cached_property
    def form(self) -> TableForm | None:
        """Recognises most entries without reading them field by field."""
        return TableForm(self.table, self.actions, self.keys, self.row_actions.decode) if self._has_forms else None

    @cached_property
    def rows(self) -> RowForm | None:
        """Writes them without making messages, where `form` reads them so."""
        return RowForm(self.table, self.actions, self.row_actions.to_bytes) if self._has_forms else None

    @cached_property
    def members(self) -> MemberForm | None:
        """Recognises members of its selector so."""
        return member_form(self.table, self.actions)

    @property
    def _has_forms(self) -> bool:
        return has_form(self.table, self.actions)

    @property
    def name(self) -> str:
        return self.table.name

    @property
    def is_learned(self) -> bool:
        return self.table.store is not None

    @property
    def has_priority(self) -> bool:
        return self.keys.has_priority

    def decode_key(self, entry: p4r.TableEntry) -> RowKey:
        """Matches and priority. Raises INVALID_ARGUMENT."""
        matches = self.decode_matches(entry.match)
        return self.keys.key_of(matches, self.decode_priority(entry.priority))

    def decode_action(self, action: p4r.TableAction) -> RowAction:
        """Raises INVALID_ARGUMENT, PERMISSION_DENIED (an action that is only a default), UNIMPLEMENTED."""
        return self.row_actions.decode(action)

    def decode_default(self, action: p4r.TableAction) -> ActionCall:
        """The action of a default entry. Raises INVALID_ARGUMENT, PERMISSION_DENIED (an action only for entries)."""
        if action.WhichOneof("type") != "action":
            raise invalid(f"table {self.name}: the default entry carries an action")
        return self.choice.decode_for_default(action.action)

    def encode(self, row: Row) -> p4r.TableEntry:
        """The entry as it was written, but for its meter."""
        entry = p4r.TableEntry(
            table_id=self.table.id,
            match=self.encode_matches(self.keys.matches_of(row.key)),
            priority=self.keys.priority_of(row.key),
            metadata=row.metadata,
        )
        if row.idle_timeout_ns:
            entry.idle_timeout_ns = row.idle_timeout_ns
        if row.controller_metadata:
            entry.controller_metadata = row.controller_metadata  # pyright: ignore[reportDeprecated]
        self.row_actions.encode_into(entry.action, row.action)
        return entry

    def encode_matches(self, matches: tuple[MatchValue, ...]) -> Iterable[p4r.FieldMatch]:
        encoded = (codec.encode(value) for codec, value in zip(self.matches, matches, strict=True))
        return [message for message in encoded if message is not None]

    def encode_default(self, modified: Row | None = None) -> p4r.TableEntry:
        """The default entry, as the pipeline has it or as it was modified."""
        row = modified or Row(b"", self.table.default_call)
        entry = p4r.TableEntry(
            table_id=self.table.id,
            is_default_action=True,
            is_const=self.table.has_const_default,
            metadata=row.metadata,
        )
        if row.controller_metadata:
            entry.controller_metadata = row.controller_metadata  # pyright: ignore[reportDeprecated]
        self.row_actions.encode_into(entry.action, row.action)
        return entry

    def default_entry(self, modified: Row | None) -> TableEntry:
        """What the target is given."""
        action = self.table.default_call if modified is None else modified.action
        if not isinstance(action, ActionCall):
            raise InternalError(f"table {self.name}: its default entry is no action")
        return TableEntry(table=self.name, matches=(), action=action)

    @property
    def default_key(self) -> EntryKey:
        return EntryKey(table=self.name, matches=())

    def check_default_key(self, entry: p4r.TableEntry) -> None:
        """Raises INVALID_ARGUMENT for a default entry that names another as well."""
        if entry.match or entry.priority:
            raise invalid(f"table {self.name}: the default entry has neither match fields nor a priority")

    @property
    def counts_misses(self) -> bool:
        """Whether the default entry has a direct counter."""
        return self.table.counter_id is not None and not self.table.has_const_default

    def entry_key(self, key: RowKey) -> EntryKey:
        return EntryKey(table=self.name, matches=self.keys.matches_of(key), priority=self.keys.priority_of(key))

    def entry(self, row: Row) -> TableEntry:
        """What the target is given: an action set is the hidden group that stands for it."""
        action = GroupRef(group_id=row.hidden_group) if isinstance(row.action, ActionSet) else row.action
        key = self.entry_key(row.key)
        return TableEntry(table=self.name, matches=key.matches, action=action, priority=key.priority, meter=row.meter)

    def shown(self, key: RowKey) -> str:
        """An entry's key for a text."""
        named = self.entry_key(key)
        fields = (
            f"{codec.name}={_shown(value, codec)}" for codec, value in zip(self.matches, named.matches, strict=True)
        )
        return f"table {self.name}, entry {', '.join(fields)}" + (
            f" priority {named.priority}" if self.has_priority else ""
        )

    def decode_matches(self, given: Iterable[p4r.FieldMatch]) -> tuple[MatchValue, ...]:
        values = list(self.wildcards)
        seen: set[int] = set()
        for message in given:
            position = self.positions.get(message.field_id)
            if position is None:
                raise invalid(f"table {self.name} has no match field of id {message.field_id}")
            if position in seen:
                raise invalid(f"{self.matches[position].where}: is given twice")
            seen.add(position)
            values[position] = self.matches[position].decode(message)
        return tuple(self._present(position, value) for position, value in enumerate(values))

    def _present(self, position: int, value: MatchValue | None) -> MatchValue:
        if value is None:
            raise invalid(f"{self.matches[position].where}: is missing, and an exact field cannot be left out")
        return value

    def decode_priority(self, priority: int) -> int:
        if self.has_priority and priority <= 0:
            raise invalid(f"table {self.name}: an entry needs a priority above 0, given is {priority}")
        if not self.has_priority and priority:
            raise invalid(f"table {self.name}: an entry has no priority (only exact and lpm fields), given {priority}")
        return priority


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """All of a pipeline that has an id."""

    pipeline: Pipeline
    tables: Mapping[int, TableCodec]
    selectors: Mapping[int, TableCodec]
    """By action profile id: the one table that the selector belongs to."""
    counters: Mapping[int, Counter]
    meters: Mapping[int, Meter]
    digests: Mapping[int, Digest]
    translations: Translations

    def table(self, table_id: int) -> TableCodec:
        """Raises INVALID_ARGUMENT."""
        found = self.tables.get(id_of(table_id, "table id"))
        if found is None:
            raise invalid(f"the pipeline has no table of id {table_id:#010x}")
        return found

    def selector(self, profile_id: int) -> tuple[Selector, TableCodec]:
        """Raises INVALID_ARGUMENT."""
        found = self.selectors.get(id_of(profile_id, "action profile id"))
        if found is None or found.table.selector is None:
            raise invalid(f"the pipeline has no action profile of id {profile_id:#010x}")
        return found.table.selector, found

    def counter(self, counter_id: int) -> Counter:
        """Raises INVALID_ARGUMENT."""
        found = self.counters.get(id_of(counter_id, "counter id"))
        if found is None:
            raise invalid(f"the pipeline has no counter of id {counter_id:#010x}")
        return found

    def meter(self, meter_id: int) -> Meter:
        """Raises INVALID_ARGUMENT."""
        found = self.meters.get(id_of(meter_id, "meter id"))
        if found is None:
            raise invalid(f"the pipeline has no meter of id {meter_id:#010x}")
        return found

    def digest(self, digest_id: int) -> Digest:
        """Raises INVALID_ARGUMENT."""
        found = self.digests.get(id_of(digest_id, "digest id"))
        if found is None:
            raise invalid(f"the pipeline has no digest of id {digest_id:#010x}")
        return found


def schema(pipeline: Pipeline, ports: PortNames = NO_PORTS) -> Schema:
    """`ports` are the device's, for pipelines that translate them."""
    actions = {action.name: action for action in pipeline.actions}
    translated = translations(pipeline, ports)
    tables = {table.id: table_codec(table, actions, translated) for table in pipeline.tables}
    return Schema(
        pipeline=pipeline,
        tables=tables,
        selectors={codec.table.selector.id: codec for codec in tables.values() if codec.table.selector is not None},
        counters={counter.id: counter for counter in pipeline.counters},
        meters={meter.id: meter for meter in pipeline.meters},
        digests={digest.id: digest for digest in pipeline.digests},
        translations=translated,
    )


def table_codec(table: Table, actions: Mapping[str, Action], translated: Translations = NO_TRANSLATIONS) -> TableCodec:
    """`actions` as a codec has them."""
    types = translated.types
    where = f"table {table.name}"
    choice = action_choice(where, table.actions, actions, types)
    matches = tuple(match_codec(table.name, key, types[key.type] if key.type else None) for key in table.keys)
    return TableCodec(
        table=table,
        actions=actions,
        matches=matches,
        positions={codec.id: position for position, codec in enumerate(matches)},
        wildcards=tuple(codec.wildcard for codec in matches),
        keys=KeyForm(table.keys),
        choice=choice,
        row_actions=RowActionCodec(where=where, selector=table.selector, choice=choice, ports=translated.ports),
        ports=translated.ports,
        metering=frozenset(ref.name for ref in table.actions if _is_metering(actions[ref.name])),
    )


def _is_metering(action: Action) -> bool:
    return any(isinstance(statement, ExecuteDirect) for statement in statements(action.body))


def cookie_of(entry: p4r.TableEntry) -> int:
    """`controller_metadata`, which is deprecated and kept all the same."""
    return entry.controller_metadata  # pyright: ignore[reportDeprecated]


def _shown(value: MatchValue, codec: MatchCodec) -> str:
    if codec.translation is not None and value != codec.wildcard:
        return codec.translation.said(numbers_of(value)[0])
    match value:
        case Exact():
            return f"{value.value:#x}"
        case Lpm():
            return f"{value.value:#x}/{value.prefix_len}"
        case Ternary():
            return f"{value.value:#x}&{value.mask:#x}"
        case Range():
            return f"{value.low:#x}..{value.high:#x}"
        case Optional():
            return "*" if value.value is None else f"{value.value:#x}"
