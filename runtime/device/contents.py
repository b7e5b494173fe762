"""What controllers have written into one pipeline, and the rules of what may be there together.

The checks come first (`check_*`, they change nothing), then the target is asked, then the change is noted (`add_*`,
`replace_*`, `remove_*`), and in the instance's log how to undo it. Rows, members and groups are immutable and
may be held by a read for as long as it takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from compiler.ir.entries import ActionCall, MeterConfig
from compiler.ir.nodes import Pipeline
from compiler.ir.restriction_parsing import restriction
from compiler.ir.restrictions import Restriction
from compiler.ir.tables import InitialEntry
from runtime.device.masks import MaskCount, mask_count
from runtime.device.records import DigestConfig, GroupRow, Row, RowAction, RowKey, SessionRow
from runtime.device.referring import References, TableReferences, Targets, references
from runtime.device.refusals import denied, exhausted, exists, invalid, not_found
from runtime.device.schema import TableCodec
from runtime.device.selectorcontents import SelectorContents
from runtime.device.timers import IdleTimers


@dataclass(slots=True)
class TableContents:
    """The entries of one table that controllers write."""

    codec: TableCodec
    selector: SelectorContents | None
    masks: MaskCount | None = None
    restriction: Restriction | None = None
    references: TableReferences | None = None
    """Of a table that refers to others, or is referred to."""
    timers: IdleTimers | None = None
    """Of a table whose entries may have an idle timeout."""
    default: Row | None = None
    """The default entry, once it has been modified."""
    initial_keys: frozenset[RowKey] = frozenset()
    """Entries that the pipeline has at first."""
    const_keys: frozenset[RowKey] = frozenset()
    """Entries that the pipeline has for ever."""
    rows: dict[RowKey, Row] = field(default_factory=lambda: {})

    @property
    def is_plain(self) -> bool:
        """Whether its entries are rows alone: all that is checked is whether one is there, and how many there are."""
        parts = (self.selector, self.masks, self.restriction, self.references, self.timers)
        return all(part is None for part in parts) and not self.codec.table.has_const_entries and not self.const_keys

    def find(self, key: RowKey) -> Row:
        """Raises NOT_FOUND."""
        row = self.rows.get(key)
        if row is None:
            raise not_found(f"{self.codec.shown(key)}: there is no such entry")
        return row

    def check_new(self, key: RowKey, action: RowAction) -> None:
        """Raises ALREADY_EXISTS, RESOURCE_EXHAUSTED, NOT_FOUND (member, group), INVALID_ARGUMENT (mixed styles).

        And PERMISSION_DENIED (a constant table), INVALID_ARGUMENT (what the table's restriction does not allow, a
        reference to nothing).
        """
        self._check_open()
        self._check_restriction(key)
        if key in self.rows:
            raise exists(f"{self.codec.shown(key)}: it is there already")
        self._check_selected(action)
        if self.references is not None:
            self.references.check_new(self.codec.shown(key), self.codec.keys.matches_of(key), action)
        size = self.codec.table.size
        if len(self.rows) >= size:
            raise exhausted(f"table {self.codec.name} is full: it holds {size} entries")
        if self.masks is not None:
            self.masks.check_new(self.codec.keys.matches_of(key))

    def _check_restriction(self, key: RowKey) -> None:
        if self.restriction is None:
            return
        keys = self.codec.keys
        violation = self.restriction.violation(keys.matches_of(key), keys.priority_of(key))
        if violation is not None:
            raise invalid(f"{self.codec.shown(key)}: violates the table's @entry_restriction: {violation}")

    def check_changed(self, old: Row, action: RowAction) -> None:
        """Whether an entry may get another action. Raises PERMISSION_DENIED, and what `check_new` does for actions."""
        self._check_changeable(old.key)
        self._check_selected(action, old.action)
        if self.references is not None:
            self.references.check_new(self.codec.shown(old.key), self.codec.keys.matches_of(old.key), action)

    def check_removable(self, old: Row) -> None:
        """Raises PERMISSION_DENIED, and FAILED_PRECONDITION for an entry that others refer to."""
        self._check_changeable(old.key)
        if self.references is not None:
            matches = self.codec.keys.matches_of(old.key)
            self.references.check_unused(self.codec.shown(old.key), matches, old.action)

    def check_default(self, action: ActionCall) -> None:
        """Raises INVALID_ARGUMENT for a reference to nothing."""
        if self.references is not None:
            self.references.check_default(f"table {self.codec.name}, default entry", action)

    def set_default(self, row: Row | None) -> None:
        """Note what the default entry has become; None: what it was at first."""
        if self.references is not None:
            for default, step in ((row, 1), (self.default, -1)):
                action = self.codec.table.default_call if default is None else default.action
                self.references.note_default(action, step)
        self.default = row

    def _check_changeable(self, key: RowKey) -> None:
        self._check_open()
        if key in self.const_keys:
            raise denied(f"{self.codec.shown(key)}: the pipeline has it as a constant entry")

    def _check_open(self) -> None:
        if self.codec.table.has_const_entries:
            raise denied(f"table {self.codec.name} is constant: its entries are the pipeline's own")

    def _check_selected(self, action: RowAction, replaced: RowAction | None = None) -> None:
        """Whether the member or group is there. `replaced` is the action that a MODIFY takes away."""
        if self.selector is not None:
            self.selector.check_use(action, replaced)

    def add(self, row: Row) -> None:
        self.rows[row.key] = row
        if self.timers is not None:
            self.timers.add(row)
        if self.masks is not None:
            self.masks.add(self.codec.keys.matches_of(row.key))
        if self.selector is not None:
            self.selector.note_use(row.action, 1)
        if self.references is not None:
            self.references.note(self.codec.keys.matches_of(row.key), row.action, 1)

    def replace(self, row: Row) -> None:
        old = self.rows[row.key]
        self.rows[row.key] = row
        if self.timers is not None:
            self.timers.replace(old, row)
        if self.selector is not None:
            self.selector.note_use(row.action, 1)
            self.selector.note_use(old.action, -1)
        if self.references is not None:
            matches = self.codec.keys.matches_of(row.key)
            self.references.note(matches, row.action, 1)
            self.references.note(matches, old.action, -1)

    def remove(self, key: RowKey) -> None:
        old = self.rows.pop(key)
        if self.timers is not None:
            self.timers.remove(key)
        if self.masks is not None:
            self.masks.remove(self.codec.keys.matches_of(key))
        if self.selector is not None:
            self.selector.note_use(old.action, -1)
        if self.references is not None:
            self.references.note(self.codec.keys.matches_of(key), old.action, -1)


@dataclass(slots=True)
class Contents:
    """Everything of one pipeline, by the names of its parts. Learned tables are the target's."""

    tables: dict[str, TableContents]
    selectors: dict[str, SelectorContents]
    meters: dict[str, dict[int, MeterConfig]]
    """By index, the cells of indexed meters that have a configuration."""
    references: References
    digests: dict[str, DigestConfig] = field(default_factory=lambda: {})
    """Those that controllers have asked for."""
    multicast_groups: dict[int, GroupRow] = field(default_factory=dict[int, GroupRow])
    clone_sessions: dict[int, SessionRow] = field(default_factory=dict[int, SessionRow])


