"""Updates of meters: cells of indexed ones, and those of entries. Called by `runtime.device.updates`.

The meter of an entry is part of the entry's row, so an update of it is a change of the entry, and everything that goes
for entries goes for it: how it is undone, when packets see it, what a restart finds.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from finsy.proto import p4r

from compiler.ir.entries import ActionCall, MeterConfig
from runtime.device.cells import checked_index
from runtime.device.contents import Contents
from runtime.device.metercodec import check_cleared, decode_meter_config
from runtime.device.records import RowAction
from runtime.device.refusals import invalid, unimplemented
from runtime.device.schema import Schema, TableCodec
from runtime.device.target import Instance

MODIFY = p4r.Update.MODIFY


class MeterWriter:
    def __init__(self, schema: Schema, contents: Contents, instance: Instance) -> None:
        self._schema, self._contents, self._instance = schema, contents, instance
        self._undo = instance.undo

    def cells(self, kind: int, given: p4r.MeterEntry) -> None:
        """One cell, or all of them without an index. No configuration makes them say green again."""
        meter = self._schema.meter(given.meter_id)
        where = f"meter {meter.name}"
        if kind != MODIFY:
            raise invalid(f"{where}: its cells are always there, they can only be modified")
        first, count = 0, meter.size
        if given.HasField("index"):
            first, count = checked_index(f"meter {meter.name}", meter.size, given.index.index), 1
            where = f"{where}, index {first}"
        config = decode_meter_config(given.config, meter.type, where) if given.HasField("config") else None
        if given.HasField("counter_data"):
            check_cleared(given.counter_data, where)
        self._instance.configure_meter(meter.name, first, count, config)
        configs = self._contents.meters[meter.name]
        for index in range(first, first + count):
            if config is not None:
                self._undo.put(configs, index, config)
            elif index in configs:
                self._undo.pop(configs, index)
        if given.HasField("counter_data"):
            self._instance.clear_meter_tallies(meter.name, first, count)

    def of_entry(self, kind: int, given: p4r.DirectMeterEntry) -> None:
        codec = self._schema.table(given.table_entry.table_id)
        if codec.table.meter is None:
            raise invalid(f"table {codec.name} has no direct meter")
        if kind != MODIFY:
            raise invalid(f"table {codec.name}: a direct meter comes and goes with its entry, it can only be modified")
        if given.table_entry.is_default_action:
            raise unimplemented(f"table {codec.name}: packets that miss are not metered")
        table = self._contents.tables[codec.name]
        old = table.find(codec.decode_key(given.table_entry))
        config = decode_meter(codec, given.config, old.action) if given.HasField("config") else None
        if given.HasField("counter_data"):
            check_cleared(given.counter_data, f"table {codec.name}")
        row = replace(old, meter=config)
        self._instance.modify_entry(codec.entry(row))
        table.replace(row)
        self._undo.note(partial(table.replace, old))
        if given.HasField("counter_data"):
            self._instance.clear_direct_meter_tallies(codec.entry_key(row.key))


def entry_meter(codec: TableCodec, entry: p4r.TableEntry, action: RowAction) -> MeterConfig | None:
    """The configuration that a table entry carries, after its other fields about meters are found right."""
    if codec.table.meter is None:
        if entry.HasField("meter_config") or entry.HasField("meter_counter_data"):
            raise invalid(f"table {codec.name} has no direct meter")
        return None
    if entry.HasField("meter_counter_data"):
        check_cleared(entry.meter_counter_data, f"table {codec.name}")
    return decode_meter(codec, entry.meter_config, action) if entry.HasField("meter_config") else None


def check_meter_of_default(codec: TableCodec, entry: p4r.TableEntry) -> None:
    """Raises for a default entry that says anything of a meter: nothing would ever meter by it."""
    if entry.HasField("meter_config") or entry.HasField("meter_counter_data"):
        if codec.table.meter is None:
            raise invalid(f"table {codec.name} has no direct meter")
        raise unimplemented(f"table {codec.name}: packets that miss are not metered")


def decode_meter(codec: TableCodec, given: p4r.MeterConfig, action: RowAction) -> MeterConfig:
    """Raises INVALID_ARGUMENT, also for an action that does not execute the meter."""
    where = f"table {codec.name}, meter"
    if codec.table.meter is None:
        raise invalid(f"table {codec.name} has no direct meter")
    if isinstance(action, ActionCall) and action.action not in codec.metering:
        raise invalid(f"{where}: action {action.action} does not execute it, so it takes no configuration")
    return decode_meter_config(given, codec.table.meter.type, where)