def empty_contents(
    pipeline: Pipeline, codecs: tuple[TableCodec, ...], numbers: Mapping[str, Targets] | None = None
) -> Contents:
    """`numbers` as of `Translations.numbers`."""
    known = references(pipeline, numbers or {})
    selectors = {
        table.selector.name: SelectorContents(
            selector=table.selector, table=table.name, references=known.members.get(table.name)
        )
        for table in pipeline.tables
        if table.selector is not None
    }
    tables = {
        codec.name: TableContents(
            codec=codec,
            selector=selectors[codec.table.selector.name] if codec.table.selector else None,
            masks=mask_count(codec.table),
            restriction=restriction(codec.table.restriction, codec.table) if codec.table.restriction else None,
            references=known.tables.get(codec.name),
            timers=IdleTimers() if codec.table.idle_timeout else None,
            initial_keys=frozenset(_initial_key(codec, entry) for entry in codec.table.entries),
            const_keys=frozenset(_initial_key(codec, entry) for entry in codec.table.entries if entry.is_const),
        )
        for codec in codecs
        if not codec.is_learned
    }
    for table in tables.values():
        for entry in table.codec.table.entries:
            table.add(Row(_initial_key(table.codec, entry), entry.action))
        if table.references is not None:
            table.references.note_default(table.codec.table.default_call, 1)
    return Contents(
        tables=tables,
        selectors=selectors,
        meters={meter.name: {} for meter in pipeline.meters},
        references=known,
    )


def _initial_key(codec: TableCodec, entry: InitialEntry) -> RowKey:
    return codec.keys.key_of(entry.matches, entry.priority)
